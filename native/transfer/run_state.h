#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "memory/region.h"
#include "transfer/operation.h"
#include "transfer/plan.h"
#include "transfer/staging.h"
#include "transport/transport.h"

namespace weightcast::transfer {

/// What the lane threads of one operation share; each of them holds a reference, so it outlives the Operation handle.
///
/// Taking and landing slices is lock-free: a cursor over the plan, a byte a slice for the ledger. The mutex guards the
/// rare rest: slices that came back, lanes that wait for such, the end.
class RunState final : public transport::SliceFeed {
 public:
  RunState(Plan plan, std::vector<memory::RegionPtr> regions, std::vector<std::shared_ptr<transport::Lane>> lanes,
           Listeners listeners, std::optional<Staging> staging);

  // What lanes call.
  std::optional<std::uint32_t> take() override;
  [[nodiscard]] const transport::Slice& slice(std::uint32_t index) const override { return plan_.slices[index]; }
  [[nodiscard]] std::span<const transport::Segment> segments(std::uint32_t index) const override;
  void landed(std::uint32_t index, std::uint32_t lane) override;
  void give_back(std::uint32_t index) override;
  bool wait_for_work() override;
  void heard(std::chrono::steady_clock::time_point when) override;
  void fell_silent(std::uint32_t index, std::chrono::milliseconds time) override;
  [[nodiscard]] bool stopping() const override { return stopping_.load(std::memory_order_relaxed); }

  // What the operation calls.
  void begin(std::function<void(const Outcome&)> finished);
  /// Body of lane thread `index`. The thread of the lane that returns last calls `finished`.
  void run_lane(std::uint32_t index);
  /// Ends lane `index` with `status`, whether it ran or not.
  void lane_returned(std::uint32_t index, Status status);
  /// Calls `finished` of an operation without lanes.
  void finish();
  void cancel();
  [[nodiscard]] Progress progress() const;
  [[nodiscard]] std::optional<std::uint32_t> landed_over(std::uint32_t slice) const;
  [[nodiscard]] std::uint32_t lane_count() const { return static_cast<std::uint32_t>(outcomes_.size()); }

 private:
  using Clock = std::chrono::steady_clock;

  [[nodiscard]] bool all_landed() const { return landed_count_.load() == plan_.slices.size(); }
  [[nodiscard]] bool available() const;
  void stop_locked();
  Status run_staged(std::uint32_t index, const Staging& staging);
  void start_together();
  [[nodiscard]] Status verdict() const;

  const Plan plan_;
  const Listeners listeners_;
  std::vector<memory::RegionPtr> regions_;               // guarded by mutex_ once started
  std::vector<std::shared_ptr<transport::Lane>> lanes_;  // guarded by mutex_ once started
  std::optional<Staging> staging_;                       // as they

  std::atomic<std::uint64_t> cursor_ = 0;           // the first slice that was never taken
  std::vector<std::atomic<std::uint32_t>> ledger_;  // 0: not landed; lane + 1
  std::atomic<std::uint64_t> landed_count_ = 0;
  std::atomic<std::uint64_t> landed_bytes_ = 0;
  std::atomic<std::int64_t> last_landing_ns_ = 0;  // since start
  std::atomic<std::int64_t> last_heard_ns_ = 0;    // since start
  std::atomic<bool> stopping_ = false;
  std::atomic<bool> cancelled_ = false;
  std::atomic<std::uint64_t> given_back_count_ = 0;  // size of given_back_, readable without the lock

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::uint32_t> given_back_;
  std::vector<bool> was_given_back_;  // of each slice, ever
  std::uint32_t active_;              // lanes that have not returned
  std::uint32_t started_lanes_ = 0;   // lanes whose thread has begun
  std::uint32_t waiting_ = 0;         // of those that have not returned, in wait_for_work
  bool silent_ = false;               // no lane hears anything of the peer
  bool exhausted_ = false;            // all of those wait: nobody is left to give anything back
  Status reason_;                     // of the failure, should it come to that
  std::vector<LaneOutcome> outcomes_;
  Clock::time_point started_;
  std::function<void(const Outcome&)> finished_;
};

}  // namespace weightcast::transfer
