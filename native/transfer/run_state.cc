#include "transfer/run_state.h"

#include <string>
#include <utility>

namespace weightcast::transfer {
namespace {

// Failures of what all lanes share: the metadata, the peer's dialect, the accelerator, the wish to go on. The rest is
// one path's trouble.
bool ends_operation(Code code) {
  return code == Code::kRemoteAccess || code == Code::kProtocol || code == Code::kDevice || code == Code::kCancelled;
}

}  // namespace

RunState::RunState(Plan plan, std::vector<memory::RegionPtr> regions,
                   std::vector<std::shared_ptr<transport::Lane>> lanes, Listeners listeners,
                   std::optional<Staging> staging)
    : plan_(std::move(plan)),
      listeners_(std::move(listeners)),
      regions_(std::move(regions)),
      lanes_(std::move(lanes)),
      staging_(std::move(staging)),
      ledger_(plan_.slices.size()),
      was_given_back_(plan_.slices.size()),
      active_(static_cast<std::uint32_t>(lanes_.size())),
      outcomes_(lanes_.size()) {
  given_back_.reserve(plan_.slices.size());  // give_back must not allocate
}

std::optional<std::uint32_t> RunState::take() {
  if (stopping()) return std::nullopt;
  if (given_back_count_.load(std::memory_order_relaxed) > 0) {
    const std::lock_guard lock(mutex_);
    if (!given_back_.empty()) {
      const std::uint32_t index = given_back_.back();
      given_back_.pop_back();
      given_back_count_.store(given_back_.size(), std::memory_order_relaxed);
      return index;
    }
  }
  // Looked at before it is moved: lanes that ask again and again must not carry it round.
  if (cursor_.load(std::memory_order_relaxed) >= plan_.slices.size()) return std::nullopt;
  const std::uint64_t index = cursor_.fetch_add(1, std::memory_order_relaxed);
  if (index >= plan_.slices.size()) return std::nullopt;
  return static_cast<std::uint32_t>(index);
}

std::span<const transport::Segment> RunState::segments(std::uint32_t index) const {
  const transport::Slice& of = plan_.slices[index];
  return std::span(plan_.segments).subspan(of.first_segment, of.segment_count);
}

void RunState::landed(std::uint32_t index, std::uint32_t lane) {
  if (ledger_[index].exchange(lane + 1) != 0) return;
  if (listeners_.follower != nullptr) listeners_.follower->landed(index);
  if (listeners_.chunks != nullptr) listeners_.chunks->landed(segments(index));
  landed_bytes_.fetch_add(plan_.slices[index].length, std::memory_order_relaxed);
  last_landing_ns_.store(std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - started_).count(),
                         std::memory_order_relaxed);
  if (landed_count_.fetch_add(1) + 1 < plan_.slices.size()) return;
  const std::lock_guard lock(mutex_);
  changed_.notify_all();
}

void RunState::give_back(std::uint32_t index) {
  const std::lock_guard lock(mutex_);
  given_back_.push_back(index);
  was_given_back_[index] = true;
  given_back_count_.store(given_back_.size(), std::memory_order_relaxed);
  changed_.notify_one();
}

bool RunState::available() const {
  return !given_back_.empty() || cursor_.load(std::memory_order_relaxed) < plan_.slices.size();
}

bool RunState::wait_for_work() {
  std::unique_lock lock(mutex_);
  ++waiting_;
  changed_.wait(lock, [this] {
    // A lane that returned without giving back would otherwise leave the others waiting for ever.
    if (waiting_ == active_ && !available() && !exhausted_) {
      exhausted_ = true;
      changed_.notify_all();
    }
    return stopping() || all_landed() || exhausted_ || available();
  });
  --waiting_;
  return !stopping() && available();
}

void RunState::heard(Clock::time_point when) {
  last_heard_ns_.store((when - started_) / std::chrono::nanoseconds(1), std::memory_order_relaxed);
}

void RunState::fell_silent(std::uint32_t index, std::chrono::milliseconds time) {
  const std::chrono::nanoseconds last(last_heard_ns_.load(std::memory_order_relaxed));
  const bool all = Clock::now() - started_ - last >= time;
  const std::lock_guard lock(mutex_);
  silent_ = silent_ || (all && was_given_back_[index]);
}

