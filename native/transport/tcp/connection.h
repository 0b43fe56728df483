#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "memory/region.h"
#include "transport/tcp/ranges.h"
#include "transport/tcp/socket.h"
#include "transport/tcp/wire.h"
#include "transport/tcp/zero_copy.h"

namespace weightcast::transport::tcp {

/// What the workers of one server count together.
struct AtomicCounters {
  std::atomic<std::uint64_t> connections = 0, requests = 0, rejected = 0, bytes = 0;
  ZeroCopyCounters zero_copy;
};

/// One served connection as a state machine over a non-blocking socket. Used by one worker thread.
///
///   header ──(24 bytes)──▶ range check ──ok──▶ answer ──(all sent)──▶ header
///                              └──no──▶ v1: close;  v2: answer of a status alone ──▶ linger ──▶ close
///
/// A peer that hung up while the kernel still reads its answers out of the region is waited for (kDrain) before the
/// connection closes. Destroying it earlier resets the connection: what was not acknowledged is lost, and the region
/// is free.
class Connection {
 public:
  /// What the connection waits for.
  enum class Wants : std::uint8_t { kRead, kWrite, kNothing, kClose };

  Connection(Fd socket, const RangeStore& ranges, AtomicCounters& counters, ZeroCopy zero_copy);
  Connection(Connection&&) = default;
  Connection& operator=(Connection&&) = delete;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection();

  /// Goes as far as it can without blocking, but no further than a share of bytes that leaves the worker's other
  /// connections their turn. To be called again when the socket is ready for what was returned.
  Wants advance();

  [[nodiscard]] int fd() const { return socket_.get(); }
  /// Between two requests: closing it now costs the peer a reconnect and no bytes.
  [[nodiscard]] bool idle() const { return state_ == State::kHeader && header_used_ == 0 && !zero_copy_.in_flight(); }
  /// Ended but for what must not be lost to a reset: refused, and waiting for the peer to hang up first, or draining.
  [[nodiscard]] bool lingering() const { return state_ == State::kLinger || state_ == State::kDrain; }
  [[nodiscard]] Clock::time_point last_active() const { return last_active_; }

 private:
  enum class State : std::uint8_t { kHeader, kAnswer, kLinger, kDrain };
  enum class Step : std::uint8_t { kDone, kBlocked, kEnded, kFailed };

  Step read_header();
  bool begin_answer();
  Wants hang_up();
  Step send_answer(std::uint64_t& share);
  ssize_t send_body(std::uint64_t bytes);
  Step discard_input();

  Fd socket_;
  const RangeStore& ranges_;
  AtomicCounters& counters_;
  State state_ = State::kHeader;
  std::array<std::byte, kRequestBytes> header_{};
  std::size_t header_used_ = 0;
  std::array<std::byte, kStatusBytes> status_{};
  std::size_t status_left_ = 0;
  memory::RegionPtr region_;  // keeps the bytes of the running answer mapped
  const std::byte* body_ = nullptr;
  std::uint64_t body_left_ = 0;
  std::uint64_t discarded_ = 0;
  bool refused_ = false;
  ZeroCopySends zero_copy_;
  Clock::time_point last_active_ = Clock::now();
};

}  // namespace weightcast::transport::tcp
