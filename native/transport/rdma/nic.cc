#include "transport/rdma/nic.h"

#include <infiniband/verbs.h>

#include <algorithm>
#include <limits>

#include "transport/rdma/attributes.h"
#include "verbs/context.h"
#include "verbs/gid.h"
#include "verbs/memory_region.h"

namespace weightcast::transport::rdma {
namespace {

Result<verbs::GidEntry> find_gid(const std::vector<verbs::GidEntry>& table, const NicOptions& options, bool ethernet) {
  const int chosen = options.gid_index ? int{*options.gid_index} : verbs::choose_gid(table, ethernet);
  const auto found = std::ranges::find(table, chosen, [](const verbs::GidEntry& entry) { return int{entry.index}; });
  if (found != table.end()) return *found;
  const std::string where = "port " + std::to_string(options.port) + " of RDMA device " + options.device;
  if (!options.gid_index)
    return Status::error(Code::kNotFound, where + " has no GID; give its interface an IP address");
  std::string here;
  for (const auto& entry : table) here += (here.empty() ? "" : ", ") + std::to_string(entry.index);
  return Status::error(Code::kNotFound, "GID index " + std::to_string(chosen) + " of " + where +
                                            " is empty; in use: " + (here.empty() ? "none" : here));
}

}  // namespace

Result<std::shared_ptr<Nic>> Nic::open(const NicOptions& options) {
  auto context = verbs::Context::open(options.device);
  if (!context.ok()) return context.status();
  if (context.value()->is_iwarp()) {
    return Status::error(Code::kVerbs,
                         "RDMA device " + options.device +
                             " is iWARP, whose queue pairs need the RDMA connection manager: not supported");
  }
  auto device = context.value()->query_device();
  if (!device.ok()) return device.status();
  auto port = context.value()->query_port(options.port);
  if (!port.ok()) return port.status();
  if (port.value().state != IBV_PORT_ACTIVE) {
    return Status::error(Code::kVerbs, "port " + std::to_string(options.port) + " of RDMA device " + options.device +
                                           " is " + port_state_name(port.value().state) + "; bring its link up");
  }
  const auto table = verbs::read_gid_table(*context.value(), options.port, port.value().gid_tbl_len);
  auto gid = find_gid(table, options, port.value().link_layer == IBV_LINK_LAYER_ETHERNET);
  if (!gid.ok()) return gid.status();
  auto pd = verbs::ProtectionDomain::create(context.value());
  if (!pd.ok()) return pd.status();

  std::shared_ptr<Nic> nic(new Nic(options));
  const ReadLimits limits = read_limits_of(device.value());
  nic->context_ = std::move(context.value());
  nic->pd_ = std::move(pd.value());
  nic->imports_dmabuf_ = verbs::MemoryRegion::imports_dmabuf(*nic->pd_);
  nic->gid_ = gid.value().gid;
  nic->gid_index_ = gid.value().index;
  nic->lid_ = port.value().lid;
  nic->mtu_ = mtu_bytes(port.value().active_mtu);
  nic->max_message_ = port.value().max_msg_sz;
  nic->max_sge_ = limits.max_segments;
  nic->max_initiator_reads_ = limits.max_initiator_reads;
  nic->max_responder_reads_ = limits.max_responder_reads;
  // 0 would mean that nothing can be registered; drivers that leave it out know no limit.
  const std::uint64_t max_region = device.value().max_mr_size;
  nic->max_region_ = max_region == 0 ? std::numeric_limits<std::uint64_t>::max() : max_region;
  return nic;
}

Nic::~Nic() = default;

}  // namespace weightcast::transport::rdma
