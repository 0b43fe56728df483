#include "transfer/checksum.h"

#include <gtest/gtest.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>

#include "support/bytes.h"
#include "support/fake_device.h"

namespace weightcast::transfer {
namespace {

using memory::RegionPtr;

Result<std::vector<std::uint64_t>> sums(const std::vector<RegionPtr>& regions, const std::vector<ChecksumRange>& ranges,
                                        unsigned threads = 2) {
  std::atomic<std::uint64_t> done = 0;
  const std::atomic<bool> cancel = false;
  return checksum(regions, ranges, threads, done, cancel);
}

class TemporaryFile {
 public:
  explicit TemporaryFile(std::span<const std::byte> bytes) {
    const int fd = mkstemp(path_.data());
    if (fd < 0 || write(fd, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) std::abort();
    close(fd);
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  TemporaryFile(TemporaryFile&&) = delete;
  TemporaryFile& operator=(TemporaryFile&&) = delete;
  ~TemporaryFile() { unlink(path_.c_str()); }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_ = "/tmp/weightcast-checksum-XXXXXX";
};

TEST(Checksum, IsXxh3WithSeed0) {
  // XXH3_64bits of nothing, as the algorithm's own documentation gives it.
  const RegionPtr region = test::random_region(5 << 20, 1);
  const auto result = sums({region}, {{0, 17, 0}});
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result.value().at(0), 0x2d06800538d394c2ULL);
}

TEST(Checksum, OfEachRangeEqualsTheHashOfItsBytes) {
  const std::vector<RegionPtr> regions{test::random_region(5 << 20, 1), test::random_region(70000, 2)};
  std::vector<ChecksumRange> ranges;
  for (const std::uint64_t length : {0ULL, 1ULL, 3ULL, 16ULL, 17ULL, 240ULL, 241ULL, 65537ULL}) {
    ranges.push_back({1, 5, length});
  }
  for (const std::uint64_t length : {(1ULL << 20) - 1, 1ULL << 20, (1ULL << 20) + 1, 4ULL << 20}) {
    ranges.push_back({0, 777, length});
  }
  for (const unsigned threads : {0U, 1U, 3U, 50U}) {
    const auto result = sums(regions, ranges, threads);
    ASSERT_TRUE(result.ok());
    for (std::size_t i = 0; i < ranges.size(); ++i) {
      const std::byte* bytes = regions[ranges[i].region]->data() + ranges[i].offset;
      EXPECT_EQ(result.value()[i], XXH3_64bits(bytes, ranges[i].length)) << i;
    }
  }
}

TEST(Checksum, SeesASingleFlippedBit) {
  const RegionPtr region = test::random_region(3 << 20, 3);
  const auto before = sums({region}, {{0, 0, region->size()}});
  test::bytes_of(region)[(2 << 20) + 5] ^= std::byte{1};
  const auto after = sums({region}, {{0, 0, region->size()}});
  EXPECT_NE(before.value().at(0), after.value().at(0));
}

TEST(Checksum, CountsTheBytesDone) {
  const RegionPtr region = test::random_region(3 << 20, 4);
  std::atomic<std::uint64_t> done = 0;
  const std::atomic<bool> cancel = false;
  const std::vector<RegionPtr> regions{region};
  const std::vector<ChecksumRange> ranges{{0, 0, 3 << 20}, {0, 1, 1000}};
  ASSERT_TRUE(checksum(regions, ranges, 2, done, cancel).ok());
  EXPECT_EQ(done.load(), (3ULL << 20) + 1000);
}

TEST(Checksum, RefusesRangesThatLeaveTheirRegion) {
  const RegionPtr region = test::random_region(4096, 5);
  for (const ChecksumRange bad : {ChecksumRange{0, 1, 4096}, ChecksumRange{1, 0, 1}, ChecksumRange{0, 4097, 0},
                                  ChecksumRange{0, ~0ULL, 2}, ChecksumRange{0, 2, ~0ULL}}) {
    const auto result = sums({region}, {{0, 0, 1}, bad});
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.status().code, Code::kOutOfRange);
    EXPECT_NE(result.status().message.find("range 1 "), std::string::npos) << result.status().message;
  }
}

TEST(Checksum, StopsEarlyWhenCancelled) {
  const RegionPtr region = test::random_region(1 << 20, 6);
  const std::vector<RegionPtr> regions{region};
  // Enough work for minutes, if cancelling did not work.
  const std::vector<ChecksumRange> ranges(2'000'000, {0, 0, 1 << 20});
  std::atomic<std::uint64_t> done = 0;
  std::atomic<bool> cancel = false;
  std::thread canceller([&] {
    while (done.load() == 0) std::this_thread::yield();
    cancel.store(true);
  });
  const auto result = checksum(regions, ranges, 2, done, cancel);
  canceller.join();
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.status().code, Code::kCancelled);
}

TEST(Checksum, OfAMappedFileNeedsNoLoadFromTheMapping) {
  std::vector<std::byte> bytes((3 << 20) + 99);
  test::fill_random(bytes, 8);
  const TemporaryFile file(bytes);
  const auto region = memory::map_file(file.path(), 0, bytes.size());
  ASSERT_TRUE(region.ok()) << region.status().message;
  EXPECT_FALSE(region.value()->safe_to_load());
  const auto result = sums({region.value()}, {{0, 1, bytes.size() - 1}});
  ASSERT_TRUE(result.ok()) << result.status().message;
  EXPECT_EQ(result.value().at(0), XXH3_64bits(bytes.data() + 1, bytes.size() - 1));
}

TEST(Checksum, OfAFileThatWasCutShortIsAnErrorAndNoSignal) {
  std::vector<std::byte> bytes(3 << 20);
  const TemporaryFile file(bytes);
  const auto region = memory::map_file(file.path(), 0, bytes.size());
  ASSERT_TRUE(region.ok()) << region.status().message;
  ASSERT_EQ(truncate(file.path().c_str(), 1 << 20), 0);
  const auto result = sums({region.value()}, {{0, 0, bytes.size()}});
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.status().code, Code::kIo);
}

