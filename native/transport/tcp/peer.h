#pragma once

#include <cstdint>

#include "common/status.h"
#include "transport/tcp/lane.h"
#include "transport/tcp/socket.h"
#include "transport/transport.h"

namespace weightcast::transport::tcp {

/// The reading end's connection to its peer, opened again where the peer ends it between two answers. Used by one
/// thread.
class Peer {
 public:
  /// Both must outlive the peer; `report` is told of the connections that took the place of one that the peer ended.
  Peer(const TcpLaneOptions& options, LaneReport& report) : options_(options), report_(report) {}

  /// A new connection. kPeerLost, kCancelled, kIo.
  Status open(const Interruption& interruption);
  /// A connection that is open as far as can be seen from here. As `open`, and kProtocol when the peer sent more than
  /// was asked for.
  Status prepare(const Interruption& interruption);
  /// Leaves a socket only where there is one to be used again. kProtocol, kCancelled.
  Status look_between_answers(const Interruption& interruption);
  /// The peer has ended the connection between two answers.
  void abandon();
  void reset() { socket_.reset(); }
  /// One more answer came whole.
  void answered() { ++answers_; }
  /// A read ends its wait when so many bytes are in, or the peer hung up.
  void wake_at(std::uint64_t bytes);

  [[nodiscard]] int fd() const { return socket_.get(); }
  [[nodiscard]] bool has_answered() const { return socket_.valid() && answers_ > 0; }

 private:
  /// Whether the peer closes after each answer. One close after one answer may also have been the end of its process.
  enum class OneShot : std::uint8_t { kNo, kMaybe, kYes };

  const TcpLaneOptions& options_;
  LaneReport& report_;
  Fd socket_;
  std::uint64_t wakes_at_ = 1;  // bytes, on this connection
  std::uint64_t answers_ = 0;   // on this connection
  bool replaces_ = false;       // the next connection takes the place of one that the peer ended
  OneShot one_shot_ = OneShot::kNo;
};

}  // namespace weightcast::transport::tcp
