#include "transport/rdma/endpoint.h"

#include <infiniband/verbs.h>

#include <algorithm>

#include "transport/rdma/attributes.h"
#include "verbs/completion_queue.h"
#include "verbs/gid.h"
#include "verbs/queue_pair.h"

namespace weightcast::transport::rdma {
namespace {

/// A responder posts nothing, but providers want room for something.
constexpr std::uint32_t kResponderDepth = 1;

/// The verbs value of an MTU in bytes; 0 when there is none.
ibv_mtu mtu_value(std::uint32_t bytes) {
  switch (bytes) {
    case 256:
      return IBV_MTU_256;
    case 512:
      return IBV_MTU_512;
    case 1024:
      return IBV_MTU_1024;
    case 2048:
      return IBV_MTU_2048;
    case 4096:
      return IBV_MTU_4096;
    default:
      return ibv_mtu{};
  }
}

/// What fits both sides of the field and the device; verbs keeps it in 8 bits.
std::uint8_t clamp_reads(std::uint32_t wanted, std::uint32_t device) {
  return static_cast<std::uint8_t>(std::clamp<std::uint32_t>(std::min(wanted, device), 1, UINT8_MAX));
}

}  // namespace

Result<std::shared_ptr<Endpoint>> Endpoint::create(std::shared_ptr<Nic> nic, Role role, std::uint32_t count,
                                                   std::uint32_t send_depth) {
  if (count == 0 || (role == Role::kInitiator && send_depth == 0)) {
    return Status::error(Code::kInvalidArgument, "an endpoint needs at least 1 queue pair of 1 work request; got " +
                                                     std::to_string(count) + " of " + std::to_string(send_depth));
  }
  auto device = nic->context()->query_device();
  if (!device.ok()) return device.status();
  const auto most = static_cast<std::uint32_t>(std::max(device.value().max_qp_wr, 1));
  const auto most_entries = static_cast<std::uint32_t>(std::max(device.value().max_cqe, 1));

  std::shared_ptr<Endpoint> endpoint(new Endpoint(std::move(nic), role));
  // Every work request completes with an entry of its own, so together they must fit the completion queue.
  const std::uint32_t wanted = role == Role::kInitiator ? send_depth : kResponderDepth;
  endpoint->send_depth_ = std::max(std::min({wanted, most, most_entries / count}), 1U);
  auto cq = verbs::CompletionQueue::create(endpoint->nic_->context(), endpoint->send_depth_ * count);
  if (!cq.ok()) return cq.status();
  endpoint->cq_ = std::move(cq.value());

  const std::uint32_t segments = role == Role::kInitiator ? endpoint->nic_->max_sge() : 1;
  const unsigned access = role == Role::kResponder ? unsigned{IBV_ACCESS_REMOTE_READ} : 0U;
  for (std::uint32_t i = 0; i < count; ++i) {
    auto created =
        verbs::QueuePair::create(endpoint->nic_->protection_domain(), endpoint->cq_, endpoint->send_depth_, segments);
    if (!created.ok()) return created.status();
    auto& queue_pair = endpoint->queue_pairs_.emplace_back(std::move(created.value()));
    endpoint->numbers_.push_back(queue_pair->number());
    if (Status status = queue_pair->to_init(endpoint->nic_->options().port, access); !status.ok()) return status;
  }
  return endpoint;
}

Endpoint::Endpoint(std::shared_ptr<Nic> nic, Role role) : nic_(std::move(nic)), role_(role) {}

Endpoint::~Endpoint() = default;

Status Endpoint::connect(const PeerQueuePairs& peer) {
  if (peer.numbers.size() != queue_pairs_.size()) {
    return Status::error(Code::kInvalidArgument,
                         "the peer has " + std::to_string(peer.numbers.size()) + " queue pairs and this side " +
                             std::to_string(queue_pairs_.size()) + ": both must have the same number");
  }
  if (max_reads_ != 0) return Status::error(Code::kInvalidArgument, "the endpoint is connected already");
  auto gid = verbs::parse_gid(peer.gid);
  if (!gid.ok()) return gid.status();
  const std::uint32_t mtu = std::min(nic_->mtu(), peer.path_mtu == 0 ? nic_->mtu() : peer.path_mtu);
  verbs::PathAttributes path{.port = nic_->options().port,
                             .gid_index = nic_->gid_index(),
                             .peer_gid = gid.value(),
                             .peer_lid = peer.lid,
                             .mtu = mtu_value(mtu),
                             .ack_timeout = ack_timeout()};
  if (path.mtu == ibv_mtu{}) {
    return Status::error(Code::kInvalidArgument,
                         "path MTU " + std::to_string(mtu) + " is none of 256, 512, 1024, 2048 and 4096 bytes");
  }
  std::uint8_t& reads = role_ == Role::kInitiator ? path.max_reads : path.max_dest_reads;
  reads = clamp_reads(peer.max_reads,
                      role_ == Role::kInitiator ? nic_->max_initiator_reads() : nic_->max_responder_reads());
  for (std::size_t i = 0; i < queue_pairs_.size(); ++i) {
    path.peer_number = peer.numbers[i];
    if (Status status = queue_pairs_[i]->to_ready_to_receive(path); !status.ok()) return status;
    if (Status status = queue_pairs_[i]->to_ready_to_send(path); !status.ok()) return status;
  }
  max_reads_ = reads;
  return Status::success();
}

void Endpoint::fail() {
  const std::lock_guard lock(modifying_);
  // A queue pair that refuses is one that the device has lost: the caller's drain has a deadline.
  for (const auto& queue_pair : queue_pairs_) (void)queue_pair->to_error();
}

void Endpoint::destroy_queue_pairs() {
  const std::lock_guard lock(modifying_);
  queue_pairs_.clear();
}

}  // namespace weightcast::transport::rdma
