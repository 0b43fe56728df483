#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "memory/region.h"
#include "transport/tcp/ranges.h"
#include "transport/tcp/socket.h"
#include "transport/tcp/wire.h"

namespace weightcast::transport::tcp {

/// What the workers of one server count together.
struct AtomicCounters {
  std::atomic<std::uint64_t> connections = 0, requests = 0, rejected = 0, bytes = 0;
};

/// One served connection as a state machine over a non-blocking socket. Used by one worker thread.
///
///   header ──(24 bytes)──▶ range check ──ok──▶ answer ──(all sent)──▶ header
///                              └──no──▶ v1: close;  v2: answer of a status alone ──▶ linger ──▶ close
class Connection {
 public:
  /// What the connection waits for.
  enum class Wants : std::uint8_t { kRead, kWrite, kClose };

  Connection(Fd socket, const RangeStore& ranges, AtomicCounters& counters);

  /// Goes as far as it can without blocking, but no further than a share of bytes that leaves the worker's other
  /// connections their turn. To be called again when the socket is ready for what was returned.
  Wants advance();

  [[nodiscard]] int fd() const { return socket_.get(); }
  /// Between two requests: closing it now costs the peer a reconnect and no bytes.
  [[nodiscard]] bool idle() const { return state_ == State::kHeader && header_used_ == 0; }
  /// Refused, and waiting for the peer to hang up first, so that the status is not lost to a reset.
  [[nodiscard]] bool lingering() const { return state_ == State::kLinger; }
  [[nodiscard]] Clock::time_point last_active() const { return last_active_; }

 private:
  enum class State : std::uint8_t { kHeader, kAnswer, kLinger };
  enum class Step : std::uint8_t { kDone, kBlocked, kFailed };

  Step read_header();
  bool begin_answer();
  Step send_answer(std::uint64_t& share);
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
  Clock::time_point last_active_ = Clock::now();
};

}  // namespace weightcast::transport::tcp
