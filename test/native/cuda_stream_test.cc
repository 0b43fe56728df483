// Copies to and from a GPU, with the stand-in, which does them later than asked.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "cuda/device.h"
#include "support/standin.h"

namespace weightcast::test {
namespace {

using weightcast::Code;

class CudaStreamTest : public StandinTest {
 protected:
  void SetUp() override {
    StandinTest::SetUp();
    auto region = cuda::allocate(0, kBytes);
    ASSERT_TRUE(region.ok()) << region.status().message;
    region_ = region.value();
  }
  void TearDown() override {
    region_.reset();
    StandinTest::TearDown();
  }
  [[nodiscard]] std::unique_ptr<memory::CopyStream> open() const {
    auto stream = region_->on_device()->device()->open_stream();
    EXPECT_TRUE(stream.ok()) << stream.status().message;
    return stream.ok() ? std::move(stream.value()) : nullptr;
  }
  static void refuse(const char* function, cuda::Code code, int nth) {
    STANDIN(standin_refuse)(function, static_cast<int>(code), nth);
  }

  static constexpr std::size_t kBytes = std::size_t{8} << 20U;
  memory::RegionPtr region_;
};

TEST_F(CudaStreamTest, UsesItsEventsAgain) {
  const auto stream = open();
  std::vector<std::byte> host(4096);
  for (std::uint64_t round = 1; round <= 50; ++round) {
    ASSERT_TRUE(stream->to_device(region_->data(), host.data(), host.size()).ok());
    auto ticket = stream->mark();
    ASSERT_TRUE(ticket.ok()) << ticket.status().message;
    EXPECT_EQ(ticket.value(), round);
    ASSERT_TRUE(stream->wait(ticket.value()).ok());
    auto reached = stream->reached(ticket.value());
    EXPECT_TRUE(reached.ok() && reached.value());
  }
  EXPECT_EQ(STANDIN(standin_calls)("cuEventCreate"), 1);
}

TEST_F(CudaStreamTest, ALaterTicketIsReachedAfterAllBeforeIt) {
  const auto stream = open();
  std::vector<std::byte> host(1 << 20);
  std::vector<std::uint64_t> tickets;
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(stream->to_host(host.data(), region_->data(), host.size()).ok());
    auto ticket = stream->mark();
    ASSERT_TRUE(ticket.ok());
    tickets.push_back(ticket.value());
  }
  ASSERT_TRUE(stream->wait(tickets.back()).ok());
  for (const std::uint64_t ticket : tickets) {
    auto reached = stream->reached(ticket);
    EXPECT_TRUE(reached.ok() && reached.value()) << ticket;
  }
}

TEST_F(CudaStreamTest, WhatIsNotReadyIsNotReachedAndNoError) {
  const auto stream = open();
  std::vector<std::byte> host(4096);
  ASSERT_TRUE(stream->to_host(host.data(), region_->data(), host.size()).ok());
  auto ticket = stream->mark();
  ASSERT_TRUE(ticket.ok());
  refuse("cuEventQuery", cuda::Code::kNotReady, 1);
  auto reached = stream->reached(ticket.value());
  ASSERT_TRUE(reached.ok()) << reached.status().message;
  EXPECT_FALSE(reached.value());
  refuse("cuEventQuery", cuda::Code::kIllegalAddress, 1);
  reached = stream->reached(ticket.value());
  ASSERT_FALSE(reached.ok());
  EXPECT_EQ(reached.status().call, "cuEventQuery");
  EXPECT_TRUE(stream->wait(ticket.value()).ok());
}

TEST_F(CudaStreamTest, ThatEndsHasMovedItsBytes) {
  std::vector<std::byte> out(kBytes);
  fill_random(out, 3);
  auto stream = open();
  ASSERT_TRUE(stream->to_device(region_->data(), out.data(), out.size()).ok());
  ASSERT_TRUE(stream->mark().ok());
  stream.reset();
  std::vector<std::byte> back(kBytes);
  ASSERT_TRUE(region_->copy_out(0, back).ok());
  EXPECT_TRUE(std::ranges::equal(out, back));
}

class CudaStreamEnd : public CudaStreamTest, public testing::WithParamInterface<const char*> {};

TEST_P(CudaStreamEnd, LeavesNothingIfACallIsRefused) {
  std::vector<std::byte> host(kBytes);
  auto stream = open();
  ASSERT_TRUE(stream->to_host(host.data(), region_->data(), host.size()).ok());
  ASSERT_TRUE(stream->mark().ok());
  refuse(GetParam(), cuda::Code::kUnknown, 1);
  stream.reset();
}

INSTANTIATE_TEST_SUITE_P(Calls, CudaStreamEnd, testing::Values("cuCtxPushCurrent", "cuStreamSynchronize"),
                         [](const auto& named) { return std::string(named.param); });

TEST_F(CudaStreamTest, ThatFailedIsNotUsedAgain) {
  std::vector<std::byte> host(4096);
  ASSERT_TRUE(region_->copy_out(0, host).ok());
  ASSERT_TRUE(region_->copy_out(0, host).ok());
  EXPECT_EQ(STANDIN(standin_calls)("cuStreamCreate"), 1);
  for (const char* call : {"cuMemcpyDtoHAsync", "cuEventRecord", "cuEventSynchronize"}) {
    const int before = STANDIN(standin_calls)("cuStreamDestroy");
    refuse(call, cuda::Code::kIllegalAddress, 1);
    const Status status = region_->copy_out(0, host);
    EXPECT_EQ(status.code, Code::kDevice) << status.message;
    EXPECT_EQ(status.call, call);
    EXPECT_EQ(STANDIN(standin_calls)("cuStreamDestroy"), before + 1) << call;
    EXPECT_TRUE(region_->copy_out(0, host).ok());
  }
}

TEST_F(CudaStreamTest, ReadsWithinItsRegion) {
  std::vector<std::byte> host(16);
  EXPECT_EQ(region_->copy_out(kBytes - 15, host).code, Code::kOutOfRange);
  EXPECT_EQ(region_->copy_out(UINT64_MAX, host).code, Code::kOutOfRange);
  EXPECT_TRUE(region_->copy_out(kBytes - 16, host).ok());
}

}  // namespace
}  // namespace weightcast::test
