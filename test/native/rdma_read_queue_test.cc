// Slices that are cut into several reads: how they end, whatever happens to their parts.
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <vector>

#include "support/rdma.h"
#include "transport/rdma/read_queue.h"
#include "verbs/completion_queue.h"

namespace weightcast::test {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kKiB = 1024;
constexpr std::uint64_t kMiB = 1024 * kKiB;
constexpr std::uint32_t kDepth = 20;
constexpr std::uint64_t kUnlimited = ~std::uint64_t{0};

class RdmaReadQueue : public RdmaTest {
 protected:
  rdma::ReadQueue queue(const Path& path, const Transfer& transfer, std::uint32_t queue_pairs = 1) {
    keys_ = {transfer.served->remote_key()};
    return {*path.initiator, keys_, {transfer.local->local_key()}, kDepth, queue_pairs};
  }

  /// Polls until as many requests completed, and tells the feed which slices ended. False after 30 s.
  static bool complete(const Path& path, rdma::ReadQueue& reads, TestFeed& feed, std::size_t requests) {
    std::array<ibv_wc, 8> completions{};
    for (const auto deadline = Clock::now() + std::chrono::seconds(30); requests > 0 && Clock::now() < deadline;) {
      const auto most = std::min(requests, completions.size());
      const int count = path.initiator->completion_queue().poll(std::span(completions).first(most));
      EXPECT_GE(count, 0);
      for (int i = 0; i < count; ++i, --requests) {
        const ibv_wc& wc = completions[static_cast<std::size_t>(i)];
        const auto ended = reads.release(wc.wr_id, wc.status == IBV_WC_SUCCESS);
        if (!ended) continue;
        if (ended->landed) {
          feed.landed(ended->slice, 0);
        } else {
          feed.give_back(ended->slice);
        }
      }
    }
    return requests == 0;
  }

