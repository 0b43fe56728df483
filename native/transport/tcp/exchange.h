#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <span>
#include <string>

#include "common/status.h"
#include "transport/tcp/lane.h"
#include "transport/tcp/peer.h"
#include "transport/tcp/socket.h"
#include "transport/transport.h"

namespace weightcast::transport::tcp {

/// One request and its answer, received straight into the destination segments.
class Exchange {
 public:
  /// All must outlive it. `started` is what the report's first byte is measured from.
  Exchange(const TcpLaneOptions& options, Peer& peer, SliceFeed& feed, LaneReport& report,
           const Interruption& interruption, Clock::time_point started)
      : options_(options), peer_(peer), feed_(feed), report_(report), interruption_(interruption), started_(started) {}

  /// Asks for `slice` over the peer's open connection and waits for all of it. kPeerLost, kStalled, kCancelled,
  /// kProtocol, kRemoteAccess (refused), kInvalidArgument (the destination is not writable).
  Status run(const Slice& slice, std::span<const Segment> segments);
  /// Whether the last run failed since the peer closed or reset the connection before the first byte of its answer:
  /// a peer of one request per connection, or one that ends idle connections.
  [[nodiscard]] bool closed_before_answer() const { return closed_ && !answer_begun_; }

 private:
  Status send_request(const Slice& slice);
  Status receive_status(std::uint64_t size);
  Status receive_body(std::uint64_t size, std::span<const Segment> segments);
  Status receive_some(std::span<iovec> vectors, std::uint64_t left, std::uint64_t& got);
  Status wait(short events);
  [[nodiscard]] Status closed_by_peer() const;
  [[nodiscard]] Status lost(std::string call, int error) const;

  const TcpLaneOptions& options_;
  Peer& peer_;
  SliceFeed& feed_;
  LaneReport& report_;
  const Interruption& interruption_;
  Clock::time_point started_;
  Clock::time_point last_progress_;
  bool answer_begun_ = false;  // the first byte of the answer to the running request is in
  bool closed_ = false;        // the last failure was the peer's close or reset
};

}  // namespace weightcast::transport::tcp