TEST(Checksum, OfAnAcceleratorsMemoryIsOfItsBytes) {
  using namespace std::chrono_literals;
  const auto device = std::make_shared<test::FakeDevice>(test::DeviceFaults{.per_copy = 100us});
  const auto other = std::make_shared<test::FakeDevice>(test::DeviceFaults{}, 1);
  const auto first = test::device_region(device, (9 << 20) + 4321, 8);
  const auto second = test::device_region(other, 70'000, 9);
  const auto host = test::random_region(70'000, 10);
  const std::vector<ChecksumRange> ranges{
      {0, 0, first->size()}, {0, 5, 6 << 20}, {1, 1, 60'000}, {2, 3, 50'000}, {0, 7, 0}};
  const auto result = sums({first, second, host}, ranges);
  ASSERT_TRUE(result.ok()) << result.status().message;
  const std::vector<const std::byte*> data{first->data(), second->data(), host->data()};
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    EXPECT_EQ(result.value()[i], XXH3_64bits(data[ranges[i].region] + ranges[i].offset, ranges[i].length)) << i;
  }
  EXPECT_EQ(device->unpinned, 0);
}

TEST(Checksum, OfAnAcceleratorThatFailsIsTheDriversError) {
  for (const auto& faults :
       {test::DeviceFaults{.copies_before_refusal = 3}, test::DeviceFaults{.copies_before_breaking = 3},
        test::DeviceFaults{.refuses_streams = true}, test::DeviceFaults{.refuses_pins = true}}) {
    const auto device = std::make_shared<test::FakeDevice>(faults);
    const auto result = sums({test::device_region(device, 9 << 20, 8)}, {{0, 0, 9 << 20}});
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.status().code, Code::kDevice) << result.status().message;
    EXPECT_EQ(device->streams, 0);
  }
}

}  // namespace
}  // namespace weightcast::transfer
