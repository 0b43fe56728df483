#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "common/descriptor.h"
#include "common/status.h"

namespace weightcast::engine {

/// The connection to a process that owns memory: a UNIX stream socket over which descriptors come beside the bytes.
/// Whatever is made of that memory holds it, so that the peer sees its end only when nothing of ours is left there.
///
/// Thread-safe, but for `receive`: one thread at a time.
class Connection {
 public:
  /// `timeout` bounds each wait of `connect` and `send`. kInvalidArgument for a path that cannot be one and for a
  /// socket of this very process, kNotFound when nobody listens, kIo.
  static Result<std::shared_ptr<Connection>> connect(const std::string& path, std::chrono::milliseconds timeout);

  /// The next bytes; none: the peer has ended, or `stop` was called. Waits. Descriptors that came are kept. kPeerLost,
  /// kOutOfMemory when this process may not open so many files, kIo.
  Result<std::vector<std::byte>> receive();
  /// All of them. kPeerLost, kStalled when the peer does not read.
  Status send(std::span<const std::byte> bytes);
  /// Lets `receive` return, now and from now on. The peer does not notice.
  void stop();

  /// Descriptors that came and were not taken.
  [[nodiscard]] std::size_t descriptors() const;
  /// The `count` oldest of them. kProtocol when there are fewer.
  Result<std::vector<Descriptor>> take(std::size_t count);

 private:
  explicit Connection(Descriptor socket) : socket_(std::move(socket)) {}

  Descriptor socket_;
  mutable std::mutex mutex_;
  std::deque<Descriptor> descriptors_;  // guarded by mutex_
};

}  // namespace weightcast::engine
