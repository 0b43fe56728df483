#pragma once

#include <chrono>
#include <cstdint>

namespace weightcast::transport::rdma {

/// How large the reads of one path are to be, and how much may be in flight on it. Pure arithmetic: no clock of its
/// own, no allocation.
///
/// *Size*: where packets are lost a NIC asks again for everything from the lost one on, so what is thrown away grows
/// with the reads. Down at once, to what the distance between two losses leaves room for; up by doubling, each time
/// after many clean reads.
///
/// *Window*: what a path brings in 0.2 s. Only a rail that is slow for what it has in flight is held back by that: at
/// the end of a transfer the others would wait for it. Reads are at most a quarter of the window, so that it can be
/// kept.
/// After losses it is what comes in 0.08 s: more would be asked for again with each of them, and a queue pair that
/// waits for longer than the ACK timeout (67 ms) for its turn takes that for a loss.
///
/// *Spread*: after losses, reads over several queue pairs, unless that leaves each with less than two.
class Pacing {
 public:
  /// Smaller reads cost more in requests than they save, also where one packet of a hundred is lost.
  static constexpr std::uint64_t kLeastRead = 64U << 10U;
  static constexpr std::uint64_t kUnlimited = ~std::uint64_t{0};

  /// What happened in `time` (more than 0) in which reads were in flight: bytes that came, and how often something had
  /// to be sent again.
  void observe(std::chrono::nanoseconds time, std::uint64_t bytes, std::uint64_t retransmits);

  /// Largest read to post, bytes; at least kLeastRead. kUnlimited: slices as they are.
  [[nodiscard]] std::uint64_t read_bytes() const;
  /// Most bytes in flight; at least four reads.
  [[nodiscard]] std::uint64_t window_bytes() const;
  /// Whether packets were lost lately: reads are smaller for that reason.
  [[nodiscard]] bool lossy() const { return loss_limit_ != kUnlimited; }
  /// Whether to read over all of `queue_pairs`, and not only over those for the clean path.
  [[nodiscard]] bool spread(std::uint32_t queue_pairs) const;
  /// All that were told.
  [[nodiscard]] std::uint64_t retransmits() const { return retransmits_; }

 private:
  void lost(std::uint64_t distance);
  void clean(std::uint64_t bytes);

  std::uint64_t loss_limit_ = kUnlimited;
  std::uint64_t clean_bytes_ = 0;  // since the last loss or step up
  std::uint64_t retransmits_ = 0;
  std::chrono::nanoseconds waited_{};  // since bytes came
  double rate_ = 0;                    // bytes a second, smoothed; 0 before the first byte
};

}  // namespace weightcast::transport::rdma
