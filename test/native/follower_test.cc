#include "transfer/follower.h"

#include <gtest/gtest.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <future>
#include <numeric>
#include <random>
#include <thread>

#include "support/bytes.h"
#include "support/fake_lane.h"
#include "transfer/operation.h"

namespace weightcast::transfer {
namespace {

using namespace std::chrono_literals;
using memory::RegionPtr;

/// Waits for what another thread brings about. False after a minute.
template <typename Condition>
bool eventually(Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + 60s;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

/// Wants from one region into others, and what lands them slice by slice.
struct Transfer {
  RegionPtr source;
  std::vector<RegionPtr> into;
  std::vector<Want> wants{};
  Plan plan{};

  void make(const PlanOptions& options) {
    const std::vector<RemoteBuffer> buffers{{source->address(), source->size()}};
    auto made = make_plan(wants, buffers, options);
    ASSERT_TRUE(made.ok()) << made.status().message;
    plan = std::move(made.value());
  }

  void land(std::uint32_t index, Follower& follower) const {
    const auto& slice = plan.slices[index];
    const std::byte* from = source->data() + (slice.remote_address - source->address());
    for (const auto& segment : std::span(plan.segments).subspan(slice.first_segment, slice.segment_count)) {
      std::memcpy(segment.address, from, segment.length);
      from += segment.length;
    }
    follower.landed(index);
  }

  /// What the checksums have to be: of the source's bytes, whatever has landed.
  [[nodiscard]] std::vector<std::uint64_t> expected(const std::vector<std::uint8_t>& asked) const {
    std::vector<std::uint64_t> sums(wants.size());
    for (std::size_t i = 0; i < wants.size(); ++i) {
      const std::byte* from = source->data() + (wants[i].remote_address - source->address());
      if (asked[i] != 0) sums[i] = XXH3_64bits(from, wants[i].length);
    }
    return sums;
  }

  [[nodiscard]] std::vector<std::uint32_t> slices() const {
    std::vector<std::uint32_t> all(plan.slices.size());
    std::iota(all.begin(), all.end(), 0U);
    return all;
  }
};

/// `count` wants of `bytes` each, one after the other, in slices of `slice`.
Transfer evenly(std::uint64_t count, std::uint64_t bytes, std::uint32_t slice) {
  Transfer transfer{.source = test::random_region(count * bytes, 1), .into = {test::empty_region(count * bytes)}};
  for (std::uint64_t i = 0; i < count; ++i) {
    transfer.wants.push_back({transfer.source->address() + i * bytes, bytes, transfer.into[0]->data() + i * bytes, 0});
  }
  transfer.make({.slice_bytes = slice, .trace = true});
  return transfer;
}

std::vector<std::uint8_t> all_of(const Transfer& transfer) {
  return std::vector<std::uint8_t>(transfer.wants.size(), 1);
}

Result<std::vector<std::uint64_t>> finished(Follower& follower, unsigned threads = 2) {
  std::atomic<std::uint64_t> done = 0;
  const std::atomic<bool> cancel = false;
  auto sums = follower.finish(threads, done, cancel);
  EXPECT_TRUE(!sums.ok() || done.load() + follower.hashed_bytes() == follower.total_bytes());
  return sums;
}

TEST(Follower, HashesWhatHasLandedWhileTheRestIsUnderWay) {
  const Transfer transfer = evenly(512, 4096, 8192);
  Follower follower(transfer.plan, transfer.wants, all_of(transfer), transfer.into, 1);
  follower.start();
  for (std::uint32_t slice = 0; slice < 200; ++slice) transfer.land(slice, follower);
  // But for the last batch, which is not worth waking up for: at most 64 slices.
  EXPECT_TRUE(eventually([&] { return follower.hashed_bytes() >= 136U * 8192; }));
  EXPECT_LE(follower.hashed_bytes(), 200U * 8192);
  for (std::uint32_t slice = 200; slice < 256; ++slice) transfer.land(slice, follower);
  const auto sums = finished(follower);
  ASSERT_TRUE(sums.ok());
  EXPECT_EQ(sums.value(), transfer.expected(all_of(transfer)));
}

TEST(Follower, HashesALargeWantAsFarAsItHasLandedWithoutAGap) {
  const Transfer transfer = evenly(1, 512 << 10, 1024);
  Follower follower(transfer.plan, transfer.wants, all_of(transfer), transfer.into, 2);
  follower.start();
  for (std::uint32_t slice = 0; slice < 128; ++slice) transfer.land(slice, follower);
  for (std::uint32_t slice = 129; slice < 256; ++slice) transfer.land(slice, follower);
  EXPECT_TRUE(eventually([&] { return follower.hashed_bytes() == 128U * 1024; }));
  transfer.land(128, follower);
  for (std::uint32_t slice = 256; slice < 512; ++slice) transfer.land(slice, follower);
  EXPECT_TRUE(eventually([&] { return follower.hashed_bytes() >= 384U * 1024; }));
  const auto sums = finished(follower);
  ASSERT_TRUE(sums.ok());
  EXPECT_EQ(sums.value(), transfer.expected(all_of(transfer)));
}

TEST(Follower, IsRightForAnyLayoutAndOrder) {
  std::mt19937_64 random(11);
  const auto below = [&random](std::uint64_t limit) { return random() % limit; };
  for (int round = 0; round < 200; ++round) {
    constexpr std::uint64_t kBytes = 64 << 10;
    Transfer transfer{.source = test::random_region(kBytes, random()),
                      .into = {test::empty_region(2 * kBytes), test::empty_region(2 * kBytes)}};
    std::array<std::uint64_t, 2> local{};
    for (std::uint64_t offset = 0; offset < kBytes && std::max(local[0], local[1]) < kBytes;) {
      constexpr std::array<std::uint64_t, 4> kTypical{0, 1, 4096, 20000};
      const std::uint64_t length = std::min(kBytes - offset, below(3) == 0 ? kTypical.at(below(4)) : below(3000));
      const auto region = static_cast<std::uint32_t>(below(5) / 4);
      if (below(3) == 0) local.at(region) += below(100);
      transfer.wants.push_back(
          {transfer.source->address() + offset, length, transfer.into[region]->data() + local.at(region), region});
      local.at(region) += length;
      if (below(8) == 0) continue;  // the next one aliases this one
      offset += length + (below(4) == 0 ? below(50) : 0);
    }
    std::ranges::shuffle(transfer.wants, random);
    ASSERT_NO_FATAL_FAILURE(transfer.make({.slice_bytes = static_cast<std::uint32_t>(1 + below(6000)),
                                           .max_segments = static_cast<std::uint32_t>(1 + below(5)),
                                           .merge = below(4) != 0,
                                           .trace = true}));
    std::vector<std::uint8_t> asked(transfer.wants.size(), 1);
    if (below(2) == 0) std::ranges::generate(asked, [&] { return static_cast<std::uint8_t>(below(2)); });

    Follower follower(transfer.plan, transfer.wants, asked, transfer.into, static_cast<unsigned>(below(4)));
    follower.start();
    std::vector<std::uint32_t> order = transfer.slices();
    if (below(3) != 0) std::ranges::shuffle(order, random);
    const auto middle = order.begin() + static_cast<std::ptrdiff_t>(below(order.size() + 1));
    std::thread other([&, first = std::vector(order.begin(), middle)] {
      for (const std::uint32_t slice : first) transfer.land(slice, follower);
    });
    std::for_each(middle, order.end(), [&](std::uint32_t slice) { transfer.land(slice, follower); });
    other.join();
    follower.stop();
    const auto sums = finished(follower, static_cast<unsigned>(1 + below(4)));
    ASSERT_TRUE(sums.ok()) << sums.status().message << " in round " << round;
    ASSERT_EQ(sums.value(), transfer.expected(asked)) << "round " << round;
  }
}

TEST(Follower, CanBeCancelledAndSaysWhatIsMissing) {
  Transfer transfer = evenly(64, 1024, 4096);
  std::atomic<std::uint64_t> done = 0;
  {
    Follower follower(transfer.plan, transfer.wants, all_of(transfer), transfer.into, 1);
    for (const std::uint32_t slice : transfer.slices()) transfer.land(slice, follower);
    const std::atomic<bool> cancel = true;
    EXPECT_EQ(follower.finish(2, done, cancel).status().code, Code::kCancelled);
    EXPECT_EQ(done.load(), 0U);
  }
  {
    Follower follower(transfer.plan, transfer.wants, all_of(transfer), transfer.into, 1);
    follower.start();
    for (std::uint32_t slice = 1; slice < transfer.plan.slices.size(); ++slice) transfer.land(slice, follower);
    EXPECT_EQ(finished(follower).status().code, Code::kInternal);
  }
  Follower follower(transfer.plan, transfer.wants, all_of(transfer), transfer.into, 1);
  for (const std::uint32_t slice : transfer.slices()) transfer.land(slice, follower);
  transfer.into.clear();
  EXPECT_EQ(finished(follower).status().code, Code::kClosed);
}

/// An operation that a follower follows.
class Followed {
 public:
  explicit Followed(const std::vector<test::Behaviour>& lanes) : transfer(evenly(300, 1500, 1024)) {
    follower = std::make_shared<Follower>(transfer.plan, transfer.wants, all_of(transfer), transfer.into, 2);
    std::vector<std::shared_ptr<transport::Lane>> made;
    for (const auto& lane : lanes) made.push_back(std::make_shared<test::FakeLane>("lane", transfer.source, lane));
    operation = Operation::create(transfer.plan, transfer.into, std::move(made), {.follower = follower});
  }

  Outcome run() {
    operation->start([this](const Outcome& outcome) { promise_.set_value(outcome); });
    return wait();
  }

  Outcome wait() { return promise_.get_future().get(); }

  Transfer transfer;
  std::shared_ptr<Follower> follower;
  std::shared_ptr<Operation> operation;

 private:
  std::promise<Outcome> promise_;
};

TEST(Follower, SeesASliceThatWasGivenBackWhenItHasLanded) {
  Followed followed({{.fail_after = 3, .soils = true}, {.per_slice = 20us}, {.fail_after = 40, .soils = true}});
  const Outcome outcome = followed.run();
  ASSERT_TRUE(outcome.status.ok()) << outcome.status.message;
  EXPECT_EQ(outcome.lanes[0].status.code, Code::kPeerLost);
  const auto sums = finished(*followed.follower);
  ASSERT_TRUE(sums.ok()) << sums.status().message;
  EXPECT_EQ(sums.value(), followed.transfer.expected(all_of(followed.transfer)));
}

TEST(Follower, StopsWithAnOperationThatFailsOrIsCancelled) {
  Followed failed({{.fail_after = 200, .failure = Code::kRemoteAccess}});
  EXPECT_EQ(failed.run().status.code, Code::kRemoteAccess);
  const std::uint64_t hashed = failed.follower->hashed_bytes();
  std::ranges::fill(test::bytes_of(failed.transfer.into[0]), std::byte{1});
  EXPECT_EQ(failed.follower->hashed_bytes(), hashed);
  EXPECT_EQ(finished(*failed.follower).status().code, Code::kInternal);

  Followed cancelled({{.per_slice = 200us}, {.blocks = true}});
  std::thread canceller([&] {
    EXPECT_TRUE(eventually([&] { return cancelled.operation->progress().slices >= 100; }));
    cancelled.operation->cancel();
  });
  EXPECT_EQ(cancelled.run().status.code, Code::kCancelled);
  canceller.join();
}

TEST(LandingLog, GivesEverySliceToOneTakerAndWakesAllAtTheEnd) {
  constexpr std::uint32_t kSlices = 20000;
  LandingLog log(kSlices, 8);
  std::vector<std::atomic<int>> taken(kSlices);
  const auto take_all = [&] {
    while (const auto slice = log.take()) ++taken[*slice];
  };
  std::vector<std::thread> takers;
  for (int i = 0; i < 3; ++i) {
    takers.emplace_back([&] {
      do take_all();
      while (log.wait());
    });
  }
  std::thread other([&] {
    for (std::uint32_t slice = 1; slice < kSlices; slice += 2) log.landed(slice);
  });
  for (std::uint32_t slice = 0; slice < kSlices; slice += 2) log.landed(slice);
  other.join();
  log.end();
  for (std::thread& taker : takers) taker.join();
  take_all();
  EXPECT_TRUE(log.drained());
  EXPECT_TRUE(std::ranges::all_of(taken, [](const auto& times) { return times.load() == 1; }));
  EXPECT_FALSE(log.take().has_value());
  EXPECT_FALSE(log.wait());
}

}  // namespace
}  // namespace weightcast::transfer
