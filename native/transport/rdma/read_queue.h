#pragma once

#include <infiniband/verbs.h>

#include <cstdint>
#include <span>
#include <vector>

#include "common/status.h"
#include "transport/rdma/endpoint.h"
#include "transport/transport.h"

namespace weightcast::transport::rdma {

/// The read requests of one lane: which are in flight, on which queue pair, for which slice. Everything is allocated in
/// the constructor; posting and releasing only move indices. One thread.
class ReadQueue {
 public:
  /// `depth` requests in flight on each queue pair. The spans stay valid for as long as this.
  ReadQueue(Endpoint& endpoint, std::span<const std::uint32_t> remote_keys, std::vector<std::uint32_t> local_keys,
            std::uint32_t depth);

  /// Takes slices and posts them, one chain a queue pair, until every queue pair is full or the feed has none. The
  /// first call posts a few and each later one up to twice as many, so that lanes that start together share a small
  /// plan. On an error the slices that were not posted are given back: kOutOfRange (a key index), kInternal (a plan
  /// that does not fit the device), kVerbs. Those posted before stay in flight.
  Status fill(SliceFeed& feed);

  /// Ends a request by the `wr_id` of its completion; returns its slice.
  std::uint32_t release(std::uint64_t request);

  /// Gives every slice in flight back. Only when the queue pairs are gone, so that none can complete any more.
  void abandon(SliceFeed& feed);

  [[nodiscard]] std::uint32_t in_flight() const { return in_flight_; }
  [[nodiscard]] std::uint64_t posted() const { return posted_; }

 private:
  struct Request {
    ibv_send_wr work{};
    std::uint32_t slice = 0;
    std::uint32_t queue_pair = 0;
    bool in_flight = false;
  };
  struct Chain {
    std::vector<std::uint32_t> free;  // indices into requests_
    ibv_send_wr* first = nullptr;
    ibv_send_wr* last = nullptr;
  };
  Status prepare(std::uint32_t request, std::uint32_t index, const SliceFeed& feed);
  Status post(std::uint32_t queue_pair, SliceFeed& feed);

  Endpoint& endpoint_;
  std::span<const std::uint32_t> remote_keys_;
  std::vector<std::uint32_t> local_keys_;
  std::uint32_t max_segments_;
  std::vector<Request> requests_;
  std::vector<ibv_sge> segments_;  // max_segments_ for each request
  std::vector<Chain> chains_;      // one for each queue pair
  std::uint32_t window_;           // most requests in flight at the moment
  std::uint32_t in_flight_ = 0;
  std::uint64_t posted_ = 0;
};

}  // namespace weightcast::transport::rdma
