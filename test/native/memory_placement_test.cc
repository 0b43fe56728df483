#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <string>

#include "memory/region.h"
#include "support/kernel_double.h"

namespace weightcast::memory {
namespace {

using test::KernelDouble;

constexpr std::uint64_t kMiB = 1U << 20U;

std::map<int, std::uint64_t> bytes_by_node(const KernelDouble& kernel) {
  std::map<int, std::uint64_t> bytes;
  for (const auto& placed : kernel.placed) bytes[placed.node] += placed.length;
  return bytes;
}

TEST(MemoryPlacement, OneNodeIsOneCall) {
  KernelDouble kernel;
  const auto region = allocate(10 * kMiB + 5, HugePages::kNever, {1, 1, 1}, kernel);
  ASSERT_TRUE(region.ok()) << region.status().message;
  ASSERT_EQ(kernel.placed.size(), 1U);
  EXPECT_EQ(kernel.placed[0].base, region.value()->data());
  EXPECT_EQ(kernel.placed[0].length, 10 * kMiB + 4096);
  ASSERT_NE(region.value()->placement(), nullptr);
  EXPECT_EQ(region.value()->placement()->nodes, (topology::Numbers{1}));
  EXPECT_EQ(region.value()->placement()->refusal, "");
}

TEST(MemoryPlacement, SeveralNodesShareInProportionToTheirNics) {
  KernelDouble kernel;
  const std::uint64_t size = 4096 * kMiB;  // never touched
  const auto region = allocate(size, HugePages::kAuto, {0, 1, 1, 1}, kernel);
  if (!region.ok()) GTEST_SKIP() << region.status().message;
  auto bytes = bytes_by_node(kernel);
  EXPECT_EQ(bytes[0] + bytes[1], size);
  EXPECT_NEAR(static_cast<double>(bytes[1]), 3 * static_cast<double>(bytes[0]),
              3 * static_cast<double>(piece_bytes(size, 4096)))
      << "the last round of turns may be a part of one";
  EXPECT_LE(kernel.placed.size(), 512U);
  const std::byte* next = region.value()->data();
  for (const auto& placed : kernel.placed) {
    EXPECT_EQ(placed.base, next);
    EXPECT_EQ(placed.length % (2 * kMiB), 0U) << "no huge page is cut";
    next += placed.length;
  }
}

TEST(MemoryPlacement, LittleMemoryNamesTheNodesThatItIsOn) {
  KernelDouble kernel;
  const auto region = allocate(3 * kMiB, HugePages::kNever, {1, 0, 2}, kernel);
  ASSERT_TRUE(region.ok());
  EXPECT_EQ(region.value()->placement()->nodes, (topology::Numbers{0, 1}));
  EXPECT_EQ(bytes_by_node(kernel), (std::map<int, std::uint64_t>{{1, 2 * kMiB}, {0, kMiB}}));
}

TEST(MemoryPlacement, WithoutNodesNothingIsCalled) {
  KernelDouble kernel;
  const auto region = allocate(kMiB, HugePages::kAuto, {}, kernel);
  ASSERT_TRUE(region.ok());
  EXPECT_EQ(kernel.calls(), 0);
  EXPECT_EQ(region.value()->placement(), nullptr);
}

TEST(MemoryPlacement, ARefusalIsSaidAndTheMemoryIsThere) {
  for (const int error : {EPERM, ENOSYS, EINVAL}) {
    KernelDouble kernel;
    kernel.refusal = error;
    const auto region = allocate(kMiB, HugePages::kAuto, {1}, kernel);
    ASSERT_TRUE(region.ok()) << region.status().message;
    ASSERT_NE(region.value()->placement(), nullptr);
    EXPECT_TRUE(region.value()->placement()->nodes.empty());
    EXPECT_NE(region.value()->placement()->refusal.find("mbind"), std::string::npos);
    region.value()->data()[kMiB - 1] = std::byte{1};
  }
}

TEST(MemoryPlacement, ARefusalOnTheWayEndsIt) {
  KernelDouble kernel;
  kernel.placed_at_most = 2;
  const auto region = allocate(8 * kMiB, HugePages::kNever, {0, 1}, kernel);
  ASSERT_TRUE(region.ok());
  EXPECT_EQ(kernel.placed.size(), 2U);
  EXPECT_TRUE(region.value()->placement()->nodes.empty());
  EXPECT_NE(region.value()->placement()->refusal, "");
}

TEST(MemoryPlacement, SharedMemoryIsPlacedBeforeItsPagesAreReserved) {
  const std::string name = "/weightcast-placement-" + std::to_string(getpid());
  KernelDouble kernel;
  const auto region = create_shared(name, 5 * kMiB + 1, {1}, kernel);
  (void)shm_unlink(name.c_str());
  ASSERT_TRUE(region.ok()) << region.status().message;
  ASSERT_EQ(kernel.placed.size(), 1U);
  EXPECT_EQ(kernel.placed[0].length, 5 * kMiB + 4096);
  EXPECT_EQ(region.value()->placement()->nodes, (topology::Numbers{1}));
}

TEST(MemoryPlacement, TheKernelTakesItsOwnFirstNode) {
  const auto region = allocate(4 * kMiB, HugePages::kAuto, {0});
  ASSERT_TRUE(region.ok());
  ASSERT_NE(region.value()->placement(), nullptr);
  // Where a container's filter refuses it, that is said; a kernel without NUMA has no such call.
  if (region.value()->placement()->refusal.empty()) {
    EXPECT_EQ(region.value()->placement()->nodes, (topology::Numbers{0}));
  } else {
    EXPECT_NE(region.value()->placement()->refusal.find("mbind"), std::string::npos);
  }
  region.value()->data()[0] = std::byte{1};
}

}  // namespace
}  // namespace weightcast::memory
