#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "transport/rdma/endpoint.h"
#include "transport/transport.h"

namespace weightcast::transport::rdma {

struct RdmaLaneOptions {
  std::string name;
  /// Reads in flight per queue pair: work requests posted and not completed. At least `Endpoint::max_reads()` keeps the
  /// wire full; a few more hide the poller's latency. 0: max_reads + 4. Never more than the endpoint's send depth.
  std::uint32_t depth = 0;
  /// Queue pairs that reads go over while the path is clean, 0: all. The others join, with their part of the same
  /// number of reads, where packets are lost: one queue pair waits for what it lost while the others go on.
  std::uint32_t queue_pairs = 0;
  /// Whether slices are cut, and the reads in flight limited, by how the path behaves (see `Pacing`).
  bool adapt = true;
  /// Polling without sleep after the last completion, before the completion channel is armed. Microseconds.
  std::uint32_t spin_us = 50;
  /// No completion for so long with reads in flight is kStalled. The hardware's own retry limit comes first.
  std::chrono::milliseconds stall_timeout{10000};
  /// Where the lane's thread is kept: processors of its NIC's node. None: nowhere.
  topology::Numbers processors{};
};

/// One-sided RDMA READs over one endpoint. Keys are indexed as Slice::remote_buffer and Segment::region.
/// The registrations keep the destination pinned for as long as the lane lives.
///
/// `run` fails with kRemoteAccess or kPeerLost (see `completion_error`), kStalled, kCancelled (the feed was stopping),
/// kClosed (the endpoint was failed by this side), kOutOfRange (a slice names a key that is not there),
/// kInvalidArgument (endpoint not connected) and kVerbs. Whatever the reason, the endpoint is in ERR afterwards and not
/// to be used again.
class RdmaLane final : public Lane {
 public:
  RdmaLane(std::shared_ptr<Endpoint> endpoint, std::vector<std::uint32_t> remote_keys,
           std::vector<std::shared_ptr<Registration>> local, RdmaLaneOptions options);
  ~RdmaLane() override;
  RdmaLane(const RdmaLane&) = delete;
  RdmaLane& operator=(const RdmaLane&) = delete;
  [[nodiscard]] std::string name() const override { return options_.name; }
  Status run(SliceFeed& feed, std::uint32_t lane_index) override;
  void interrupt() override;
  [[nodiscard]] topology::Numbers processors() const override { return options_.processors; }
  [[nodiscard]] const LaneReport& report() const override { return report_; }

 private:
  std::shared_ptr<Endpoint> endpoint_;
  std::vector<std::uint32_t> remote_keys_;
  std::vector<std::shared_ptr<Registration>> local_;
  RdmaLaneOptions options_;
  LaneReport report_;
  int wake_fd_;  // eventfd: interrupt() → poll(); -1 when the process has no descriptor left
};

}  // namespace weightcast::transport::rdma
