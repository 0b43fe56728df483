#include "transfer/landing_log.h"

namespace weightcast::transfer {

void LandingLog::landed(std::uint32_t slice) {
  const std::uint64_t place = written_.fetch_add(1);
  entries_[place].store(slice + 1);
  // While takers sleep nothing is taken, so that the backlog meets every multiple of the batch.
  if (waiting_.load() == 0 || (place + 1 - taken_.load()) % batch_ != 0) return;
  wake_ups_.fetch_add(1);
  wake_ups_.notify_one();
}

std::optional<std::uint32_t> LandingLog::take() {
  std::uint64_t place = taken_.load();
  while (place < entries_.size()) {
    const std::uint32_t entry = entries_[place].load();
    if (entry == 0) return std::nullopt;
    if (taken_.compare_exchange_weak(place, place + 1)) return entry - 1;
  }
  return std::nullopt;
}

bool LandingLog::worth_waking() const {
  const std::uint64_t place = taken_.load();
  // A lane may have claimed the next entry and not written it yet: that is nothing to spin for.
  return place < entries_.size() && entries_[place].load() != 0 && written_.load() - place >= batch_;
}

bool LandingLog::wait() {
  while (!ended_.load()) {
    const std::uint32_t seen = wake_ups_.load();
    waiting_.fetch_add(1);
    const bool wakes = ended_.load() || worth_waking();
    if (!wakes) wake_ups_.wait(seen);
    waiting_.fetch_sub(1);
    if (worth_waking()) return !ended_.load();
  }
  return false;
}

void LandingLog::end() {
  ended_.store(true);
  wake_ups_.fetch_add(1);
  wake_ups_.notify_all();
}

}  // namespace weightcast::transfer
