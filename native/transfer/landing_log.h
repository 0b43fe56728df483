#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace weightcast::transfer {

/// The slices of a running transfer in the order in which they landed, for threads that do something with their bytes
/// while the cache has them. Each slice is written once and taken once. Lanes write it without a lock, an allocation
/// or a wait; of a wake-up they pay only every `batch` slices.
class LandingLog {
 public:
  LandingLog(std::size_t slices, std::uint64_t batch) : entries_(slices), batch_(batch == 0 ? 1 : batch) {}

  /// Lanes: at most once for each slice.
  void landed(std::uint32_t slice);
  /// Takers: the next slice, or nothing at the moment. Any number of threads.
  std::optional<std::uint32_t> take();
  /// Takers: blocks until a batch of slices is there. False: the transfer ended; what is left is still in the log.
  bool wait();
  /// Every slice has landed and been taken.
  [[nodiscard]] bool drained() const { return taken_.load() == entries_.size(); }
  /// Nothing lands any more: no taker waits, now or later. Any thread, idempotent.
  void end();

 private:
  [[nodiscard]] bool worth_waking() const;

  std::vector<std::atomic<std::uint32_t>> entries_;  // slice + 1; 0: not landed yet
  const std::uint64_t batch_;
  std::atomic<std::uint64_t> written_ = 0;
  std::atomic<std::uint64_t> taken_ = 0;
  std::atomic<std::uint32_t> waiting_ = 0;   // takers in wait()
  std::atomic<std::uint32_t> wake_ups_ = 0;  // what they wait for to change
  std::atomic<bool> ended_ = false;
};

}  // namespace weightcast::transfer
