#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <utility>

#include "memory/region.h"
#include "transport/transport.h"

namespace weightcast::test {

struct Behaviour {
  int fail_after = -1;  ///< slices; -1 never
  Code failure = Code::kPeerLost;
  std::chrono::microseconds per_slice{0};
  bool soils = false;        ///< leaves other bytes where it fails
  bool blocks = false;       ///< holds its first slice until interrupted
  bool loses_slice = false;  ///< breaks the contract: fails without giving back
};

/// Copies slices from memory of this process, with the failures that the test asks for.
class FakeLane final : public transport::Lane {
 public:
  FakeLane(std::string name, memory::RegionPtr source, Behaviour behaviour)
      : name_(std::move(name)), source_(std::move(source)), behaviour_(behaviour) {}
  FakeLane(const FakeLane&) = delete;
  FakeLane& operator=(const FakeLane&) = delete;
  FakeLane(FakeLane&&) = delete;
  FakeLane& operator=(FakeLane&&) = delete;
  ~FakeLane() override { EXPECT_FALSE(running_.load()); }

  [[nodiscard]] std::string name() const override { return name_; }
  [[nodiscard]] const transport::LaneReport& report() const override { return report_; }

  void interrupt() override {
    const std::lock_guard lock(mutex_);
    interrupted_ = true;
    woken_.notify_all();
  }

  Status run(transport::SliceFeed& feed, std::uint32_t lane_index) override {
    running_.store(true);
    Status status = loop(feed, lane_index);
    running_.store(false);
    return status;
  }

 private:
  Status loop(transport::SliceFeed& feed, std::uint32_t lane_index) {
    for (int done = 0;; ++done) {
      const auto index = feed.take();
      if (!index) {
        --done;
        if (!feed.wait_for_work()) break;
        continue;
      }
      ++report_.work_requests;
      if (done == behaviour_.fail_after) {
        if (behaviour_.soils) soil(feed.segments(*index));
        if (!behaviour_.loses_slice) feed.give_back(*index);
        return Status::error(behaviour_.failure, name_ + " was told to fail");
      }
      if (behaviour_.blocks) {
        std::unique_lock lock(mutex_);
        woken_.wait(lock, [&] { return interrupted_ && feed.stopping(); });
      }
      if (feed.stopping()) {
        feed.give_back(*index);
        return Status::error(Code::kCancelled, name_ + " was stopped");
      }
      if (behaviour_.per_slice.count() > 0) std::this_thread::sleep_for(behaviour_.per_slice);
      const std::byte* from = source_->data() + (feed.slice(*index).remote_address - source_->address());
      for (const auto& segment : feed.segments(*index)) {
        std::copy_n(from, segment.length, segment.address);
        from += segment.length;
      }
      report_.bytes += feed.slice(*index).length;
      feed.landed(*index, lane_index);
    }
    return Status::success();
  }

  static void soil(std::span<const transport::Segment> segments) {
    for (const auto& segment : segments) std::fill_n(segment.address, segment.length, std::byte{0xee});
  }

  std::string name_;
  memory::RegionPtr source_;
  Behaviour behaviour_;
  transport::LaneReport report_;
  std::atomic<bool> running_ = false;
  std::mutex mutex_;
  std::condition_variable woken_;
  bool interrupted_ = false;
};

}  // namespace weightcast::test
