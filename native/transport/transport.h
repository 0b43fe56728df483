#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "common/status.h"
#include "topology/numbers.h"

namespace weightcast::transport {

/// A run of local memory that one read scatters into. 16 bytes, so that a model of 100 000 tensors stays small.
struct Segment {
  std::byte* address;
  std::uint32_t length;
  std::uint32_t region;  ///< index into the lane's table of local keys
};
static_assert(sizeof(Segment) == 16);

/// One read: a contiguous remote range inside one remote buffer, and where its bytes go.
struct Slice {
  std::uint64_t remote_address;
  std::uint32_t length;         ///< sum of its segments
  std::uint32_t remote_buffer;  ///< index into the lane's table of remote keys
  std::uint32_t first_segment;
  std::uint32_t segment_count;
};

/// Where lanes get their work. Implemented by `transfer::Operation`; every call is thread-safe and does not allocate.
/// Each slice that a lane took ends in exactly one `landed` or `give_back`.
class SliceFeed {
 public:
  virtual ~SliceFeed() = default;
  /// The next slice to read, or nothing at the moment. Lanes of unequal speed balance themselves by taking.
  virtual std::optional<std::uint32_t> take() = 0;
  [[nodiscard]] virtual const Slice& slice(std::uint32_t index) const = 0;
  [[nodiscard]] virtual std::span<const Segment> segments(std::uint32_t index) const = 0;
  /// The slice's bytes are in local memory.
  virtual void landed(std::uint32_t index, std::uint32_t lane) = 0;
  /// The slice's bytes are not (all) in; another lane may take it.
  virtual void give_back(std::uint32_t index) = 0;
  /// Blocks while nothing can be taken but other lanes may still give work back. False: nothing will ever come again
  /// (all landed, cancelled or failed), and the lane returns.
  virtual bool wait_for_work() = 0;
  /// Bytes came at this time, if not yet a whole slice. Told by lanes that are several connections with one peer.
  virtual void heard(std::chrono::steady_clock::time_point /*when*/) {}
  /// Nothing came for so long while this slice was read. When another lane had it before, and nobody has heard
  /// anything, the failure is the peer's and not a path's: the operation ends with it. Before `give_back`.
  virtual void fell_silent(std::uint32_t /*index*/, std::chrono::milliseconds /*time*/) {}
  /// The lane must stop soon: cancelled, or another lane met an error that ends the operation.
  [[nodiscard]] virtual bool stopping() const = 0;
};

/// What one lane did; written by the lane's thread, valid after `run` returned.
struct LaneReport {
  std::uint64_t bytes = 0;          ///< landed
  std::uint64_t work_requests = 0;  ///< posted (rdma) or sent (tcp), retries included
  std::uint64_t reconnects = 0;     ///< ended by the peer, which another process may have replaced meanwhile
  std::uint64_t retransmits = 0;    ///< rdma: how often its port had to ask again while it ran, for whomever
  std::uint64_t smallest_read = 0;  ///< rdma: bytes of the smallest reads that slices were cut into; 0: none was
  double first_byte_ms = 0;         ///< from the start of `run` to the first completion
  std::string affinity_refusal;     ///< why its thread is not kept on `Lane::processors`; "" when it is
};

/// One path to a peer that moves bytes by itself: a set of queue pairs between two NICs, or a TCP connection.
/// One thread calls `run`, once; `interrupt` may come from any thread.
class Lane {
 public:
  virtual ~Lane() = default;
  [[nodiscard]] virtual std::string name() const = 0;  ///< "rxe0>rxe1" or "tcp 10.0.0.5:15012 #2"
  /// Takes slices until the feed has no more, is stopping, or the path breaks. Returns only when no further byte can
  /// land in local memory (queue pairs drained, socket shut). On an error all slices not landed were given back.
  virtual Status run(SliceFeed& feed, std::uint32_t lane_index) = 0;
  /// Makes a blocked `run` look at `feed.stopping()` at once.
  virtual void interrupt() = 0;
  /// Where the thread that calls `run` is kept, and those that follow it; none: nowhere.
  [[nodiscard]] virtual topology::Numbers processors() const { return {}; }
  [[nodiscard]] virtual const LaneReport& report() const = 0;
};

}  // namespace weightcast::transport