  std::vector<std::uint32_t> keys_;
};

TEST_F(RdmaReadQueue, CutsSlicesAndLandsThemWithTheirLastRead) {
  struct Case {
    std::uint64_t bytes, slice, read;
    std::uint32_t queue_pairs;
    std::uint64_t requests;
  };
  const Case cases[] = {{8 * kMiB, kMiB, 64 * kKiB, 1, 128},  {8 * kMiB, kMiB, 64 * kKiB, 4, 128},
                        {3 * kMiB + 1, kMiB, 100'000, 2, 34}, {kMiB, 64 * kKiB, 64 * kKiB, 1, 16},
                        {kMiB, kMiB, kUnlimited, 1, 1},       {17, 17, 1, 1, 17}};
  for (const Case& each : cases) {
    SCOPED_TRACE(testing::Message() << each.bytes << " bytes, slices of " << each.slice << ", reads of " << each.read);
    const Transfer transfer(nic_, each.bytes, each.bytes);
    const Path path = Path::over(nic_, each.queue_pairs, kDepth);
    rdma::ReadQueue reads = queue(path, transfer);
    TestFeed feed;
    feed.add_range(transfer.from->address(), transfer.into->data(), each.bytes, each.slice);
    while (feed.landed_count() < feed.size()) {
      const Status status = reads.fill(feed, {each.read, kUnlimited, each.queue_pairs});
      ASSERT_TRUE(status.ok()) << status.message;
      ASSERT_GT(reads.in_flight(), 0U);
      ASSERT_LE(reads.in_flight(), kDepth);
      ASSERT_TRUE(complete(path, reads, feed, 1));
    }
    EXPECT_TRUE(transfer.arrived());
    EXPECT_EQ(reads.posted(), each.requests);
    EXPECT_EQ(reads.arrived_bytes(), each.bytes);
    EXPECT_EQ(reads.in_flight(), 0U);
    EXPECT_EQ(reads.smallest_cut().has_value(), each.read < each.slice);
    EXPECT_EQ(feed.given_back_count(), 0U);
  }
}

TEST_F(RdmaReadQueue, CutsAcrossTheSegmentsOfASlice) {
  const Transfer transfer(nic_, kMiB);
  const Path path = Path::over(nic_, 1, kDepth);
  rdma::ReadQueue reads = queue(path, transfer);
  // Segments of 1 KiB, 3 KiB, 5 KiB ... that go to the second half backwards; each cut falls inside of one.
  TestFeed feed;
  std::vector<transport::Segment> segments;
  std::uint64_t length = 0;
  std::byte* end = transfer.into->data() + kMiB;
  for (std::uint32_t i = 0; i < std::min(nic_->max_sge(), 16U); ++i) {
    const auto part = static_cast<std::uint32_t>((2 * i + 1) * kKiB);
    end -= part;
    segments.push_back({end, part, 0});
    length += part;
  }
  feed.add(transfer.from->address(), 0, segments);
  while (feed.landed_count() < 1) {
    ASSERT_TRUE(reads.fill(feed, {10'007, kUnlimited, 1}).ok());
    ASSERT_TRUE(complete(path, reads, feed, 1));
  }
  const std::byte* expected = transfer.from->data();
  for (const transport::Segment& segment : segments) {
    ASSERT_EQ(std::memcmp(expected, segment.address, segment.length), 0);
    expected += segment.length;
  }
  EXPECT_EQ(reads.arrived_bytes(), length);
}

TEST_F(RdmaReadQueue, KeepsToItsWindowButAlwaysReads) {
  const Transfer transfer(nic_, 4 * kMiB);
  const Path path = Path::over(nic_, 1, kDepth);
  rdma::ReadQueue reads = queue(path, transfer);
  TestFeed feed;
  feed.add_range(transfer.from->address(), transfer.into->data(), 4 * kMiB, kMiB);
  ASSERT_TRUE(reads.fill(feed, {64 * kKiB, 1, 1}).ok());
  EXPECT_EQ(reads.in_flight(), 1U) << "more than the window, but one";
  ASSERT_TRUE(complete(path, reads, feed, 1));
  ASSERT_TRUE(reads.fill(feed, {64 * kKiB, 256 * kKiB, 1}).ok());
  EXPECT_EQ(reads.in_flight(), 4U);
  EXPECT_EQ(feed.taken_count(), 1U) << "no slice is held that others could read";
  while (feed.landed_count() < feed.size()) {
    ASSERT_TRUE(reads.fill(feed, {64 * kKiB, 256 * kKiB, 1}).ok());
    ASSERT_LE(reads.in_flight(), 4U);
    ASSERT_TRUE(complete(path, reads, feed, 1));
  }
  EXPECT_TRUE(transfer.arrived());
}

TEST_F(RdmaReadQueue, ASilentPathGetsNoMoreThanItHad) {
  const Transfer transfer(nic_, 16 * kMiB);
  const Path path = Path::over(nic_, 1, kDepth);
  rdma::ReadQueue reads = queue(path, transfer);
  TestFeed feed;
  feed.add_range(transfer.from->address(), transfer.into->data(), 16 * kMiB, kMiB);
  for (int fill = 0; fill < 3; ++fill) {
    ASSERT_TRUE(reads.fill(feed, {kUnlimited, kUnlimited, 1}).ok());
    EXPECT_EQ(reads.in_flight(), 4U) << "nothing has ended in between";
  }
  ASSERT_TRUE(complete(path, reads, feed, 1));
  ASSERT_TRUE(reads.fill(feed, {kUnlimited, kUnlimited, 1}).ok());
  EXPECT_EQ(reads.in_flight(), 8U);
  path.initiator->destroy_queue_pairs();
  reads.abandon(feed);
}

TEST_F(RdmaReadQueue, QueuePairsThatJoinShareTheRequestsOfOne) {
  const Transfer transfer(nic_, 8 * kMiB);
  const Path path = Path::over(nic_, 4, kDepth);
  rdma::ReadQueue reads = queue(path, transfer);
  TestFeed feed;
  feed.add_range(transfer.from->address(), transfer.into->data(), 8 * kMiB, kMiB);
  // Each fill may post twice as many as the one before.
  for (std::uint32_t queue_pairs : {1U, 1U, 1U, 4U, 4U, 1U}) {
    ASSERT_TRUE(reads.fill(feed, {64 * kKiB, kUnlimited, queue_pairs}).ok());
    ASSERT_LE(reads.in_flight(), kDepth);
    ASSERT_TRUE(complete(path, reads, feed, reads.in_flight()));
  }
  while (feed.landed_count() < feed.size()) {
    ASSERT_TRUE(reads.fill(feed, {64 * kKiB, kUnlimited, 4}).ok());
    ASSERT_TRUE(complete(path, reads, feed, 1));
  }
  EXPECT_TRUE(transfer.arrived());
}

TEST_F(RdmaReadQueue, ASliceOfWhichOneReadFailedIsGivenBackOnce) {
  const Transfer transfer(nic_, 2 * kMiB);
  const Path path = Path::over(nic_, 1, kDepth);
  rdma::ReadQueue reads = queue(path, transfer);
  TestFeed feed;
  feed.add_range(transfer.from->address(), transfer.into->data(), 2 * kMiB, kMiB);
  ASSERT_TRUE(reads.fill(feed, {64 * kKiB, kUnlimited, 1}).ok());
  ASSERT_TRUE(complete(path, reads, feed, reads.in_flight()));
  EXPECT_EQ(reads.arrived_bytes(), 256 * kKiB);
  path.initiator->fail();
  ASSERT_TRUE(reads.fill(feed, {64 * kKiB, kUnlimited, 1}).ok());
  ASSERT_EQ(reads.in_flight(), 8U);
  ASSERT_TRUE(complete(path, reads, feed, reads.in_flight()));
  EXPECT_EQ(feed.outstanding(), 0U) << "its reads have ended, and it gets no more";
  EXPECT_EQ(feed.given_back_count(), 1U);
  reads.abandon(feed);
  EXPECT_EQ(feed.given_back_count(), 1U);
  EXPECT_EQ(feed.landed_count(), 0U);
}

TEST_F(RdmaReadQueue, AbandonGivesBackWhatIsInFlightAndWhatWasBegun) {
  const Transfer transfer(nic_, 4 * kMiB);
  const Path path = Path::over(nic_, 1, kDepth);
  rdma::ReadQueue reads = queue(path, transfer);
  TestFeed feed;
  feed.add_range(transfer.from->address(), transfer.into->data(), 4 * kMiB, 128 * kKiB);
  ASSERT_TRUE(reads.fill(feed, {48 * kKiB, kUnlimited, 1}).ok());  // one slice whole, the next begun
  EXPECT_EQ(feed.outstanding(), 2U);
  path.initiator->destroy_queue_pairs();
  reads.abandon(feed);
  EXPECT_EQ(reads.in_flight(), 0U);
  EXPECT_EQ(feed.outstanding(), 0U);
  EXPECT_EQ(feed.given_back_count(), 2U);

  // A begun slice with nothing in flight: its reads so far have all come.
  const Path other = Path::over(nic_, 1, kDepth);
  rdma::ReadQueue again = queue(other, transfer);
  ASSERT_TRUE(again.fill(feed, {48 * kKiB, 1, 1}).ok());
  ASSERT_TRUE(complete(other, again, feed, 1));
  EXPECT_EQ(feed.outstanding(), 1U);
  again.abandon(feed);
  EXPECT_EQ(feed.outstanding(), 0U);
  EXPECT_EQ(feed.given_back_count(), 3U);
}

}  // namespace
}  // namespace weightcast::test
