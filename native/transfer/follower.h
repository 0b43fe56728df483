#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <unordered_map>
#include <vector>

#include "common/status.h"
#include "memory/region.h"
#include "topology/numbers.h"
#include "transfer/landing_log.h"
#include "transfer/plan.h"

namespace weightcast::transfer {

/// Checksums of what is being read: XXH3-64 (seed 0) of wants, computed by threads of its own behind the lanes, while
/// the bytes are in the cache still. A want that lies in one slice is hashed when that has landed; one that lies in
/// several is hashed slice by slice, as far as they have landed without a gap. What the wire's end leaves over,
/// `finish` does.
class Follower {
 public:
  /// `plan` is traced and made of `wants`; checksums are asked for of those whose row in `asked` is not 0.
  /// `threads`: of its own while the transfer runs, kept in turn on the processors of the lanes that they follow, where
  /// those are kept. Holds no region.
  Follower(const Plan& plan, std::span<const Want> wants, std::span<const std::uint8_t> asked,
           const std::vector<memory::RegionPtr>& regions, unsigned threads,
           std::vector<topology::Numbers> processors = {});
  Follower(const Follower&) = delete;
  Follower& operator=(const Follower&) = delete;
  Follower(Follower&&) = delete;
  Follower& operator=(Follower&&) = delete;
  ~Follower();

  /// Before the first slice lands. Where the system gives no thread, all is left for `finish`.
  void start();
  /// Lanes: the slice's bytes are in local memory. Once for each slice; never waits.
  void landed(std::uint32_t slice) { log_.landed(slice); }
  /// After it, nothing of local memory is read any more. Waits for what is hashed just now: one slice a thread.
  void stop();

  [[nodiscard]] std::uint64_t total_bytes() const { return total_bytes_; }
  /// Any thread; does not grow any more once stopped.
  [[nodiscard]] std::uint64_t hashed_bytes() const { return hashed_bytes_.load(std::memory_order_relaxed); }

  /// The checksums by want, 0 where none was asked for, after `stop` and once every slice has landed: hashes what is
  /// left with `threads` threads. Once. `done_bytes` counts up by what it hashes; `cancel` ends it with kCancelled.
  /// kClosed when a region is gone, kOutOfMemory.
  Result<std::vector<std::uint64_t>> finish(unsigned threads, std::atomic<std::uint64_t>& done_bytes,
                                            const std::atomic<bool>& cancel);

 private:
  /// A want in the plan's order. Its bytes are [begin, begin + length) of all that the slices bring.
  struct Part {
    std::uint64_t begin;
    std::uint64_t length;
    const std::byte* data;
    std::uint32_t want;
  };
  /// A want of several slices, begun.
  struct Chain;
  /// A time in which threads hash.
  struct Round {
    const std::atomic<bool>& stop;
    std::atomic<std::uint64_t>& hashed_bytes;
  };

  void follow();
  /// A thread of ours, near the lane that it follows. False when the system gives no more.
  template <typename Body>
  bool spawn(std::vector<std::thread>& threads, Body body);
  void settle_down(std::size_t thread) const;
  void hash_slice(std::uint32_t slice, const Round& round);
  void hash_chain(Chain& chain, const Round& round);
  Chain* begin_chain(std::size_t index);
  [[nodiscard]] bool ready(const Chain& chain) const;

  std::vector<Part> parts_;            // of the wants asked for
  std::vector<std::uint64_t> begins_;  // by rank: where each slice begins; then where the last ends
  std::vector<std::uint32_t> rank_;    // of each slice; empty: its index
  std::vector<std::weak_ptr<const memory::Region>> regions_;
  std::vector<std::uint64_t> sums_;  // by want; each is written by the one thread that has hashed it
  std::uint64_t total_bytes_ = 0;
  LandingLog log_;

  const unsigned thread_count_;
  const std::vector<topology::Numbers> processors_;  // of each lane
  std::vector<std::thread> threads_;
  std::atomic<bool> stopping_ = false;
  std::atomic<bool> failed_ = false;  // no memory: a slice was taken and not hashed
  std::atomic<std::uint64_t> hashed_bytes_ = 0;

  std::mutex mutex_;                                                // guards the rest; lanes never take it
  std::vector<bool> taken_;                                         // by rank: slices that have come out of the log
  std::unordered_map<std::size_t, std::unique_ptr<Chain>> chains_;  // by part
};

}  // namespace weightcast::transfer
