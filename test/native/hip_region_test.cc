// AMD's accelerators with the stand-in: what is exported, adopted, refused, copied, and that nothing stays.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstdlib>
#include <span>
#include <vector>

#include "accelerators/accelerators.h"
#include "hip/kernel.h"
#include "hip/region.h"
#include "support/standin.h"

namespace weightcast::test {
namespace {

using weightcast::Code;

class HipRegionTest : public StandinTest {
 protected:
  void SetUp() override {
    setenv("WEIGHTCAST_HIP_LIB", STANDIN_HIP, 1);
    setenv("WEIGHTCAST_HSA_LIB", STANDIN_HIP, 1);
    StandinTest::SetUp();
    auto loaded = hip::load_driver();
    ASSERT_TRUE(loaded.ok()) << loaded.status().message;
    exports_ = loaded.value()->dmabuf_reason.empty();
  }
  static unsigned flush_control(int device) {
    void* library = dlopen(STANDIN_HIP, RTLD_LAZY | RTLD_LOCAL);
    return reinterpret_cast<unsigned (*)(int)>(dlsym(library, "standin_flush_control"))(device);
  }
  bool exports_ = false;  // what this machine's kernel says of itself
};

std::vector<std::byte> pattern(std::size_t size) {
  std::vector<std::byte> bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i * 131 >> 3U);
  return bytes;
}

TEST_F(HipRegionTest, BytesGoInAndOut) {
  auto region = hip::allocate(1, 3 << 20);
  ASSERT_TRUE(region.ok()) << region.status().message;
  const memory::DeviceRegion& device = *region.value()->on_device();
  EXPECT_EQ(device.device()->name(), "hip:1");
  const auto bytes = pattern(3 << 20);
  {
    auto stream = device.device()->open_stream();
    ASSERT_TRUE(stream.ok()) << stream.status().message;
    ASSERT_TRUE(stream.value()->to_device(region.value()->data(), bytes.data(), bytes.size()).ok());
    auto ticket = stream.value()->mark();
    ASSERT_TRUE(ticket.ok());
    ASSERT_TRUE(stream.value()->wait(ticket.value()).ok());
  }
  std::vector<std::byte> back(bytes.size());
  ASSERT_TRUE(region.value()->copy_out(0, std::span(back)).ok());
  EXPECT_EQ(back, bytes);
  EXPECT_TRUE(device.device()->flush().ok());
  EXPECT_EQ(flush_control(1), 1U) << "the register of the device that was flushed";
  EXPECT_EQ(flush_control(0), 0U);
}

TEST_F(HipRegionTest, AnExportSaysWhereTheRangeBegins) {
  if (!exports_) GTEST_SKIP() << "this machine's kernel says that it cannot share such memory";
  auto region = hip::allocate(0, 4 << 20);
  ASSERT_TRUE(region.ok()) << region.status().message;
  auto exported = region.value()->on_device()->export_dmabuf((1 << 20) + 700, 5000);
  ASSERT_TRUE(exported.ok()) << exported.status().message;
  EXPECT_EQ(exported.value()->offset, 700U);
  std::size_t bytes = 0;
  void* mapped = STANDIN(standin_map_dmabuf)(exported.value()->descriptor.get(), &bytes);
  EXPECT_EQ(bytes, 8192U);
  munmap(mapped, bytes);
}

TEST_F(HipRegionTest, WhatIsNotItsToReadIsRefusedWithTheReason) {
  auto owned = hip::allocate(0, 4 << 20);
  ASSERT_TRUE(owned.ok());
  const std::uint64_t address = owned.value()->address();
  EXPECT_TRUE(hip::adopt(address + 3, 1000, true).ok());
  const auto beyond = hip::adopt(address + 3, 4 << 20, true);
  EXPECT_EQ(beyond.status().code, Code::kInvalidArgument);
  EXPECT_NE(beyond.status().message.find("leave their allocation"), std::string::npos) << beyond.status().message;
  int host = 0;
  const auto of_host = hip::adopt(reinterpret_cast<std::uint64_t>(&host), sizeof host, true);
  EXPECT_NE(of_host.status().message.find("Region.fromAddress"), std::string::npos) << of_host.status().message;
  const CurrentContext context(driver_);
  const std::uint64_t managed = STANDIN(standin_managed)(4096);
  const auto of_managed = hip::adopt(managed, 4096, true);
  EXPECT_NE(of_managed.status().message.find("managed memory"), std::string::npos) << of_managed.status().message;
  ASSERT_EQ(driver_->mem_free(managed), cuda::Code::kSuccess);
}

TEST_F(HipRegionTest, AllocationsMayBeLongerThan32BitsCount) {
  auto owned = hip::allocate(1, (std::uint64_t{4} << 30U) + 4096);
  ASSERT_TRUE(owned.ok()) << owned.status().message;
  const std::uint64_t late = owned.value()->address() + (std::uint64_t{4} << 30U);
  auto adopted = hip::adopt(late, 4096, true);
  ASSERT_TRUE(adopted.ok()) << adopted.status().message;
  EXPECT_EQ(adopted.value()->on_device()->device()->name(), "hip:1");
}

TEST_F(HipRegionTest, AnAddressThatBelongsToOtherMemoryByNowIsNotRegistered) {
  auto first = hip::allocate(0, 4 << 20);
  ASSERT_TRUE(first.ok());
  auto adopted = hip::adopt(first.value()->address(), 4096, true);
  ASSERT_TRUE(adopted.ok()) << adopted.status().message;
  EXPECT_TRUE(adopted.value()->on_device()->prepare_registration(0, 4096).ok());
  first.value().reset();
  auto second = hip::allocate(0, 4 << 20);
  ASSERT_TRUE(second.ok());
  ASSERT_EQ(second.value()->address(), adopted.value()->address());
  EXPECT_EQ(adopted.value()->on_device()->prepare_registration(0, 4096).code, Code::kClosed);
}

TEST_F(HipRegionTest, TheInventoryHasBothKinds) {
  const accelerators::Inventory all = accelerators::list();
  ASSERT_EQ(all.drivers.size(), 2U);
  EXPECT_EQ(all.drivers[1].version, "6.2");
  ASSERT_EQ(all.accelerators.size(), 4U);
  EXPECT_EQ(all.accelerators[3].kind, memory::DeviceKind::kHip);
  EXPECT_EQ(all.accelerators[3].info.pci_address, "0000:a1:00.0");
}

TEST_F(HipRegionTest, EveryCallThatIsRefusedIsSaidAndNothingStays) {
  const auto use = []() -> Status {
    auto region = hip::allocate(0, 1 << 20);
    if (!region.ok()) return region.status();
    if (Status status = region.value()->on_device()->prepare_registration(0, 4096); !status.ok()) return status;
    auto pages = memory::allocate(1 << 20, memory::HugePages::kNever);
    if (!pages.ok()) return pages.status();
    auto pin = region.value()->on_device()->device()->pin(pages.value()->data(), 1 << 20);
    if (!pin.ok()) return pin.status();
    if (Status status = region.value()->on_device()->device()->flush(); !status.ok()) return status;
    std::vector<std::byte> back(4096);
    return region.value()->copy_out(0, std::span(back));
  };
  for (const char* call :
       {"hipGetDeviceCount", "hipDeviceGetPCIBusId", "hipSetDevice", "hipMalloc", "hipPointerGetAttribute",
        "hipPointerSetAttribute", "hipHostRegister", "hipDeviceGetAttribute", "hipStreamCreateWithFlags",
        "hipMemcpyAsync", "hipEventCreateWithFlags", "hipEventRecord", "hipEventSynchronize"}) {
    constexpr int kUnknown = 999;
    STANDIN(standin_refuse)(call, kUnknown, 1);
    const Status status = use();
    EXPECT_EQ(status.code, Code::kDevice) << call;
    EXPECT_EQ(status.call, call) << status.message;
    STANDIN(standin_refuse)(nullptr, 0, 0);
    EXPECT_EQ(STANDIN(standin_alive)(), 0) << call << standin_report_text();
  }
  EXPECT_TRUE(use().ok());
}

TEST(HipKernel, SaysWhichOptionItLacks) {
  EXPECT_EQ(hip::why_config_cannot_share("CONFIG_PCI_P2PDMA=y\nCONFIG_DMABUF_MOVE_NOTIFY=y\n"), "");
  EXPECT_NE(hip::why_config_cannot_share("# CONFIG_PCI_P2PDMA is not set\nCONFIG_DMABUF_MOVE_NOTIFY=y\n")
                .find("CONFIG_PCI_P2PDMA"),
            std::string::npos);
  EXPECT_EQ(hip::why_config_cannot_share("CONFIG_PCI_P2PDMA=y\n"), "") << "a kernel that has no such option any more";
  EXPECT_NE(hip::why_config_cannot_share("CONFIG_PCI_P2PDMA=y\n# CONFIG_DMABUF_MOVE_NOTIFY is not set\n")
                .find("CONFIG_DMABUF_MOVE_NOTIFY"),
            std::string::npos);
}

}  // namespace
}  // namespace weightcast::test
