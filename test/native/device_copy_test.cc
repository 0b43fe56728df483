#include "memory/device_copy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

#include "support/bytes.h"
#include "support/fake_device.h"

namespace weightcast::test {
namespace {

using namespace std::chrono_literals;

// More pieces than there are slots, and one that is not whole.
constexpr std::uint64_t kSize = 9 * memory::DeviceCopy::kPieceBytes + 12345;

bool same(std::span<const std::byte> a, std::span<const std::byte> b) { return std::ranges::equal(a, b); }

TEST(DeviceCopy, BringsHostMemoryToADevice) {
  const auto device = std::make_shared<FakeDevice>(DeviceFaults{.per_copy = 500us});
  const auto host = random_region(kSize, 1);
  for (const unsigned threads : {1U, 3U}) {
    const auto into = device_region(device, kSize);
    const Status status = memory::copy(*host, *into, threads);
    ASSERT_TRUE(status.ok()) << status.message;
    EXPECT_TRUE(same(bytes_of(host), bytes_on(into))) << threads;
  }
  EXPECT_EQ(device->unpinned, 0);
  EXPECT_EQ(device->streams, 0);
}

TEST(DeviceCopy, BringsADevicesMemoryToTheHost) {
  const auto device = std::make_shared<FakeDevice>(DeviceFaults{.per_copy = 500us});
  const auto from = device_region(device, kSize, 2);
  for (const unsigned threads : {1U, 3U}) {
    const auto host = empty_region(kSize);
    const Status status = memory::copy(*from, *host, threads);
    ASSERT_TRUE(status.ok()) << status.message;
    EXPECT_TRUE(same(bytes_of(host), bytes_on(from))) << threads;
  }
  EXPECT_EQ(device->unpinned, 0);
}

TEST(DeviceCopy, GoesFromOneDeviceToAnother) {
  const auto first = std::make_shared<FakeDevice>(DeviceFaults{.per_copy = 500us}, 0);
  const auto second = std::make_shared<FakeDevice>(DeviceFaults{.per_copy = 200us}, 1);
  const auto from = device_region(first, kSize, 3);
  const auto into = device_region(second, kSize);
  // Slots are pinned by the first device only; one driver's pin is good for all of its devices.
  const Status status = memory::copy(*from, *into, 2);
  ASSERT_TRUE(status.ok()) << status.message;
  EXPECT_TRUE(same(bytes_on(from), bytes_on(into)));
}

TEST(DeviceCopy, ACopyThatIsRefusedIsTheDriversError) {
  for (const auto& faults : {DeviceFaults{.copies_before_refusal = 5}, DeviceFaults{.copies_before_breaking = 5},
                             DeviceFaults{.refuses_streams = true}, DeviceFaults{.refuses_pins = true}}) {
    const auto device = std::make_shared<FakeDevice>(faults);
    const Status in = memory::copy(*random_region(kSize, 4), *device_region(device, kSize), 2);
    EXPECT_EQ(in.code, Code::kDevice) << in.message;
    const Status out = memory::copy(*device_region(device, kSize, 5), *empty_region(kSize), 1);
    EXPECT_EQ(out.code, Code::kDevice) << out.message;
    EXPECT_EQ(device->streams, 0);
  }
}

TEST(DeviceCopy, FillsSlotsWhileOthersAreEmptied) {
  constexpr std::uint64_t kPiece = memory::DeviceCopy::kPieceBytes;
  const auto device = std::make_shared<FakeDevice>();
  const auto host = random_region(kSize, 6);
  const auto into = device_region(device, kSize);
  memory::DeviceCopy copy(*host, *into);
  ASSERT_TRUE(copy.open().ok());
  device->hold();
  // Would not return if it waited for the device with slots left.
  for (std::uint64_t piece = 0; piece < 4; ++piece) ASSERT_TRUE(copy.begin(piece * kPiece, kPiece).ok());
  EXPECT_EQ(device->under_way, 2);
  device->go_on();
  ASSERT_TRUE(copy.finish().ok());
  EXPECT_TRUE(same(bytes_of(host).first(4 * kPiece), bytes_on(into).first(4 * kPiece)));
}

TEST(DeviceCopy, WritesBytesIntoAnyRegion) {
  const auto device = std::make_shared<FakeDevice>(DeviceFaults{.per_copy = 1ms});
  const auto bytes = random_region(5000, 7);
  const auto on_device = device_region(device, 10000);
  ASSERT_TRUE(memory::copy_in(*on_device, 4000, bytes_of(bytes)).ok());
  EXPECT_TRUE(same(bytes_of(bytes), bytes_on(on_device).subspan(4000, 5000)));
  const auto on_host = empty_region(10000);
  ASSERT_TRUE(memory::copy_in(*on_host, 4000, bytes_of(bytes)).ok());
  EXPECT_TRUE(same(bytes_of(bytes), bytes_of(on_host).subspan(4000, 5000)));

  EXPECT_EQ(memory::copy_in(*on_device, 5001, bytes_of(bytes)).code, Code::kOutOfRange);
  EXPECT_EQ(memory::copy_in(*on_host, UINT64_MAX, bytes_of(bytes)).code, Code::kOutOfRange);
  const auto read_only = memory::adopt(on_host->data(), on_host->size(), false, nullptr);
  EXPECT_EQ(memory::copy_in(*read_only.value(), 0, bytes_of(bytes)).code, Code::kInvalidArgument);
}

}  // namespace
}  // namespace weightcast::test
