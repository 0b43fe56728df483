// GPUs and their driver, with the stand-in: what is asked of them, and what is said when they do not answer.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cuda/device.h"
#include "cuda/inventory.h"
#include "support/standin.h"

namespace weightcast::test {
namespace {

using weightcast::Code;

constexpr int kUnknown = static_cast<int>(cuda::Code::kUnknown);

class CudaDeviceTest : public StandinTest {};

TEST_F(CudaDeviceTest, IsOneOfItsOrdinalWhileSomebodyHoldsIt) {
  {
    auto one = cuda::CudaDevice::open(1);
    ASSERT_TRUE(one.ok()) << one.status().message;
    auto other = cuda::CudaDevice::open(1);
    ASSERT_TRUE(other.ok());
    EXPECT_EQ(one.value(), other.value());
    EXPECT_EQ(one.value()->name(), "cuda:1");
    EXPECT_EQ(one.value()->pci_address(), "0000:a1:00.0");
    EXPECT_EQ(STANDIN(standin_calls)("cuDevicePrimaryCtxRetain"), 1);
  }
  EXPECT_EQ(STANDIN(standin_calls)("cuDevicePrimaryCtxRelease"), 1);
}

TEST_F(CudaDeviceTest, LeavesNoContextCurrent) {
  {
    auto region = cuda::allocate(0, 4096);
    ASSERT_TRUE(region.ok()) << region.status().message;
    std::vector<std::byte> host(4096);
    ASSERT_TRUE(region.value()->copy_out(0, host).ok());
    ASSERT_TRUE(region.value()->on_device()->device()->flush().ok());
  }
  EXPECT_EQ(STANDIN(standin_calls)("cuCtxPushCurrent"), STANDIN(standin_calls)("cuCtxPopCurrent"));
  cuda::Context context = nullptr;
  EXPECT_EQ(driver_->ctx_pop_current(&context), cuda::Code::kInvalidContext);
  expected_faults_ = 1;  // that one
}

TEST_F(CudaDeviceTest, ThatIsNotThereIsNamed) {
  const auto device = cuda::CudaDevice::open(2);
  ASSERT_FALSE(device.ok());
  EXPECT_EQ(device.status().code, Code::kNotFound);
  EXPECT_NE(device.status().message.find("cuda:2"), std::string::npos) << device.status().message;
}

TEST_F(CudaDeviceTest, WithoutRoomIsOutOfMemory) {
  const auto region = cuda::allocate(0, std::uint64_t{1} << 40U);
  ASSERT_FALSE(region.ok());
  EXPECT_EQ(region.status().code, Code::kOutOfMemory) << region.status().message;
  EXPECT_EQ(region.status().call, "cuMemAlloc");
}

TEST_F(CudaDeviceTest, ThatDoesNotAnswerIsNotTakenForOneThatCannot) {
  auto region = cuda::allocate(0, 4096);
  ASSERT_TRUE(region.ok()) << region.status().message;
  const memory::DeviceRegion& memory = *region.value()->on_device();
  STANDIN(standin_refuse)("cuDeviceGetAttribute", kUnknown, 0);
  const auto exported = memory.export_dmabuf(0, 4096);
  ASSERT_FALSE(exported.ok());
  EXPECT_EQ(exported.status().call, "cuDeviceGetAttribute") << exported.status().message;
  const Status flushed = memory.device()->flush();
  EXPECT_EQ(flushed.code, Code::kDevice);
  EXPECT_EQ(flushed.call, "cuDeviceGetAttribute") << flushed.message;
}

TEST_F(CudaDeviceTest, WithoutDmabufsSaysWhatIsMissing) {
  auto region = cuda::allocate(0, 4096);
  ASSERT_TRUE(region.ok()) << region.status().message;
  STANDIN(standin_mode)("dmabuf", 0);
  const auto exported = region.value()->on_device()->export_dmabuf(0, 4096);
  ASSERT_FALSE(exported.ok());
  EXPECT_EQ(exported.status().code, Code::kDevice);
  EXPECT_NE(exported.status().message.find("open kernel modules"), std::string::npos) << exported.status().message;
  EXPECT_EQ(STANDIN(standin_calls)("cuMemGetHandleForAddressRange"), 0);
}

TEST_F(CudaDeviceTest, FindsHostMemoryPinnedThatAnotherOnePinned) {
  auto first = cuda::CudaDevice::open(0);
  auto second = cuda::CudaDevice::open(1);
  ASSERT_TRUE(first.ok() && second.ok());
  std::vector<std::byte> host(1 << 16);
  auto one = first.value()->pin(host.data(), host.size());
  ASSERT_TRUE(one.ok()) << one.status().message;
  const auto other = second.value()->pin(host.data(), host.size());
  EXPECT_TRUE(other.ok());
}

class CudaUnanswered : public CudaDeviceTest, public testing::WithParamInterface<int> {};

TEST_P(CudaUnanswered, QuestionsAboutAPointerAreNoAnswers) {
  auto owner = cuda::allocate(0, 4096);
  ASSERT_TRUE(owner.ok()) << owner.status().message;
  STANDIN(standin_refuse)("cuPointerGetAttribute", kUnknown, GetParam());
  const auto region = cuda::adopt(owner.value()->address(), 4096, true);
  ASSERT_FALSE(region.ok());
  EXPECT_EQ(region.status().code, Code::kDevice) << region.status().message;
  EXPECT_EQ(region.status().call, "cuPointerGetAttribute");
}

// Memory type, managed or not, ordinal, how it was made, buffer id.
INSTANTIATE_TEST_SUITE_P(Questions, CudaUnanswered, testing::Range(1, 6));

TEST_F(CudaDeviceTest, MemoryOfTheHostIsRefusedWithAdvice) {
  std::vector<std::byte> host(4096);
  const auto region = cuda::adopt(reinterpret_cast<cuda::DevicePointer>(host.data()), host.size(), true);
  ASSERT_FALSE(region.ok());
  EXPECT_EQ(region.status().code, Code::kInvalidArgument);
  EXPECT_NE(region.status().message.find("Region.fromAddress"), std::string::npos) << region.status().message;
}

TEST_F(CudaDeviceTest, AreListedWithoutAContext) {
  const memory::DeviceInventory inventory = cuda::list();
  ASSERT_EQ(inventory.devices.size(), 2U) << inventory.reason;
  EXPECT_EQ(inventory.version, "12.8");
  EXPECT_EQ(inventory.devices[1].pci_address, "0000:a1:00.0");
  EXPECT_TRUE(inventory.devices[0].dmabuf) << inventory.devices[0].dmabuf_reason;
  EXPECT_EQ(STANDIN(standin_calls)("cuDevicePrimaryCtxRetain"), 0);
}

TEST_F(CudaDeviceTest, OfADriverThatDoesNotStartAreUnavailable) {
  STANDIN(standin_refuse)("cuInit", static_cast<int>(cuda::Code::kNoDevice), 1);
  const auto driver = cuda::load_driver_file(STANDIN_CUDA);
  ASSERT_FALSE(driver.ok());
  EXPECT_EQ(driver.status().code, Code::kDeviceUnavailable);
  EXPECT_EQ(driver.status().call, "cuInit");
  EXPECT_NE(driver.status().message.find("CUDA_ERROR_NO_DEVICE"), std::string::npos) << driver.status().message;
}

}  // namespace
}  // namespace weightcast::test
