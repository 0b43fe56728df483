// Virtual mappings, which PyTorch's expandable segments are: chunks of their own that one region spans.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/standin.h"

namespace weightcast::test {
namespace {

using cuda::DevicePointer;
using weightcast::Code;

constexpr std::size_t kChunk = Chunks::kChunk;

class CudaMappingTest : public StandinTest {
 protected:
  void remap(DevicePointer address, int device) const {
    ASSERT_EQ(driver_->mem_unmap(address, kChunk), cuda::Code::kSuccess);
    cuda::AllocationProperties properties{};
    properties.type = cuda::AllocationType::kPinned;
    properties.location = {.type = cuda::LocationType::kDevice, .id = device};
    cuda::AllocationHandle handle = 0;
    ASSERT_EQ(driver_->mem_create(&handle, kChunk, &properties, 0), cuda::Code::kSuccess);
    ASSERT_EQ(driver_->mem_map(address, kChunk, 0, handle, 0), cuda::Code::kSuccess);
    ASSERT_EQ(driver_->mem_release(handle), cuda::Code::kSuccess);
    const cuda::AccessDescription access{.location = properties.location, .flags = cuda::AccessFlags::kReadWrite};
    ASSERT_EQ(driver_->mem_set_access(address, kChunk, &access, 1), cuda::Code::kSuccess);
  }
};

TEST_F(CudaMappingTest, EachChunkIsKnownByAnIdOfItsOwn) {
  const Chunks chunks(driver_, 3);
  auto region = cuda::adopt(chunks.base() + 512, chunks.bytes() - 512, true);
  ASSERT_TRUE(region.ok()) << region.status().message;
  const memory::DeviceRegion& memory = *region.value()->on_device();
  for (const std::uint64_t offset : {std::uint64_t{0}, kChunk + 5, 2 * kChunk, 3 * kChunk - 612}) {
    const Status status = memory.prepare_registration(offset, 100);
    EXPECT_TRUE(status.ok()) << offset << ": " << status.message;
  }
}

TEST_F(CudaMappingTest, AChunkThatWasMappedAnewIsNotRegistered) {
  const Chunks chunks(driver_, 3);
  auto region = cuda::adopt(chunks.base(), chunks.bytes(), true);
  ASSERT_TRUE(region.ok()) << region.status().message;
  const memory::DeviceRegion& memory = *region.value()->on_device();
  remap(chunks.base() + kChunk, 0);
  EXPECT_TRUE(memory.prepare_registration(0, kChunk).ok());
  EXPECT_TRUE(memory.prepare_registration(2 * kChunk, kChunk).ok());
  EXPECT_EQ(memory.prepare_registration(0, kChunk + 1).code, Code::kClosed);
  EXPECT_EQ(memory.prepare_registration(2 * kChunk - 1, 1).code, Code::kClosed);
}

TEST_F(CudaMappingTest, AMappingOfTwoDevicesIsRefused) {
  const Chunks chunks(driver_, 2);
  remap(chunks.base() + kChunk, 1);
  const auto region = cuda::adopt(chunks.base(), chunks.bytes(), true);
  ASSERT_FALSE(region.ok());
  EXPECT_EQ(region.status().code, Code::kInvalidArgument);
  EXPECT_NE(region.status().message.find("memory of cuda:1"), std::string::npos) << region.status().message;
  EXPECT_TRUE(cuda::adopt(chunks.base(), kChunk, true).ok());
}

TEST_F(CudaMappingTest, AMappingWithAHoleIsRefused) {
  const Chunks chunks(driver_, 3);
  const DevicePointer hole = chunks.base() + kChunk;
  ASSERT_EQ(driver_->mem_unmap(hole, kChunk), cuda::Code::kSuccess);
  const auto region = cuda::adopt(chunks.base(), chunks.bytes(), true);
  ASSERT_FALSE(region.ok());
  EXPECT_EQ(region.status().code, Code::kInvalidArgument) << region.status().message;
  cuda::AllocationProperties properties{};
  properties.location = {.type = cuda::LocationType::kDevice, .id = 0};
  cuda::AllocationHandle handle = 0;
  ASSERT_EQ(driver_->mem_create(&handle, kChunk, &properties, 0), cuda::Code::kSuccess);
  ASSERT_EQ(driver_->mem_map(hole, kChunk, 0, handle, 0), cuda::Code::kSuccess);  // Chunks unmaps it
  ASSERT_EQ(driver_->mem_release(handle), cuda::Code::kSuccess);
}

class CudaMappingRefused : public CudaMappingTest, public testing::WithParamInterface<const char*> {};

TEST_P(CudaMappingRefused, HasItsOwnError) {
  const Chunks chunks(driver_, 2);
  STANDIN(standin_refuse)(GetParam(), static_cast<int>(cuda::Code::kUnknown), 1);
  auto region = cuda::adopt(chunks.base(), chunks.bytes(), true);
  Status status = region.ok() ? region.value()->on_device()->prepare_registration(0, chunks.bytes()) : region.status();
  EXPECT_EQ(status.code, Code::kDevice) << status.message;
  EXPECT_EQ(status.call, GetParam());
}

INSTANTIATE_TEST_SUITE_P(Calls, CudaMappingRefused,
                         testing::Values("cuPointerGetAttribute", "cuMemGetAddressRange", "cuCtxGetFlags",
                                         "cuCtxSetFlags"),
                         [](const auto& named) { return std::string(named.param); });

}  // namespace
}  // namespace weightcast::test
