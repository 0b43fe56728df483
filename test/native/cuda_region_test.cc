// GPU memory by the driver's rules, with the stand-in: what is exported, adopted, refused, and that nothing stays.
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <vector>

#include "support/standin.h"

namespace weightcast::test {
namespace {

using cuda::DevicePointer;
using weightcast::Code;

class CudaRegionTest : public StandinTest {
 protected:
  static memory::RegionPtr allocated(std::uint64_t bytes) {
    auto region = cuda::allocate(0, bytes);
    EXPECT_TRUE(region.ok()) << region.status().message;
    return region.ok() ? region.value() : nullptr;
  }
  static Result<memory::RegionPtr> adopted(DevicePointer address, std::uint64_t bytes) {
    return cuda::adopt(address, bytes, true);
  }
  static memory::Dmabuf const* exported(const memory::RegionPtr& region, std::uint64_t offset, std::uint64_t length,
                                        std::shared_ptr<const memory::Dmabuf>& keep) {
    auto made = region->on_device()->export_dmabuf(offset, length);
    EXPECT_TRUE(made.ok()) << made.status().message;
    if (made.ok()) keep = made.value();
    return keep.get();
  }
  static std::size_t bytes_of_export(const memory::Dmabuf& dmabuf) {
    std::size_t bytes = 0;
    void* mapped = STANDIN(standin_map_dmabuf)(dmabuf.descriptor.get(), &bytes);
    EXPECT_NE(mapped, nullptr);
    if (mapped != nullptr) munmap(mapped, bytes);
    return bytes;
  }
};

TEST_F(CudaRegionTest, AnUnalignedPointerIsExportedFromItsPage) {
  const auto memory = allocated(64 << 10);
  auto inside = adopted(memory->address() + 4096 + 512, 8192);
  ASSERT_TRUE(inside.ok()) << inside.status().message;
  std::shared_ptr<const memory::Dmabuf> keep;
  ASSERT_NE(exported(inside.value(), 0, 8192, keep), nullptr);
  EXPECT_EQ(keep->offset, 512U);
  EXPECT_EQ(bytes_of_export(*keep), 3U * 4096);
}

TEST_F(CudaRegionTest, AnOffsetInARegionIsExportedFromItsOwnPage) {
  const auto memory = allocated(8 << 20);
  std::shared_ptr<const memory::Dmabuf> keep;
  ASSERT_NE(exported(memory, (3 << 20) + 700, 100, keep), nullptr);
  EXPECT_EQ(keep->offset, 700U);
  EXPECT_EQ(bytes_of_export(*keep), 4096U);
}

TEST_F(CudaRegionTest, OneExportServesAllNics) {
  const auto memory = allocated(4 << 20);
  std::shared_ptr<const memory::Dmabuf> one;
  std::shared_ptr<const memory::Dmabuf> other;
  EXPECT_EQ(exported(memory, 100, 5000, one), exported(memory, 100, 5000, other));
  EXPECT_EQ(STANDIN(standin_calls)("cuMemGetHandleForAddressRange"), 1);
}

TEST_F(CudaRegionTest, AVirtualMappingIsExportedAcrossItsChunksUpToItsEnd) {
  const Chunks chunks(driver_, 3);
  const std::uint64_t skip = 1000;
  auto region = adopted(chunks.base() + skip, chunks.bytes() - skip - 3);
  ASSERT_TRUE(region.ok()) << region.status().message;
  std::shared_ptr<const memory::Dmabuf> keep;
  ASSERT_NE(exported(region.value(), 0, chunks.bytes() - skip - 3, keep), nullptr);
  EXPECT_EQ(keep->offset, skip);
  EXPECT_EQ(bytes_of_export(*keep), chunks.bytes());
}

TEST_F(CudaRegionTest, CopiesOfAVirtualMappingWaitByItsContext) {
  const Chunks chunks(driver_, 2);
  auto region = adopted(chunks.base(), chunks.bytes());
  ASSERT_TRUE(region.ok()) << region.status().message;
  ASSERT_TRUE(region.value()->on_device()->prepare_registration(0, chunks.bytes()).ok());
  STANDIN(standin_deregister)(STANDIN(standin_register)(chunks.base(), chunks.bytes(), 0));
}

TEST_F(CudaRegionTest, CopiesOfAnAllocationWaitByItsAttribute) {
  const auto memory = allocated(4 << 20);
  ASSERT_TRUE(memory->on_device()->prepare_registration(0, memory->size()).ok());
  EXPECT_NE(STANDIN(standin_is_synchronous)(memory->address()), 0);
  STANDIN(standin_deregister)(STANDIN(standin_register)(memory->address(), memory->size(), 0));
}

TEST_F(CudaRegionTest, AnAddressThatBelongsToOtherMemoryByNowIsNotRegistered) {
  const CurrentContext context(driver_);
  DevicePointer first = 0;
  ASSERT_EQ(driver_->mem_alloc(&first, 4 << 20), cuda::Code::kSuccess);
  auto region = adopted(first, 4 << 20);
  ASSERT_TRUE(region.ok()) << region.status().message;
  ASSERT_EQ(driver_->mem_free(first), cuda::Code::kSuccess);
  DevicePointer second = 0;
  ASSERT_EQ(driver_->mem_alloc(&second, 4 << 20), cuda::Code::kSuccess);
  ASSERT_EQ(second, first);
  const Status status = region.value()->on_device()->prepare_registration(0, 4096);
  EXPECT_EQ(status.code, Code::kClosed) << status.message;
  ASSERT_EQ(driver_->mem_free(second), cuda::Code::kSuccess);
}

TEST_F(CudaRegionTest, ManagedMemoryIsRefusedWithTheReason) {
  const CurrentContext context(driver_);
  const DevicePointer managed = STANDIN(standin_managed)(4096);
  const auto region = adopted(managed, 4096);
  EXPECT_EQ(region.status().code, Code::kInvalidArgument);
  EXPECT_NE(region.status().message.find("managed memory"), std::string::npos) << region.status().message;
  ASSERT_EQ(driver_->mem_free(managed), cuda::Code::kSuccess);
}

TEST_F(CudaRegionTest, ARangeThatLeavesItsAllocationIsRefused) {
  const auto memory = allocated(4096);
  const auto neighbour = allocated(4096);  // in the same block, so that addresses go on
  EXPECT_EQ(adopted(memory->address(), 8192).status().code, Code::kInvalidArgument);
  EXPECT_EQ(adopted(0x1000, 4096).status().code, Code::kInvalidArgument);
}

TEST_F(CudaRegionTest, BytesGoThereAndBack) {
  const auto memory = allocated((4 << 20) + 123);
  auto stream = memory->on_device()->device()->open_stream();
  ASSERT_TRUE(stream.ok());
  std::vector<std::byte> out(memory->size());
  fill_random(out, 7);
  ASSERT_TRUE(stream.value()->to_device(memory->data(), out.data(), out.size()).ok());
  auto ticket = stream.value()->mark();
  ASSERT_TRUE(ticket.ok() && stream.value()->wait(ticket.value()).ok());
  std::vector<std::byte> back(memory->size());
  ASSERT_TRUE(memory->copy_out(0, back).ok());
  EXPECT_TRUE(std::ranges::equal(out, back));
}

TEST_F(CudaRegionTest, AFlushIsLeftOutWhereTheDeviceOrdersWrites) {
  const auto memory = allocated(4096);
  memory::Device& device = *memory->on_device()->device();
  EXPECT_TRUE(device.flush().ok());
  EXPECT_EQ(STANDIN(standin_calls)("cuFlushGPUDirectRDMAWrites"), 1);
  STANDIN(standin_mode)("ordering", cuda::kOrderedForOwner);
  EXPECT_TRUE(device.flush().ok());
  STANDIN(standin_mode)("ordering", 0);
  STANDIN(standin_mode)("flush", 0);  // asking for it would be a fault
  EXPECT_TRUE(device.flush().ok());
  EXPECT_EQ(STANDIN(standin_calls)("cuFlushGPUDirectRDMAWrites"), 1);
}

/// Everything that a region goes through, until something fails.
Status live_through() {
  auto made = cuda::allocate(0, 4 << 20);
  if (!made.ok()) return made.status();
  auto adopted = cuda::adopt(made.value()->address() + 512, 4096, true);
  if (!adopted.ok()) return adopted.status();
  const memory::DeviceRegion& region = *adopted.value()->on_device();
  if (Status status = region.prepare_registration(0, 4096); !status.ok()) return status;
  if (auto dmabuf = region.export_dmabuf(0, 4096); !dmabuf.ok()) return dmabuf.status();
  std::vector<std::byte> host(4096);
  auto pin = region.device()->pin(host.data(), host.size());
  if (!pin.ok()) return pin.status();
  auto stream = region.device()->open_stream();
  if (!stream.ok()) return stream.status();
  if (Status status = stream.value()->to_device(adopted.value()->data(), host.data(), host.size()); !status.ok())
    return status;
  auto ticket = stream.value()->mark();
  if (!ticket.ok()) return ticket.status();
  if (Status status = stream.value()->wait(ticket.value()); !status.ok()) return status;
  if (Status status = adopted.value()->copy_out(0, host); !status.ok()) return status;
  return region.device()->flush();
}

class CudaRefused : public CudaRegionTest, public testing::WithParamInterface<const char*> {};

TEST_P(CudaRefused, HasItsOwnErrorAndLeavesNothing) {
  STANDIN(standin_refuse)(GetParam(), static_cast<int>(cuda::Code::kUnknown), 1);
  const Status status = live_through();
  EXPECT_EQ(status.code, Code::kDevice) << status.message;
  EXPECT_EQ(status.call, GetParam());
  EXPECT_NE(status.message.find(std::string(GetParam()) + ": CUDA_ERROR_UNKNOWN"), std::string::npos) << status.message;
}

INSTANTIATE_TEST_SUITE_P(Calls, CudaRefused,
                         testing::Values("cuDeviceGetCount", "cuDeviceGet", "cuDeviceGetPCIBusId",
                                         "cuDevicePrimaryCtxRetain", "cuCtxPushCurrent", "cuMemAlloc",
                                         "cuPointerGetAttribute", "cuPointerSetAttribute",
                                         "cuMemGetHandleForAddressRange", "cuMemHostRegister", "cuStreamCreate",
                                         "cuMemcpyHtoDAsync", "cuMemcpyDtoHAsync", "cuEventCreate", "cuEventRecord",
                                         "cuEventSynchronize", "cuFlushGPUDirectRDMAWrites"),
                         [](const auto& named) { return std::string(named.param); });

TEST_F(CudaRegionTest, NothingIsRefusedOtherwise) {
  const Status status = live_through();
  EXPECT_TRUE(status.ok()) << status.message;
}

TEST(CudaDriver, WithoutCuGetProcAddressFunctionsAreFoundByTheirSymbols) {
  const auto driver = cuda::load_driver_file(STANDIN_CUDA_OLD);
  ASSERT_TRUE(driver.ok()) << driver.status().message;
  cuda::Context context = nullptr;
  ASSERT_EQ(driver.value()->device_primary_ctx_retain(&context, 0), cuda::Code::kSuccess);
  ASSERT_EQ(driver.value()->ctx_push_current(context), cuda::Code::kSuccess);
  DevicePointer pointer = 0;
  EXPECT_EQ(driver.value()->mem_alloc(&pointer, 4096), cuda::Code::kSuccess);
  EXPECT_GT(pointer, UINT32_MAX);  // a form of 32 bits would have cut it off
  EXPECT_EQ(driver.value()->mem_free(pointer), cuda::Code::kSuccess);
  EXPECT_EQ(driver.value()->ctx_pop_current(&context), cuda::Code::kSuccess);
  EXPECT_EQ(driver.value()->device_primary_ctx_release(0), cuda::Code::kSuccess);
}

TEST(CudaDriver, AMissingLibraryIsNamed) {
  const auto driver = cuda::load_driver_file("/nowhere/libcuda.so.1");
  EXPECT_EQ(driver.status().code, Code::kDeviceUnavailable);
  EXPECT_NE(driver.status().message.find("/nowhere/libcuda.so.1"), std::string::npos);
}

}  // namespace
}  // namespace weightcast::test
