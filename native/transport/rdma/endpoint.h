#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "common/status.h"
#include "transport/rdma/nic.h"

namespace weightcast::verbs {
class CompletionQueue;
class QueuePair;
}  // namespace weightcast::verbs

namespace weightcast::transport::rdma {

enum class Role : std::uint8_t { kInitiator, kResponder };

/// What the peer said of its side in the Connection message (mooncake-wire §3.2).
struct PeerQueuePairs {
  std::string gid;  ///< 16 hex pairs joined by ':'
  std::uint16_t lid = 0;
  std::vector<std::uint32_t> numbers;  ///< same count as ours; local i pairs with remote i
  std::uint32_t path_mtu = 0;          ///< bytes; 0: our own port's
  std::uint32_t max_reads = 16;        ///< initiator: max_rd_atomic; responder: max_dest_rd_atomic
};

/// The queue pairs between one local NIC and one peer NIC, with a completion queue of their own: a bad read kills both
/// ends of its pair, and nobody else may feel it. Never shared between peers. Attributes as mooncake-wire §3.8, except
/// retry_cnt 6 (7 is for ever on Soft-RoCE) and REMOTE_READ as the only right of the peer.
/// Owner-thread only, but for `fail`.
class Endpoint {
 public:
  /// Queue pairs in INIT. `send_depth` work requests each (initiator; a responder posts none), at most what the device
  /// can take. kInvalidArgument on a count of 0, kVerbs.
  static Result<std::shared_ptr<Endpoint>> create(std::shared_ptr<Nic> nic, Role role, std::uint32_t count,
                                                  std::uint32_t send_depth);
  ~Endpoint();
  [[nodiscard]] const std::shared_ptr<Nic>& nic() const { return nic_; }
  [[nodiscard]] std::span<const std::uint32_t> numbers() const { return numbers_; }
  /// INIT → RTR → RTS. kInvalidArgument on a count that differs from ours or a malformed GID.
  Status connect(const PeerQueuePairs& peer);
  /// Outstanding reads per queue pair that were agreed on; 0 before `connect`.
  [[nodiscard]] std::uint32_t max_reads() const { return max_reads_; }
  /// Work requests that each queue pair has room for.
  [[nodiscard]] std::uint32_t send_depth() const { return send_depth_; }
  /// Moves every queue pair to ERR: outstanding work requests flush. Any thread, idempotent.
  void fail();
  /// Destroys the queue pairs at once: what is outstanding never completes and no longer touches memory. The last
  /// resort when a failed endpoint does not flush. `queue_pairs` is empty afterwards.
  void destroy_queue_pairs();
  [[nodiscard]] verbs::CompletionQueue& completion_queue() { return *cq_; }
  [[nodiscard]] std::span<const std::unique_ptr<verbs::QueuePair>> queue_pairs() const { return queue_pairs_; }

 private:
  Endpoint(std::shared_ptr<Nic> nic, Role role);
  std::shared_ptr<Nic> nic_;
  Role role_;
  std::uint32_t send_depth_ = 0;
  std::uint32_t max_reads_ = 0;
  std::vector<std::uint32_t> numbers_;
  std::shared_ptr<verbs::CompletionQueue> cq_;  // outlives queue_pairs_
  std::vector<std::unique_ptr<verbs::QueuePair>> queue_pairs_;
  std::mutex modifying_;  // `fail` against destroying
};

}  // namespace weightcast::transport::rdma
