#include <gtest/gtest.h>
#include <pthread.h>

#include <chrono>
#include <thread>

#include "support/rdma.h"

namespace weightcast::test {
namespace {

using Clock = std::chrono::steady_clock;
using RdmaLane = RdmaTest;

constexpr std::uint64_t kKiB = 1024;
constexpr std::uint64_t kMiB = 1024 * kKiB;

struct Shape {
  std::uint64_t bytes, slice;
  std::uint32_t queue_pairs;
};

TEST_F(RdmaLane, ReadsEveryByteOfEverySize) {
  const Shape shapes[] = {{1, 1, 1},          {4 * kKiB - 1, 4 * kKiB, 1},  {64 * kKiB, 64 * kKiB, 2},
                          {kMiB, kMiB, 1},    {kMiB + 1, 64 * kKiB - 1, 3}, {8 * kMiB, 64 * kKiB, 2},
                          {8 * kMiB, kMiB, 4}};
  for (const Shape& shape : shapes) {
    SCOPED_TRACE(testing::Message() << shape.bytes << " bytes in slices of " << shape.slice);
    const Transfer transfer(nic_, shape.bytes, shape.bytes);
    const Path path = Path::over(nic_, shape.queue_pairs);
    TestFeed feed;
    feed.add_range(transfer.from->address(), transfer.into->data(), shape.bytes, shape.slice);
    const auto lane = transfer.lane(path);
    const Status status = lane->run(feed, 0);
    ASSERT_TRUE(status.ok()) << status.message;
    EXPECT_TRUE(transfer.arrived());
    EXPECT_EQ(feed.landed_count(), feed.size());
    EXPECT_EQ(feed.outstanding(), 0U);
    EXPECT_EQ(lane->report().bytes, shape.bytes);
    EXPECT_EQ(lane->report().work_requests, feed.size());
    EXPECT_GT(lane->report().first_byte_ms, 0);
  }
}

TEST_F(RdmaLane, ScattersOneReadIntoSegmentsOfSeveralRegions) {
  constexpr std::uint32_t slices = 40;
  const std::uint32_t segments = nic_->max_sge();
  ASSERT_GE(segments, 4U);
  const Transfer transfer(nic_, 2 * kMiB);
  const memory::RegionPtr second = empty_region(2 * kMiB);
  const auto second_local = registered(nic_, second, rdma::Access::kLocalWrite);
  const Path path = Path::over(nic_, 2);

  // Slice s takes s + 1, s + 1 + 1000 ... bytes, alternately into both regions, packed tightly in each.
  TestFeed feed;
  struct Piece {
    const std::byte* expected;
    const std::byte* actual;
    std::uint32_t length;
  };
  std::vector<Piece> pieces;
  std::uint64_t remote = 0;
  std::uint64_t used[2] = {0, 0};
  for (std::uint32_t s = 0; s < slices; ++s) {
    std::vector<transport::Segment> list;
    const std::uint64_t begin = remote;
    for (std::uint32_t i = 0; i < 1 + s % segments; ++i) {
      const std::uint32_t which = i % 2;
      const std::uint32_t length = s + 1 + 1000 * i;
      std::byte* target = (which == 0 ? transfer.into : second)->data() + used[which];
      list.push_back({target, length, which});
      pieces.push_back({transfer.from->data() + remote, target, length});
      used[which] += length;
      remote += length;
    }
    feed.add(transfer.from->address() + begin, 0, std::move(list));
  }
  ASSERT_LE(remote, transfer.from->size());

  rdma::RdmaLane lane(path.initiator, {transfer.served->remote_key()}, {transfer.local, second_local},
                      {.name = "gather"});
  const Status status = lane.run(feed, 0);
  ASSERT_TRUE(status.ok()) << status.message;
  EXPECT_EQ(lane.report().bytes, remote);
  for (const Piece& piece : pieces) ASSERT_EQ(std::memcmp(piece.expected, piece.actual, piece.length), 0);
  for (const std::uint64_t end : used) EXPECT_LT(end, 2 * kMiB);
  EXPECT_EQ(transfer.into->data()[used[0]], std::byte{0}) << "a read wrote beyond its segments";
  EXPECT_EQ(second->data()[used[1]], std::byte{0}) << "a read wrote beyond its segments";
}

TEST_F(RdmaLane, TwoRailsShareTheWork) {
  if (devices_.size() < 2) GTEST_SKIP() << "needs two RDMA devices";
  const auto other = open(devices_[1]);
  const memory::RegionPtr from = random_region(16 * kMiB, 7);
  const memory::RegionPtr into = empty_region(16 * kMiB);
  TestFeed feed;
  feed.add_range(from->address(), into->data(), from->size(), 128 * kKiB);
  std::vector<std::unique_ptr<rdma::RdmaLane>> lanes;
  std::vector<std::shared_ptr<rdma::Endpoint>> responders;
  std::vector<std::shared_ptr<rdma::Registration>> keys;
  for (const auto& nic : {nic_, other}) {
    const Path path = Path::over(nic, 2, 4);
    const auto served = registered(nic, from, rdma::Access::kRemoteRead);
    lanes.push_back(std::make_unique<rdma::RdmaLane>(path.initiator, std::vector{served->remote_key()},
                                                     std::vector{registered(nic, into, rdma::Access::kLocalWrite)},
                                                     rdma::RdmaLaneOptions{.name = nic->device()}));
    responders.push_back(path.responder);
    keys.push_back(served);
  }
  Status second;
  std::thread thread([&] { second = lanes[1]->run(feed, 1); });
  const Status first = lanes[0]->run(feed, 0);
  thread.join();
  ASSERT_TRUE(first.ok()) << first.message;
  ASSERT_TRUE(second.ok()) << second.message;
  EXPECT_EQ(std::memcmp(from->data(), into->data(), from->size()), 0);
  EXPECT_EQ(lanes[0]->report().bytes + lanes[1]->report().bytes, from->size());
  for (const auto& lane : lanes) EXPECT_GT(lane->report().bytes, from->size() / 10) << lane->name();
}

TEST_F(RdmaLane, ALaneThatBreaksLeavesItsSlicesToTheOther) {
  const Transfer transfer(nic_, 16 * kMiB);
  const Path good = Path::over(nic_, 1, 4);
  const Path bad = Path::over(nic_, 1, 4);
  TestFeed feed;
  feed.retry = true;
  feed.add_range(transfer.from->address(), transfer.into->data(), transfer.from->size(), 256 * kKiB);
  feed.on_landed = [&](std::size_t count) {
    if (count == 8) bad.responder->fail();
  };
  const auto first = transfer.lane(good);
  const auto second = transfer.lane(bad);
  Status broken;
  std::thread thread([&] { broken = second->run(feed, 1); });
  const Status status = first->run(feed, 0);
  thread.join();
  ASSERT_TRUE(status.ok()) << status.message;
  EXPECT_EQ(broken.code, Code::kPeerLost) << broken.message;
  EXPECT_EQ(feed.landed_count(), feed.size());
  EXPECT_TRUE(transfer.arrived());
}

TEST_F(RdmaLane, SleepsBetweenCompletionsWhenItMustNotSpin) {
  const Transfer transfer(nic_, 4 * kMiB);
  const Path path = Path::over(nic_, 1);
  TestFeed feed;
  feed.add_range(transfer.from->address(), transfer.into->data(), transfer.from->size(), kMiB);
  const auto lane = transfer.lane(path, {.name = "", .depth = 1, .spin_us = 0});
  timespec before{};
  timespec after{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
  const auto begin = Clock::now();
  const Status status = lane->run(feed, 0);
  const std::chrono::duration<double> wall = Clock::now() - begin;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
  ASSERT_TRUE(status.ok()) << status.message;
  EXPECT_TRUE(transfer.arrived());
  RecordProperty("wall_ms", std::to_string(wall.count() * 1e3));
  RecordProperty("cpu_ms", std::to_string(static_cast<double>(after.tv_sec - before.tv_sec) * 1e3 +
                                          static_cast<double>(after.tv_nsec - before.tv_nsec) / 1e6));
}

TEST_F(RdmaLane, RefusesSlicesThatDoNotFitItsTables) {
  const Transfer transfer(nic_, 64 * kKiB);
  const auto run = [&](auto&& fill, Code expected) {
    const Path path = Path::over(nic_, 1);
    TestFeed feed;
    fill(feed);
    const Status status = transfer.lane(path)->run(feed, 0);
    EXPECT_EQ(status.code, expected) << status.message;
    EXPECT_EQ(feed.outstanding(), 0U);
    EXPECT_EQ(feed.given_back_count() + feed.landed_count(), feed.taken_count());
  };
  const std::uint64_t remote = transfer.from->address();
  std::byte* local = transfer.into->data();
  run([&](TestFeed& feed) { feed.add(remote, 1, {{local, 10, 0}}); }, Code::kOutOfRange);
  run([&](TestFeed& feed) { feed.add(remote, 0, {{local, 10, 1}}); }, Code::kOutOfRange);
  run([&](TestFeed& feed) { feed.add(remote, 0, {}); }, Code::kInternal);
  run([&](TestFeed& feed) { feed.add(remote, 0, std::vector<transport::Segment>(nic_->max_sge() + 1, {local, 1, 0})); },
      Code::kInternal);
}

TEST_F(RdmaLane, AnEmptyFeedIsDoneAtOnce) {
  const Transfer transfer(nic_, kKiB);
  const Path path = Path::over(nic_, 1);
  TestFeed feed;
  const auto lane = transfer.lane(path);
  const Status status = lane->run(feed, 0);
  EXPECT_TRUE(status.ok()) << status.message;
  EXPECT_EQ(lane->report().work_requests, 0U);
}

}  // namespace
}  // namespace weightcast::test