void RunState::begin(std::function<void(const Outcome&)> finished) {
  finished_ = std::move(finished);
  if (listeners_.follower != nullptr) listeners_.follower->start();
  started_ = Clock::now();
}

void RunState::run_lane(std::uint32_t index) {
  if (staging_) return lane_returned(index, run_staged(index, *staging_));
  start_together();
  lane_returned(index, lanes_[index]->run(*this, index));
}

Status RunState::run_staged(std::uint32_t index, const Staging& staging) {
  auto feed = StagedFeed::open(*this, staging, regions_, index, lane_count());
  if (!feed.ok()) return std::move(feed.status());
  start_together();
  Status status = lanes_[index]->run(*feed.value(), index);
  Status copied = feed.value()->finish();
  return copied.ok() ? status : copied;
}

/// A thread that is up first would otherwise have taken a small plan before the others run.
void RunState::start_together() {
  std::unique_lock lock(mutex_);
  ++started_lanes_;
  changed_.notify_all();
  changed_.wait(lock, [this] { return started_lanes_ >= active_ || stopping(); });
}

void RunState::lane_returned(std::uint32_t index, Status status) {
  bool last = false;
  {
    const std::lock_guard lock(mutex_);
    // What stops the operation is its reason, even when another path broke before.
    const bool decisive = ends_operation(status.code) || (silent_ && status.code == Code::kStalled);
    if (!status.ok() && !stopping() && (decisive || reason_.ok())) reason_ = status;
    if (decisive) stop_locked();
    outcomes_[index] = {lanes_[index]->name(), lanes_[index]->report(), std::move(status)};
    last = --active_ == 0;
    changed_.notify_all();
  }
  if (last) finish();
}

void RunState::stop_locked() {
  stopping_.store(true);
  for (const auto& lane : lanes_) lane->interrupt();
  changed_.notify_all();
}

void RunState::cancel() {
  const std::lock_guard lock(mutex_);
  if (all_landed() || cancelled_.exchange(true)) return;
  stop_locked();
}

Status RunState::verdict() const {
  // A peer that sends what was not asked for may have done so before, in the place of what was.
  if (reason_.code == Code::kProtocol) return reason_;
  if (all_landed()) return Status::success();
  if (cancelled_.load()) return Status::error(Code::kCancelled, "The transfer was cancelled");
  if (!reason_.ok()) return reason_;
  if (outcomes_.empty()) return Status::error(Code::kInvalidArgument, "A transfer needs at least one lane");
  return Status::error(Code::kInternal, "Every lane returned, but not every slice has landed");
}

void RunState::finish() {
  if (listeners_.follower != nullptr) listeners_.follower->stop();
  Outcome outcome;
  std::function<void(const Outcome&)> finished;
  {
    // Destroyed outside of the lock, and before `finished`: whoever waits for that may expect the memory to be free.
    std::vector<std::shared_ptr<transport::Lane>> lanes;
    std::vector<memory::RegionPtr> regions;
    std::optional<Staging> staging;
    const std::lock_guard lock(mutex_);
    lanes.swap(lanes_);
    regions.swap(regions_);
    staging.swap(staging_);
    outcome.status = verdict();
    outcome.bytes = landed_bytes_.load();
    outcome.wire_ms = static_cast<double>(last_landing_ns_.load()) / 1e6;
    outcome.lanes = std::move(outcomes_);
    finished = std::move(finished_);
  }
  if (finished) finished(outcome);
}

Progress RunState::progress() const {
  return {.bytes = landed_bytes_.load(std::memory_order_relaxed),
          .total_bytes = plan_.bytes,
          .slices = landed_count_.load(std::memory_order_relaxed),
          .total_slices = plan_.slices.size()};
}

std::optional<std::uint32_t> RunState::landed_over(std::uint32_t slice) const {
  if (slice >= ledger_.size()) return std::nullopt;
  const std::uint32_t entry = ledger_[slice].load();
  if (entry == 0) return std::nullopt;
  return entry - 1;
}

}  // namespace weightcast::transfer
