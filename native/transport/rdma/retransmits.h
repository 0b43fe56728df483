#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace weightcast::transport::rdma {

/// How often a port had to ask for something again: from the device's own counters in sysfs (of the port, so all
/// programs' reads count) or, where they cannot be read, as in some containers, from silences. One thread.
class Retransmits {
 public:
  using Clock = std::chrono::steady_clock;

  /// `folder`: of the port's counters. `ack_timeout`: after which a NIC asks again by itself.
  Retransmits(const std::string& folder, std::chrono::nanoseconds ack_timeout);
  ~Retransmits();
  Retransmits(const Retransmits&) = delete;
  Retransmits& operator=(const Retransmits&) = delete;

  /// Where a device's port has its counters.
  static std::string folder_of(const std::string& device, unsigned port);

  /// Whether there are counters. Without them only silences count: no completion for longer than the ACK timeout and
  /// eight times as long as usual. Losses that the NIC heard of sooner are then not seen.
  [[nodiscard]] bool counted() const { return !files_.empty(); }

  /// Since the last call. System calls, one a counter: not for every completion. `last_completion` is when one came
  /// last; `usual` how long that takes, and 0 while that is not known.
  std::uint64_t sample(Clock::time_point now, Clock::time_point last_completion, std::chrono::nanoseconds usual);

 private:
  [[nodiscard]] std::uint64_t total() const;

  std::vector<int> files_;
  std::chrono::nanoseconds ack_timeout_;
  std::uint64_t before_ = 0;
  Clock::time_point silent_since_;  // the silence that was counted last
};

}  // namespace weightcast::transport::rdma
