#include "transfer/operation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <future>
#include <mutex>
#include <string>
#include <thread>

#include "support/bytes.h"
#include "support/fake_lane.h"

namespace weightcast::transfer {
namespace {

using namespace std::chrono_literals;
using memory::RegionPtr;
using test::Behaviour;
using test::FakeLane;
using transport::Lane;

std::vector<Behaviour> one_lane() { return std::vector<Behaviour>(1); }

/// A source, a destination, a plan between them and an operation over fake lanes.
class Pull {
 public:
  explicit Pull(const std::vector<Behaviour>& lanes, std::uint64_t bytes = 256 << 10, std::uint32_t slice = 1024)
      : source(test::random_region(bytes, 42)), destination(test::empty_region(bytes)) {
    const std::vector<Want> wants{{source->address(), bytes, destination->data(), 0}};
    const std::vector<RemoteBuffer> buffers{{source->address(), bytes}};
    auto plan = make_plan(wants, buffers, {.slice_bytes = slice});
    EXPECT_TRUE(plan.ok());
    slices = plan.value().slices.size();
    std::vector<std::shared_ptr<Lane>> made;
    made.reserve(lanes.size());
    for (std::size_t i = 0; i < lanes.size(); ++i) {
      made.push_back(std::make_shared<FakeLane>("lane " + std::to_string(i), source, lanes[i]));
    }
    operation = Operation::create(std::move(plan.value()), {destination}, std::move(made));
  }

  void start() {
    operation->start([this](const Outcome& outcome) { promise_.set_value(outcome); });
  }

  Outcome wait() {
    if (future_.wait_for(60s) != std::future_status::ready) {
      ADD_FAILURE() << "the operation did not finish";
      operation->cancel();
    }
    return future_.get();
  }

  Outcome run() {
    start();
    return wait();
  }

  [[nodiscard]] bool complete() const {
    return std::ranges::equal(test::bytes_of(source), test::bytes_of(destination));
  }

  RegionPtr source;
  RegionPtr destination;
  std::uint64_t slices = 0;
  std::shared_ptr<Operation> operation;

