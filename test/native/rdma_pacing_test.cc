#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>

#include "transport/rdma/pacing.h"

namespace weightcast::test {
namespace {

using std::chrono::milliseconds;
using transport::rdma::Pacing;

constexpr std::uint64_t kKiB = 1024;
constexpr std::uint64_t kMiB = 1024 * kKiB;
constexpr std::uint64_t kGiB = 1024 * kMiB;
constexpr milliseconds kLook{50};

TEST(Pacing, LeavesSlicesAsTheyAreOnACleanPath) {
  Pacing pacing;
  for (int look = 0; look < 100; ++look) pacing.observe(kLook, 100 * kMiB, 0);
  EXPECT_EQ(pacing.read_bytes(), Pacing::kUnlimited);
  EXPECT_FALSE(pacing.lossy());
  EXPECT_EQ(pacing.retransmits(), 0U);
}

TEST(Pacing, OneLookAtAPathThatLosesOnePacketOfAHundredIsEnough) {
  Pacing pacing;
  pacing.observe(kLook, kMiB, 3);  // 4096 bytes a packet: a loss each 350 KiB
  EXPECT_EQ(pacing.read_bytes(), Pacing::kLeastRead);
  EXPECT_TRUE(pacing.lossy());
  EXPECT_EQ(pacing.retransmits(), 3U);
}

TEST(Pacing, RetransmitsBeforeTheFirstByteAreTheWorstKind) {
  Pacing pacing;
  pacing.observe(kLook, 0, 1);
  EXPECT_EQ(pacing.read_bytes(), Pacing::kLeastRead);
  EXPECT_EQ(pacing.window_bytes(), Pacing::kUnlimited) << "nothing is known of the rate yet";
}

TEST(Pacing, LossesThatAreFarApartCostNothing) {
  Pacing pacing;
  for (int look = 0; look < 100; ++look) pacing.observe(kLook, 2 * kGiB, 1);
  EXPECT_EQ(pacing.read_bytes(), Pacing::kUnlimited);
  EXPECT_EQ(pacing.retransmits(), 100U);
}

TEST(Pacing, BetweenThemReadsShrinkNoFurtherThanTheyMust) {
  Pacing pacing;
  pacing.observe(kLook, 32 * kMiB, 1);
  EXPECT_EQ(pacing.read_bytes(), 512 * kKiB);
  for (int look = 0; look < 10; ++look) pacing.observe(kLook, 32 * kMiB, 1);
  EXPECT_EQ(pacing.read_bytes(), 512 * kKiB) << "64 of them to a loss are borne";
  pacing.observe(kLook, 16 * kMiB, 1);
  EXPECT_EQ(pacing.read_bytes(), 256 * kKiB);
}

TEST(Pacing, GrowsAgainAfterManyCleanReadsOfEachSize) {
  Pacing pacing;
  pacing.observe(kLook, kMiB, 3);
  std::uint64_t clean = 0;
  std::uint64_t before = pacing.read_bytes();
  while (pacing.lossy() && clean < 10 * kGiB) {
    pacing.observe(kLook, 8 * kMiB, 0);
    clean += 8 * kMiB;
    ASSERT_TRUE(pacing.read_bytes() == before || pacing.read_bytes() >= 2 * before);
    before = pacing.read_bytes();
  }
  EXPECT_EQ(pacing.read_bytes(), Pacing::kUnlimited);
  EXPECT_EQ(clean, 128 * (64 + 128 + 256 + 512 + 1024) * kKiB);
}

TEST(Pacing, ALossStartsTheCountAnew) {
  Pacing pacing;
  pacing.observe(kLook, kMiB, 3);
  for (int look = 0; look < 50; ++look) {
    pacing.observe(kLook, 7 * kMiB, 0);
    pacing.observe(kLook, kMiB, 1);
  }
  EXPECT_EQ(pacing.read_bytes(), Pacing::kLeastRead);
}

TEST(Pacing, ASlowRailHoldsWhatItBringsInAFifthOfASecond) {
  Pacing pacing;
  for (int look = 0; look < 20; ++look) pacing.observe(kLook, 512 * kKiB, 0);  // 10 MiB a second
  EXPECT_NEAR(static_cast<double>(pacing.window_bytes()), 2.0 * kMiB, kKiB);
  EXPECT_EQ(pacing.read_bytes(), 512 * kKiB) << "a quarter of it, or less, as a power of two";
  EXPECT_FALSE(pacing.lossy());
}

TEST(Pacing, ReadsThatTakeLongerThanALookCountWithAllTheirTime) {
  Pacing pacing;
  for (int look = 1; look <= 100; ++look) pacing.observe(kLook, look % 8 == 0 ? kMiB : 0, 0);  // one each 0.4 s
  EXPECT_NEAR(static_cast<double>(pacing.window_bytes()), 0.5 * kMiB, kKiB);
  EXPECT_EQ(pacing.read_bytes(), 128 * kKiB);
}

TEST(Pacing, LossesMakeTheWindowSmallerAndSpreadWhatIsEnoughForAll) {
  Pacing pacing;
  EXPECT_FALSE(pacing.spread(4));
  pacing.observe(kLook, 0, 1);
  EXPECT_TRUE(pacing.spread(4)) << "as long as nothing is known of the rate";
  Pacing slow;
  for (int look = 0; look < 20; ++look) slow.observe(kLook, 256 * kKiB, 0);
  EXPECT_EQ(slow.window_bytes(), kMiB);
  slow.observe(kLook, 256 * kKiB, 1);
  EXPECT_NEAR(static_cast<double>(slow.window_bytes()), 0.4 * kMiB, kKiB);
  EXPECT_FALSE(slow.spread(4)) << "less than two reads each";
  EXPECT_TRUE(slow.spread(2));
  Pacing fast;
  for (int look = 0; look < 20; ++look) fast.observe(kLook, 512 * kKiB, 1);
  EXPECT_TRUE(fast.spread(4));
}

TEST(Pacing, AWindowHasRoomForFourSmallReadsHoweverSlowTheRail) {
  Pacing pacing;
  for (int look = 0; look < 100; ++look) pacing.observe(kLook, 4 * kKiB, 0);
  EXPECT_EQ(pacing.window_bytes(), 4 * Pacing::kLeastRead);
  EXPECT_EQ(pacing.read_bytes(), Pacing::kLeastRead);
}

TEST(Pacing, AWindowGrowsWithThePathThatFillsIt) {
  Pacing pacing;
  pacing.observe(kLook, 64 * kKiB, 0);
  // A path that brings all that may be in flight in each round trip of 50 ms, and could bring far more.
  for (int look = 0; look < 60; ++look) pacing.observe(kLook, pacing.window_bytes(), 0);
  EXPECT_GT(pacing.window_bytes(), 100 * kMiB);
  EXPECT_EQ(pacing.read_bytes(), Pacing::kUnlimited);
}

}  // namespace
}  // namespace weightcast::test
