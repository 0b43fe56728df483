// RDMA READ from device memory into device memory, by each way that a NIC has to it, with the stand-ins for NVIDIA's
// driver and for a libibverbs that knows such memory.
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "support/rdma.h"
#include "support/standin.h"

namespace weightcast::test {
namespace {

constexpr std::uint64_t kBytes = (std::uint64_t{5} << 20U) + 4321;
constexpr std::uint64_t kSkip = 4096 + 512;  // no page begins there

class CudaRdma : public RdmaTest {
 protected:
  void SetUp() override {
    use_standins();
    STANDIN(standin_reset)();
    RdmaTest::SetUp();
  }
  void TearDown() override {
    if (IsSkipped()) return;
    EXPECT_EQ(STANDIN(standin_alive)(), 0) << standin_report_text();
    EXPECT_EQ(STANDIN(standin_faults)(), 0) << standin_report_text();
  }

  /// Device memory of `kBytes` that begins in the midst of a page, and of its allocation.
  static memory::RegionPtr inside(const memory::RegionPtr& memory) {
    auto region = cuda::adopt(memory->address() + kSkip, kBytes, true);
    EXPECT_TRUE(region.ok()) << region.status().message;
    return region.ok() ? region.value() : nullptr;
  }
  static memory::RegionPtr allocated() {
    auto region = cuda::allocate(0, kBytes + (1 << 20));
    EXPECT_TRUE(region.ok()) << region.status().message;
    return region.ok() ? region.value() : nullptr;
  }
  static std::vector<std::byte> filled(const memory::RegionPtr& region) {
    std::vector<std::byte> bytes(region->size());
    fill_random(bytes, 11);
    auto stream = region->on_device()->device()->open_stream();
    EXPECT_TRUE(stream.ok());
    EXPECT_TRUE(stream.value()->to_device(region->data(), bytes.data(), bytes.size()).ok());
    auto ticket = stream.value()->mark();
    EXPECT_TRUE(ticket.ok() && stream.value()->wait(ticket.value()).ok());
    return bytes;
  }

  /// Reads all of `from` into `into`, both registered by `choice`; the bytes that are there then.
  std::vector<std::byte> pulled(const memory::RegionPtr& from, const memory::RegionPtr& into, rdma::PathChoice choice,
                                rdma::Path expected, bool flush = true) {
    auto served = nic_->register_memory(from, 0, kBytes, rdma::Access::kRemoteRead, choice);
    auto local = nic_->register_memory(into, 0, kBytes, rdma::Access::kLocalWrite, choice);
    EXPECT_TRUE(served.ok()) << served.status().message;
    EXPECT_TRUE(local.ok()) << local.status().message;
    if (!served.ok() || !local.ok()) return {};
    EXPECT_EQ(served.value()->path(), expected);
    EXPECT_EQ(local.value()->path(), expected);
    const Path path = Path::over(nic_, 1);
    rdma::RdmaLane lane(path.initiator, std::vector{served.value()->remote_key()}, std::vector{local.value()},
                        rdma::RdmaLaneOptions{.name = "device"});
    TestFeed feed;
    feed.add_range(from->address(), into->data(), kBytes, 256U << 10U);
    const Status status = lane.run(feed, 0);
    EXPECT_TRUE(status.ok()) << status.message;
    if (flush) {
      EXPECT_TRUE(into->on_device()->device()->flush().ok());
    }
    std::vector<std::byte> bytes(kBytes);
    EXPECT_TRUE(into->copy_out(0, bytes).ok());
    return bytes;
  }
};

TEST_F(CudaRdma, ByDmabufFromTheMidstOfAPage) {
  const auto seed = allocated();
  const auto target = allocated();
  const auto bytes = filled(inside(seed));
  EXPECT_TRUE(pulled(inside(seed), inside(target), rdma::PathChoice::kAuto, rdma::Path::kDmabuf) == bytes);
  EXPECT_EQ(STANDIN(standin_unflushed)(), 0);
}

TEST_F(CudaRdma, ByDmabufAcrossTheChunksOfAVirtualMapping) {
  auto driver = cuda::load_driver();
  ASSERT_TRUE(driver.ok());
  const Chunks seed(driver.value(), 3);
  const Chunks target(driver.value(), 3);
  // Up to the last byte of the mapping: nothing lies behind the page that it ends in.
  auto from = cuda::adopt(seed.base() + seed.bytes() - kBytes, kBytes, true);
  auto into = cuda::adopt(target.base() + target.bytes() - kBytes, kBytes, true);
  ASSERT_TRUE(from.ok() && into.ok());
  const auto bytes = filled(from.value());
  EXPECT_TRUE(pulled(from.value(), into.value(), rdma::PathChoice::kDmabuf, rdma::Path::kDmabuf) == bytes);
}

TEST_F(CudaRdma, ByPeerMemoryWhereThereAreNoDmabufs) {
  STANDIN(standin_mode)("dmabuf", 0);
  STANDIN(standin_mode)("peermem", 1);
  const auto seed = allocated();
  const auto target = allocated();
  const auto bytes = filled(inside(seed));
  EXPECT_TRUE(pulled(inside(seed), inside(target), rdma::PathChoice::kAuto, rdma::Path::kPeerMemory) == bytes);
}

TEST_F(CudaRdma, NoPeerMemoryModulePinsAVirtualMapping) {
  STANDIN(standin_mode)("peermem", 1);
  auto driver = cuda::load_driver();
  ASSERT_TRUE(driver.ok());
  const Chunks chunks(driver.value(), 1);
  auto region = cuda::adopt(chunks.base(), chunks.bytes(), true);
  ASSERT_TRUE(region.ok());
  const auto refused = nic_->register_memory(region.value(), 0, chunks.bytes(), rdma::Access::kRemoteRead,
                                             rdma::PathChoice::kPeerMemory);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.status().message.find("expandable_segments"), std::string::npos) << refused.status().message;
}

TEST_F(CudaRdma, WithNeitherEachWaySaysWhyNot) {
  STANDIN(standin_mode)("dmabuf", 0);
  const auto memory = allocated();
  const auto refused = nic_->register_memory(memory, 0, kBytes, rdma::Access::kRemoteRead);
  ASSERT_FALSE(refused.ok());
  for (const char* words : {"dma-buf: ", "does not export dma-bufs", "peer-memory: ", "staging"}) {
    EXPECT_NE(refused.status().message.find(words), std::string::npos) << refused.status().message;
  }
}

TEST_F(CudaRdma, BytesThatNobodyFlushedAreNoticed) {
  const auto seed = allocated();
  const auto target = allocated();
  (void)filled(inside(seed));
  (void)pulled(inside(seed), inside(target), rdma::PathChoice::kAuto, rdma::Path::kDmabuf, false);
  EXPECT_EQ(STANDIN(standin_unflushed)(), 1);
}

TEST_F(CudaRdma, OneExportServesBothNics) {
  if (devices_.size() < 2) GTEST_SKIP() << "one RDMA device";
  const auto memory = allocated();
  const auto other = open(devices_[1]);
  auto first = nic_->register_memory(memory, 0, kBytes, rdma::Access::kRemoteRead);
  auto second = other->register_memory(memory, 0, kBytes, rdma::Access::kRemoteRead);
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(STANDIN(standin_calls)("cuMemGetHandleForAddressRange"), 1);
}

}  // namespace
}  // namespace weightcast::test
