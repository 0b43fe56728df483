#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <thread>
#include <vector>

#include "transport/tcp/socket.h"

namespace weightcast::test {

/// A plain blocking socket with a deadline of some seconds for each call, so that a broken test ends.
class Stream {
 public:
  explicit Stream(transport::tcp::Fd socket);
  /// Connects to 127.0.0.1. `receive_buffer` bytes of SO_RCVBUF; 0 leaves the default.
  static Stream to(std::uint16_t port, int receive_buffer = 0);

  [[nodiscard]] bool valid() const { return socket_.valid(); }
  /// False when the other side is gone.
  bool send(std::span<const std::byte> bytes) const;
  bool send(std::string_view text) const;
  /// Up to `count` bytes; fewer when the other side closed, reset or went silent.
  [[nodiscard]] std::vector<std::byte> receive(std::size_t count) const;
  /// The other side closed or reset, with nothing before it.
  [[nodiscard]] bool at_end() const;
  /// Nothing more will be sent; the answers can still be received.
  bool end_of_requests() const;
  void hang_up() { socket_.reset(); }
  /// Closes with a reset instead of an orderly end.
  void reset();

 private:
  transport::tcp::Fd socket_;
};

/// A listener on 127.0.0.1 that runs a script over each connection, one after the other, as old Mooncake peers do.
class ScriptedPeer {
 public:
  using Script = std::function<void(Stream& stream, unsigned connection)>;
  explicit ScriptedPeer(Script script);
  ~ScriptedPeer();
  ScriptedPeer(const ScriptedPeer&) = delete;
  ScriptedPeer& operator=(const ScriptedPeer&) = delete;
  ScriptedPeer(ScriptedPeer&&) = delete;
  ScriptedPeer& operator=(ScriptedPeer&&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] unsigned connections() const { return connections_.load(); }
  /// Refuses all further connections.
  void stop();

 private:
  Script script_;
  transport::tcp::Fd listener_;
  transport::tcp::WakeUp wake_;
  std::uint16_t port_;
  std::atomic<bool> stopping_ = false;
  std::atomic<unsigned> connections_ = 0;
  std::thread thread_;
};

}  // namespace weightcast::test