 private:
  std::promise<Outcome> promise_;
  std::future<Outcome> future_ = promise_.get_future();
};

TEST(Operation, LandsEveryByteOverSeveralLanes) {
  Pull pull({{}, {.per_slice = 50us}, {}});
  const Outcome outcome = pull.run();
  ASSERT_TRUE(outcome.status.ok()) << outcome.status.message;
  EXPECT_TRUE(pull.complete());
  EXPECT_EQ(outcome.bytes, pull.source->size());
  ASSERT_EQ(outcome.lanes.size(), 3U);
  std::uint64_t sum = 0;
  for (const LaneOutcome& lane : outcome.lanes) {
    EXPECT_TRUE(lane.status.ok()) << lane.status.message;
    sum += lane.report.bytes;
  }
  EXPECT_EQ(sum, outcome.bytes);
  EXPECT_EQ(outcome.lanes[1].name, "lane 1");
  EXPECT_GT(outcome.wire_ms, 0);
}

TEST(Operation, KeepsALedgerOfWhichLaneLandedWhat) {
  Pull pull({{}, {}}, 64 << 10);
  EXPECT_FALSE(pull.operation->landed_over(0).has_value());
  const Outcome outcome = pull.run();
  std::vector<std::uint64_t> bytes(2, 0);
  for (std::uint32_t i = 0; i < pull.slices; ++i) {
    const auto lane = pull.operation->landed_over(i);
    ASSERT_TRUE(lane.has_value());
    bytes.at(lane.value_or(9)) += 1024;
  }
  EXPECT_EQ(bytes[0], outcome.lanes[0].report.bytes);
  EXPECT_EQ(bytes[1], outcome.lanes[1].report.bytes);
  EXPECT_FALSE(pull.operation->landed_over(static_cast<std::uint32_t>(pull.slices)).has_value());
}

TEST(Operation, FasterLanesTakeMore) {
  Pull pull({{.per_slice = 100us}, {.per_slice = 3000us}});
  const Outcome outcome = pull.run();
  ASSERT_TRUE(outcome.status.ok());
  EXPECT_GT(outcome.lanes[0].report.bytes, 3 * outcome.lanes[1].report.bytes);
}

TEST(Operation, ProgressGrowsToTheTotal) {
  Pull pull(std::vector<Behaviour>{{.per_slice = 20us}});
  EXPECT_EQ(pull.operation->progress().bytes, 0U);
  EXPECT_EQ(pull.operation->progress().total_bytes, pull.source->size());
  EXPECT_EQ(pull.operation->progress().total_slices, pull.slices);
  pull.start();
  std::uint64_t last = 0;
  while (last < pull.source->size()) {
    const Progress now = pull.operation->progress();
    ASSERT_GE(now.bytes, last);
    last = now.bytes;
    std::this_thread::sleep_for(100us);
  }
  EXPECT_TRUE(pull.wait().status.ok());
  EXPECT_EQ(pull.operation->progress().slices, pull.slices);
}

TEST(Operation, SurvivorsFinishWhatABrokenLaneGaveBack) {
  for (const Code code : {Code::kPeerLost, Code::kStalled, Code::kVerbs}) {
    Pull pull({{.fail_after = 3, .failure = code}, {.per_slice = 10us}, {.fail_after = 0, .failure = code}});
    const Outcome outcome = pull.run();
    ASSERT_TRUE(outcome.status.ok()) << outcome.status.message;
    EXPECT_TRUE(pull.complete());
    EXPECT_EQ(outcome.lanes[0].status.code, code);
    EXPECT_TRUE(outcome.lanes[1].status.ok());
  }
}

TEST(Operation, ALaneThatHasNothingToDoWaitsForWhatTheLastMayGiveBack) {
  // One slice: lane 0 or 1 takes it; if it is the slow, failing one, the other must still be there.
  for (int round = 0; round < 20; ++round) {
    Pull pull({{.fail_after = 0}, {.per_slice = 1000us}}, 2048);
    EXPECT_TRUE(pull.run().status.ok());
    EXPECT_TRUE(pull.complete());
  }
}

TEST(Operation, FailsWithTheFirstReasonWhenNoLaneIsLeft) {
  Pull pull({{.fail_after = 2, .failure = Code::kStalled},
             {.fail_after = 40, .failure = Code::kPeerLost, .per_slice = 1000us}});
  const Outcome outcome = pull.run();
  EXPECT_EQ(outcome.status.code, Code::kStalled);
  EXPECT_EQ(outcome.status.message, "lane 0 was told to fail");
  EXPECT_EQ(outcome.bytes, 42U * 1024);
  EXPECT_EQ(outcome.lanes[1].status.code, Code::kPeerLost);
  EXPECT_FALSE(pull.complete());
}

TEST(Operation, StaleMetadataOnOneLaneStopsTheOthers) {
  for (const Code code : {Code::kRemoteAccess, Code::kProtocol, Code::kCancelled}) {
    Pull pull({{.blocks = true}, {.fail_after = 1, .failure = code}, {.blocks = true}});
    const Outcome outcome = pull.run();
    EXPECT_EQ(outcome.status.code, code);
    EXPECT_EQ(outcome.status.message, "lane 1 was told to fail");
    EXPECT_LT(outcome.bytes, pull.source->size());
  }
}

TEST(Operation, TheReasonIsWhatStoppedItAndNotAnEarlierBrokenPath) {
  Pull pull({{.fail_after = 0, .failure = Code::kPeerLost},
             {.fail_after = 3, .failure = Code::kRemoteAccess, .per_slice = 5000us}});
  EXPECT_EQ(pull.run().status.code, Code::kRemoteAccess);
}

TEST(Operation, CancelWakesBlockedLanesAndEndsAsCancelled) {
  Pull pull({{.blocks = true}, {.blocks = true}});
  pull.start();
  std::this_thread::sleep_for(5ms);
  pull.operation->cancel();
  pull.operation->cancel();
  const Outcome outcome = pull.wait();
  EXPECT_EQ(outcome.status.code, Code::kCancelled);
  EXPECT_EQ(outcome.bytes, 0U);
}

TEST(Operation, CancelAtAnyMomentEndsAsCancelledOrComplete) {
  int cancelled = 0;
  for (int round = 0; round < 150; ++round) {
    Pull pull({{.per_slice = 1us}, {}, {.fail_after = round % 40}}, 64 << 10);
    if (round == 0) pull.operation->cancel();
    pull.start();
    std::this_thread::sleep_for(std::chrono::microseconds(round * 15));
    pull.operation->cancel();
    const Outcome outcome = pull.wait();
    if (outcome.status.ok()) {
      EXPECT_TRUE(pull.complete());
    } else {
      EXPECT_EQ(outcome.status.code, Code::kCancelled);
      EXPECT_LT(outcome.bytes, pull.source->size());
      ++cancelled;
    }
    if (round == 0) {
      EXPECT_EQ(outcome.bytes, 0U);
    }
  }
  EXPECT_GT(cancelled, 0);
}

TEST(Operation, CancelAfterTheEndChangesNothing) {
  Pull pull(one_lane(), 4096);
  EXPECT_TRUE(pull.run().status.ok());
  pull.operation->cancel();
  EXPECT_EQ(pull.operation->progress().bytes, 4096U);
}

TEST(Operation, DroppingTheHandleCancelsAndCallsFinished) {
  std::promise<Outcome> promise;
  auto future = promise.get_future();
  {
    Pull pull(std::vector<Behaviour>{{.blocks = true}});
    pull.operation->start([&promise](const Outcome& outcome) { promise.set_value(outcome); });
    pull.operation.reset();
    ASSERT_EQ(future.wait_for(0s), std::future_status::ready);
  }
  EXPECT_EQ(future.get().status.code, Code::kCancelled);
}

TEST(Operation, FinishedMayDropTheLastReference) {
  for (int round = 0; round < 50; ++round) {
    Pull pull({{}, {}}, 4096);
    std::promise<bool> promise;
    std::promise<void> started;
    pull.operation->start(
        [&, keep = pull.operation, go = started.get_future().share()](const Outcome& outcome) mutable {
          go.wait();
          keep.reset();
          promise.set_value(outcome.status.ok());
        });
    pull.operation.reset();
    started.set_value();
    EXPECT_TRUE(promise.get_future().get());
  }
}

TEST(Operation, HoldsItsRegionsUntilItFinishedAndNoLonger) {
  std::weak_ptr<const memory::Region> watched;
  Pull pull(std::vector<Behaviour>{{.blocks = true}});
  watched = pull.destination;
  pull.destination.reset();
  bool alive_at_the_end = true;
  std::promise<void> promise;
  pull.operation->start([&](const Outcome&) {
    alive_at_the_end = !watched.expired();
    promise.set_value();
  });
  EXPECT_FALSE(watched.expired());
  pull.operation->cancel();
  promise.get_future().wait();
  EXPECT_FALSE(alive_at_the_end);
}

TEST(Operation, OfNothingSucceeds) {
  auto plan = make_plan({}, {}, {});
  std::promise<Outcome> promise;
  auto operation = Operation::create(std::move(plan.value()), {}, {});
  operation->start([&promise](const Outcome& outcome) { promise.set_value(outcome); });
  EXPECT_TRUE(promise.get_future().get().status.ok());
}

TEST(Operation, WithoutLanesFails) {
  Pull pull(std::vector<Behaviour>{});
  EXPECT_EQ(pull.run().status.code, Code::kInvalidArgument);
}

TEST(Operation, ThatNeverStartedIsJustDropped) {
  Pull pull(one_lane());
  pull.operation->cancel();
  pull.operation.reset();
}

TEST(Operation, ALaneThatLosesASliceEndsItInsteadOfHangingIt) {
  Pull pull({{.fail_after = 1, .loses_slice = true}, {.per_slice = 200us}});
  const Outcome outcome = pull.run();
  EXPECT_EQ(outcome.status.code, Code::kPeerLost);
  EXPECT_EQ(outcome.bytes, pull.source->size() - 1024);
}

}  // namespace
}  // namespace weightcast::transfer
