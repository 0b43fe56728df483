#pragma once

#include <infiniband/verbs.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "common/status.h"
#include "transport/rdma/endpoint.h"
#include "transport/transport.h"

namespace weightcast::transport::rdma {

/// How much a ReadQueue posts, and where: what `Pacing` makes of the path.
struct PostLimits {
  std::uint64_t read_bytes;    ///< longer slices are cut into reads of this
  std::uint64_t window_bytes;  ///< in flight; one read always may be
  std::uint32_t queue_pairs;   ///< the first so many get reads, and share the requests that one of them has otherwise
};

/// The read requests of one lane: which are in flight, on which queue pair, for which slice. A slice is one read or,
/// cut, several, over any queue pairs; it is done with when the last of them is. Everything is allocated in the
/// constructor; posting and releasing only move indices. One thread.
class ReadQueue {
 public:
  /// `depth` requests in flight on each of the first `queue_pairs` queue pairs; that many in all. The spans stay valid
  /// for as long as this.
  ReadQueue(Endpoint& endpoint, std::span<const std::uint32_t> remote_keys, std::vector<std::uint32_t> local_keys,
            std::uint32_t depth, std::uint32_t queue_pairs);

  /// Takes slices and posts them, one chain a queue pair, until all is in flight that may be or the feed has none. The
  /// first call posts a few, and each later one that something ended before up to twice as many: lanes that start
  /// together share a small plan. On an error the slices that were not posted are given back: kOutOfRange (a key
  /// index), kInternal (a plan that does not fit the device), kVerbs. Those posted before stay in flight.
  Status fill(SliceFeed& feed, const PostLimits& limits);

  /// How a slice ended: with all its bytes here, or not.
  struct Ended {
    std::uint32_t slice;
    bool landed;
  };
  /// Ends a request by the `wr_id` of its completion. Returns its slice when that was the last of its requests; a slice
  /// of which one failed gets no further ones.
  std::optional<Ended> release(std::uint64_t request, bool succeeded);

  /// Gives every slice back that has not ended. Only when no request is in flight, or none can complete any more since
  /// the queue pairs are gone.
  void abandon(SliceFeed& feed);

  [[nodiscard]] std::uint32_t in_flight() const { return in_flight_; }
  [[nodiscard]] std::uint64_t posted() const { return posted_; }
  /// Bytes of all requests that succeeded, whether their slices landed or not yet.
  [[nodiscard]] std::uint64_t arrived_bytes() const { return arrived_bytes_; }
  /// The smallest `read_bytes` at which a slice was cut; nothing when none was.
  [[nodiscard]] std::optional<std::uint64_t> smallest_cut() const { return smallest_cut_; }

 private:
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};

  struct Request {
    ibv_send_wr work{};
    std::uint32_t held = 0;    // index into held_
    std::uint32_t length = 0;  // bytes
    std::uint32_t queue_pair = 0;
    bool in_flight = false;
  };
  struct Chain {
    std::vector<std::uint32_t> free;  // indices into requests_
    ibv_send_wr* first = nullptr;
    ibv_send_wr* last = nullptr;
  };
  /// A slice that was taken and has not ended. At most one of them is not yet wholly posted: `open_`.
  struct Held {
    std::uint32_t slice = 0;
    std::uint32_t requests = 0;  // made and not ended
    bool failed = false;
  };
  /// How far `open_` is cut.
  struct Cut {
    std::uint32_t done = 0;           // bytes
    std::uint32_t segment = 0;        // of the slice
    std::uint32_t segment_bytes = 0;  // of that segment
  };

  Status open(std::uint32_t slice, const SliceFeed& feed);
  void prepare(std::uint32_t request, std::uint64_t read_bytes, const SliceFeed& feed);
  Status post(std::uint32_t queue_pair, SliceFeed& feed);
  [[nodiscard]] std::optional<Ended> end_request(std::uint32_t request, bool succeeded);

  Endpoint& endpoint_;
  std::span<const std::uint32_t> remote_keys_;
  std::vector<std::uint32_t> local_keys_;
  std::uint32_t max_segments_;
  std::uint32_t depth_;
  std::uint32_t most_;  // requests in flight
  std::vector<Request> requests_;
  std::vector<ibv_sge> segments_;  // max_segments_ for each request
  std::vector<Chain> chains_;      // one for each queue pair
  std::vector<Held> held_;
  std::vector<std::uint32_t> free_held_;  // indices into held_
  std::uint32_t open_ = kNone;            // index into held_
  Cut cut_;
  std::uint32_t window_;   // most requests in flight at the moment
  bool released_ = false;  // a request ended since the last fill
  std::uint32_t in_flight_ = 0;
  std::uint64_t bytes_in_flight_ = 0;
  std::uint64_t posted_ = 0;
  std::uint64_t arrived_bytes_ = 0;
  std::optional<std::uint64_t> smallest_cut_;
};

}  // namespace weightcast::transport::rdma
