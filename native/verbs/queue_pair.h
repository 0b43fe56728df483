#pragma once

#include <infiniband/verbs.h>

#include <cstdint>
#include <memory>

#include "common/status.h"
#include "verbs/completion_queue.h"
#include "verbs/context.h"

namespace weightcast::verbs {

/// What INIT → RTR → RTS need to know of the path and the peer.
struct PathAttributes {
  std::uint8_t port = 1;
  std::uint8_t gid_index = 0;  ///< local
  ibv_gid peer_gid{};
  std::uint16_t peer_lid = 0;  ///< 0 on RoCE
  std::uint32_t peer_number = 0;
  ibv_mtu mtu = IBV_MTU_1024;
  std::uint8_t max_dest_reads = 1;  ///< reads of the peer that are served at once
  std::uint8_t max_reads = 1;       ///< own reads in flight
  std::uint8_t ack_timeout = 14;    ///< a lost answer is asked for again after 4.096 µs · 2^this: 14 is 67 ms
};

/// A reliably connected queue pair that only reads or is only read. Attributes that are not in PathAttributes are those
/// of Mooncake's endpoints, since two sides must agree on some of them, but for retry_cnt.
///
/// One thread; only `to_error` may come from any.
class QueuePair {
 public:
  /// In RESET. `send_depth` work requests of `max_segments` scatter elements each. kVerbs.
  static Result<std::unique_ptr<QueuePair>> create(std::shared_ptr<ProtectionDomain> pd,
                                                   std::shared_ptr<CompletionQueue> cq, std::uint32_t send_depth,
                                                   std::uint32_t max_segments);
  ~QueuePair();
  QueuePair(const QueuePair&) = delete;
  QueuePair& operator=(const QueuePair&) = delete;

  [[nodiscard]] std::uint32_t number() const { return qp_->qp_num; }

  /// RESET → INIT. `access`: what the peer may do, a set of ibv_access_flags.
  Status to_init(std::uint8_t port, unsigned access);
  /// INIT → RTR.
  Status to_ready_to_receive(const PathAttributes& path);
  /// RTR → RTS.
  Status to_ready_to_send(const PathAttributes& path);
  /// Any state → ERR: what is outstanding completes as flushed.
  Status to_error();
  /// As the device sees it: a read that was refused moves both ends to ERR by itself.
  [[nodiscard]] Result<ibv_qp_state> state() const;

  /// Posts a chain. 0, or the errno with `*first_refused` the first request that was not taken.
  [[nodiscard]] int post(ibv_send_wr* chain, ibv_send_wr** first_refused) {
    return ibv_post_send(qp_, chain, first_refused);
  }

 private:
  QueuePair(std::shared_ptr<ProtectionDomain> pd, std::shared_ptr<CompletionQueue> cq, ibv_qp* qp)
      : pd_(std::move(pd)), cq_(std::move(cq)), qp_(qp) {}
  Status modify(ibv_qp_attr& attributes, int mask, const char* call, const std::string& values);
  std::shared_ptr<ProtectionDomain> pd_;  // pd_ and cq_ outlive qp_
  std::shared_ptr<CompletionQueue> cq_;
  ibv_qp* qp_;
};

}  // namespace weightcast::verbs
