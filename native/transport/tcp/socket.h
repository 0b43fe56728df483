#pragma once

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "common/status.h"

namespace weightcast::transport::tcp {

using Clock = std::chrono::steady_clock;

/// Whether the `errno` of a non-blocking call says: later.
constexpr bool would_block(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

/// Owns a file descriptor. Move-only.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { reset(); }

  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool valid() const { return fd_ >= 0; }
  void reset();

 private:
  int fd_ = -1;
};

/// An eventfd that ends a poll() or epoll_wait() of another thread.
class WakeUp {
 public:
  WakeUp();
  [[nodiscard]] bool valid() const { return fd_.valid(); }
  [[nodiscard]] int fd() const { return fd_.get(); }
  void signal() const;  ///< any thread
  void drain() const;

 private:
  Fd fd_;
};

/// What may end a wait early: `wake` makes it look at `stop`.
struct Interruption {
  const WakeUp& wake;
  std::function<bool()> stop;
};

/// Blocks until one of the poll() `events` (or an error, which the next call on the socket reports) is there.
/// kStalled at the deadline, kCancelled when `stop` says so, kIo.
Status wait_ready(int fd, short events, Clock::time_point deadline, const Interruption& interruption);

/// A connected, non-blocking socket with TCP_NODELAY. `host` is a name, an IPv4 or an IPv6 address (brackets allowed);
/// its addresses are tried one after the other until the timeout. kPeerLost, kCancelled, kIo.
Result<Fd> connect_to(const std::string& host, std::uint16_t port, std::chrono::milliseconds timeout,
                      const Interruption& interruption);

/// A listening, non-blocking socket; `host` "" is dual stack, or IPv4 alone where the kernel has no IPv6. kIo.
Result<Fd> listen_on(const std::string& host, std::uint16_t port);

/// The local port of a bound socket; 0 if there is none.
std::uint16_t bound_port(int fd);

/// Small messages leave at once, and a peer that vanished without a word is noticed by keep-alive probes.
void tune_stream(int fd);

}  // namespace weightcast::transport::tcp
