#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>

#include "transport/rdma/retransmits.h"

namespace weightcast::test {
namespace {

using std::chrono::milliseconds;
using transport::rdma::Retransmits;
using Clock = Retransmits::Clock;

constexpr milliseconds kAckTimeout{67};

/// A folder as a port has it in sysfs.
class RetransmitsTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "counters-" + testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void count(const std::string& name, long value) const { std::ofstream(folder_ + "/" + name) << value << "\n"; }

  std::string folder_;
  const Clock::time_point now_ = Clock::now();
};

TEST_F(RetransmitsTest, AddsUpWhatTheDriverCountsSinceTheLastCall) {
  count("packet_seq_err", 100);
  count("local_ack_timeout_err", 7);
  count("rx_write_requests", 5000);
  Retransmits retransmits(folder_, kAckTimeout);
  ASSERT_TRUE(retransmits.counted());
  EXPECT_EQ(retransmits.sample(now_, now_, milliseconds(1)), 0U) << "what was before does not count";
  count("packet_seq_err", 103);
  count("local_ack_timeout_err", 8);
  count("rx_write_requests", 9000);
  EXPECT_EQ(retransmits.sample(now_, now_, milliseconds(1)), 4U);
  EXPECT_EQ(retransmits.sample(now_, now_, milliseconds(1)), 0U);
}

TEST_F(RetransmitsTest, ACounterThatWasSetBackIsNoLoss) {
  count("completer_retry_err", 50);
  Retransmits retransmits(folder_, kAckTimeout);
  count("completer_retry_err", 2);
  EXPECT_EQ(retransmits.sample(now_, now_, milliseconds(1)), 0U);
  count("completer_retry_err", 3);
  EXPECT_EQ(retransmits.sample(now_, now_, milliseconds(1)), 1U);
}

TEST_F(RetransmitsTest, ASilenceIsNoLossWhereThereAreCounters) {
  count("completer_retry_err", 0);
  Retransmits retransmits(folder_, kAckTimeout);
  EXPECT_EQ(retransmits.sample(now_ + milliseconds(1000), now_, milliseconds(1)), 0U);
}

TEST_F(RetransmitsTest, WithoutCountersEachLongSilenceIsOneLoss) {
  Retransmits retransmits(folder_, kAckTimeout);
  ASSERT_FALSE(retransmits.counted());
  EXPECT_EQ(retransmits.sample(now_ + milliseconds(66), now_, milliseconds(1)), 0U);
  EXPECT_EQ(retransmits.sample(now_ + milliseconds(67), now_, milliseconds(1)), 1U);
  EXPECT_EQ(retransmits.sample(now_ + milliseconds(117), now_, milliseconds(1)), 0U) << "the same silence";
  const Clock::time_point later = now_ + milliseconds(120);
  EXPECT_EQ(retransmits.sample(later + milliseconds(70), later, milliseconds(1)), 1U);
}

TEST_F(RetransmitsTest, ASilenceThatIsUsualOnASlowPathIsNone) {
  Retransmits retransmits(folder_, kAckTimeout);
  EXPECT_EQ(retransmits.sample(now_ + milliseconds(400), now_, milliseconds(60)), 0U);
  EXPECT_EQ(retransmits.sample(now_ + milliseconds(480), now_, milliseconds(60)), 1U);
  EXPECT_EQ(retransmits.sample(now_ + milliseconds(9000), now_ + milliseconds(1), milliseconds(0)), 0U)
      << "nothing came yet, so nothing is usual";
}

TEST_F(RetransmitsTest, AFolderThatIsNotThereHasNoCounters) {
  EXPECT_FALSE(Retransmits(folder_ + "/none", kAckTimeout).counted());
  EXPECT_EQ(Retransmits::folder_of("mlx5_0", 1), "/sys/class/infiniband/mlx5_0/ports/1/hw_counters");
}

}  // namespace
}  // namespace weightcast::test
