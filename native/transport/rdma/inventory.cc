#include "transport/rdma/inventory.h"

#include <infiniband/verbs.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>

#include "topology/nodes.h"
#include "transport/rdma/attributes.h"
#include "verbs/context.h"
#include "verbs/memory_region.h"

namespace weightcast::transport::rdma {
namespace {

constexpr std::uint32_t kRxeVendor = 0xffffff;
constexpr std::uint32_t kSiwVendor = 0x626d74;

std::string sysfs_line(const std::string& path) {
  std::ifstream file("/sys/class/infiniband/" + path);
  std::string line;
  std::getline(file, line);
  return line;
}

/// The software drivers are told by their vendor: they have no driver of their own in sysfs, and siw shows that of the
/// NIC below it.
std::string provider_of(const std::string& device, std::uint32_t vendor) {
  if (vendor == kRxeVendor && sysfs_line(device + "/node_desc").starts_with("rxe")) return "rxe";
  if (vendor == kSiwVendor) return "siw";
  std::error_code error;
  const auto driver = std::filesystem::read_symlink("/sys/class/infiniband/" + device + "/device/driver", error);
  return error ? "" : driver.filename().string();
}

const char* link_layer_name(std::uint8_t link_layer) {
  if (link_layer == IBV_LINK_LAYER_INFINIBAND) return "InfiniBand";
  if (link_layer == IBV_LINK_LAYER_ETHERNET) return "Ethernet";
  return "unspecified";
}

void describe_dmabuf(DevicePort& row, const std::shared_ptr<verbs::Context>& context) {
  const auto pd = verbs::ProtectionDomain::create(context);
  const Status status = pd.ok() ? verbs::MemoryRegion::imports_dmabuf(*pd.value()) : pd.status();
  row.dmabuf = status.ok();
  row.dmabuf_reason = status.message;
}

void describe_device(DevicePort& row, const ibv_device_attr& attributes) {
  row.provider = provider_of(row.device, attributes.vendor_id);
  row.software = row.provider == "rxe" || row.provider == "siw";
  row.firmware = attributes.fw_ver;
  row.numa_node = topology::node_of_nic(row.device, topology::system_root());
  const ReadLimits limits = read_limits_of(attributes);
  row.max_sge = limits.max_segments;
  row.max_initiator_reads = limits.max_initiator_reads;
  row.max_responder_reads = limits.max_responder_reads;
  row.max_qp = static_cast<std::uint32_t>(std::max(attributes.max_qp, 0));
  row.max_mr = static_cast<std::uint32_t>(std::max(attributes.max_mr, 0));
  row.max_mr_bytes = attributes.max_mr_size;
}

void describe_port(DevicePort& row, const verbs::Context& context) {
  auto port = context.query_port(row.port);
  if (!port.ok()) {
    row.state = port.status().message;
    return;
  }
  const ibv_port_attr& attributes = port.value();
  const bool iwarp = context.is_iwarp();
  row.active = attributes.state == IBV_PORT_ACTIVE && !iwarp;
  row.state = std::string(port_state_name(attributes.state)) + (iwarp ? " (iWARP: not supported)" : "");
  row.link_layer = link_layer_name(attributes.link_layer);
  row.lid = attributes.lid;
  row.active_mtu = mtu_bytes(attributes.active_mtu);
  row.max_message = attributes.max_msg_sz;
  // "100 Gb/sec (4X EDR)"
  row.rate_gbps = std::strtod(sysfs_line(row.device + "/ports/" + std::to_string(row.port) + "/rate").c_str(), nullptr);
  row.gids = verbs::read_gid_table(context, row.port, attributes.gid_tbl_len);
  if (!iwarp) row.chosen_gid_index = verbs::choose_gid(row.gids, attributes.link_layer == IBV_LINK_LAYER_ETHERNET);
  for (const GidEntry& entry : row.gids) {
    if (row.netdev.empty() || entry.index == row.chosen_gid_index) row.netdev = entry.netdev;
  }
}

}  // namespace

Result<std::vector<DevicePort>> list_devices() {
  auto names = verbs::device_names();
  if (!names.ok()) return names.status();
  std::vector<DevicePort> rows;
  for (const std::string& name : names.value()) {
    DevicePort row;
    row.device = name;
    auto context = verbs::Context::open(name);
    if (!context.ok()) {
      row.state = context.status().message;
      rows.push_back(std::move(row));
      continue;
    }
    auto attributes = context.value()->query_device();
    if (!attributes.ok()) {
      row.state = attributes.status().message;
      rows.push_back(std::move(row));
      continue;
    }
    describe_device(row, attributes.value());
    describe_dmabuf(row, context.value());
    for (unsigned port = 1; port <= attributes.value().phys_port_cnt; ++port) {
      row.port = static_cast<std::uint8_t>(port);
      DevicePort& copy = rows.emplace_back(row);
      describe_port(copy, *context.value());
    }
  }
  return rows;
}

}  // namespace weightcast::transport::rdma
