#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <span>
#include <sstream>

#include "memory/limits.h"
#include "memory/region.h"
#include "support/bytes.h"

namespace weightcast::memory {
namespace {

using test::bytes_of;
using test::fill_random;

/// A file with random bytes, removed at the end.
class TemporaryFile {
 public:
  explicit TemporaryFile(std::size_t size) : bytes_(size) {
    fill_random(bytes_, size);
    std::ofstream file(path_, std::ios::binary);
    file.write(reinterpret_cast<const char*>(bytes_.data()), static_cast<std::streamsize>(size));
  }
  ~TemporaryFile() { std::filesystem::remove(path_); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  const std::string& path() const { return path_; }
  const std::byte* data() const { return bytes_.data(); }

 private:
  std::string path_ = std::filesystem::temp_directory_path() / ("weightcast-region-" + std::to_string(getpid()));
  std::vector<std::byte> bytes_;
};

std::string shared_name(const char* what) { return std::string("weightcast-") + what + "-" + std::to_string(getpid()); }

TEST(MemoryAllocate, GivesZeroedWritablePages) {
  for (const std::uint64_t size : {std::uint64_t{1}, std::uint64_t{4096}, (std::uint64_t{5} << 20U) + 1}) {
    auto region = allocate(size, HugePages::kAuto);
    ASSERT_TRUE(region.ok()) << region.status().message;
    EXPECT_EQ(region.value()->size(), size);
    EXPECT_EQ(region.value()->address() % region.value()->page_size(), 0U);
    EXPECT_TRUE(region.value()->writable());
    EXPECT_TRUE(region.value()->safe_to_load());
    EXPECT_EQ(region.value()->kind(), RegionKind::kAnonymous);
    const auto bytes = bytes_of(region.value());
    EXPECT_TRUE(std::ranges::all_of(bytes, [](std::byte byte) { return byte == std::byte{0}; }));
    bytes.front() = bytes.back() = std::byte{1};
  }
}

TEST(MemoryAllocate, LargeRegionsBeginOnATransparentHugePage) {
  auto region = allocate(std::uint64_t{16} << 20U, HugePages::kAuto);
  ASSERT_TRUE(region.ok());
  EXPECT_EQ(region.value()->address() % (std::uint64_t{2} << 20U), 0U);
}

TEST(MemoryAllocate, RefusesWhatNoHostCanGive) {
  EXPECT_EQ(allocate(0, HugePages::kAuto).status().code, Code::kInvalidArgument);
  EXPECT_EQ(allocate(UINT64_MAX, HugePages::kAuto).status().code, Code::kInvalidArgument);
  const auto available = read_limits().available;
  ASSERT_TRUE(available.has_value());
  auto too_much = allocate(*available * 2, HugePages::kNever);
  ASSERT_FALSE(too_much.ok());
  EXPECT_EQ(too_much.status().code, Code::kOutOfMemory);
  EXPECT_NE(too_much.status().message.find(std::to_string(*available * 2)), std::string::npos);
}

TEST(MemoryAllocate, RequiredHugePagesAreThereOrRefused) {
  const Limits limits = read_limits();
  const std::uint64_t size = (limits.huge_pages_free + 1) * std::max<std::uint64_t>(limits.huge_page_size, 1);
  auto too_many = allocate(size, HugePages::kRequire);
  ASSERT_FALSE(too_many.ok());
  EXPECT_EQ(too_many.status().code, Code::kOutOfMemory);
  if (limits.huge_pages_free == 0) GTEST_SKIP() << "the pool of huge pages is empty here";
  auto region = allocate(limits.huge_page_size, HugePages::kRequire);
  ASSERT_TRUE(region.ok()) << region.status().message;
  EXPECT_EQ(region.value()->page_size(), limits.huge_page_size);
}

TEST(MemoryShared, IsSeenByOthersAndStaysUntilUnlinked) {
  const std::string name = shared_name("seen");
  auto region = create_shared(name, 10000);
  ASSERT_TRUE(region.ok()) << region.status().message;
  EXPECT_EQ(region.value()->kind(), RegionKind::kShared);
  fill_random(bytes_of(region.value()), 1);
  const std::vector<std::byte> written(region.value()->data(), region.value()->data() + 10000);
  region.value().reset();
  std::vector<std::byte> found(20000);
  std::ifstream file("/dev/shm/" + name, std::ios::binary);
  file.read(reinterpret_cast<char*>(found.data()), 20000);
  EXPECT_EQ(file.gcount(), 10000);
  EXPECT_EQ(std::memcmp(found.data(), written.data(), 10000), 0);
  EXPECT_EQ(shm_unlink(name.c_str()), 0);
}

TEST(MemoryShared, ItsPagesAreReserved) {
  const std::string name = shared_name("reserved");
  auto region = create_shared("/" + name, 1 << 20);
  ASSERT_TRUE(region.ok());
  struct stat info{};
  ASSERT_EQ(stat(("/dev/shm/" + name).c_str(), &info), 0);
  EXPECT_GE(info.st_blocks * 512, 1 << 20);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
  shm_unlink(name.c_str());
}

/// Whether this kernel folds pages of /dev/shm: by its own answer, for an object that it was not asked by us to fold.
bool shared_pages_fold() {
  constexpr std::uint64_t kHuge = std::uint64_t{2} << 20U;
  const std::string name = shared_name("probe");
  const int fd = shm_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600);
  shm_unlink(name.c_str());
  if (fd < 0 || posix_fallocate(fd, 0, kHuge) != 0) return false;
  void* room = mmap(nullptr, 2 * kHuge, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  auto* base = reinterpret_cast<std::byte*>((reinterpret_cast<std::uintptr_t>(room) + kHuge - 1) / kHuge * kHuge);
  (void)mmap(base, kHuge, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
  close(fd);
  const bool folds = madvise(base, kHuge, 25) == 0;  // MADV_COLLAPSE
  munmap(room, 2 * kHuge);
  return folds;
}

/// KiB of a mapping that huge pages of shared memory back, by /proc/self/smaps.
std::uint64_t folded_kib(const std::byte* address) {
  std::ifstream maps("/proc/self/smaps");
  std::ostringstream start;
  start << std::hex << reinterpret_cast<std::uintptr_t>(address) << "-";
  bool inside = false;
  for (std::string line; std::getline(maps, line);) {
    if (line.starts_with(start.str())) inside = true;
    if (inside && line.starts_with("ShmemPmdMapped:")) return std::stoull(line.substr(15));
  }
  return 0;
}

TEST(MemoryShared, WholeHugePagesOfItAreFoldedAndItsEndIsExact) {
  constexpr std::uint64_t kSize = (std::uint64_t{37} << 20U) + 4097;  // three steps of reservation, and a rest
  const std::string name = shared_name("folded");
  auto region = create_shared(name, kSize);
  ASSERT_TRUE(region.ok()) << region.status().message;
  struct stat info{};
  ASSERT_EQ(stat(("/dev/shm/" + name).c_str(), &info), 0);
  shm_unlink(name.c_str());
  EXPECT_EQ(info.st_size, kSize);
  EXPECT_GE(info.st_blocks * 512, kSize);
  const std::span<std::byte> bytes = bytes_of(region.value());
  EXPECT_TRUE(std::ranges::all_of(bytes, [](std::byte value) { return value == std::byte{0}; }));
  fill_random(bytes, 3);
  std::vector<std::byte> found(kSize);
  EXPECT_EQ(pread(region.value()->share()->descriptor, found.data(), kSize, 0), static_cast<ssize_t>(kSize));
  EXPECT_TRUE(std::ranges::equal(found, bytes));
  if (!shared_pages_fold()) GTEST_SKIP() << "this kernel does not fold pages of /dev/shm";
  EXPECT_EQ(folded_kib(region.value()->data()), 36U * 1024);
}

TEST(MemoryShared, ATakenNameIsRefusedAndKept) {
  const std::string name = shared_name("taken");
  auto first = create_shared(name, 4096);
  ASSERT_TRUE(first.ok());
  auto second = create_shared(name, 4096);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.status().code, Code::kAlreadyExists);
  EXPECT_TRUE(std::filesystem::exists("/dev/shm/" + name)) << "the first one's object";
  shm_unlink(name.c_str());
}

TEST(MemoryShared, AFullDeviceIsAnErrorThatLeavesNothing) {
  const auto space = std::filesystem::space("/dev/shm");
  const auto available = read_limits().available.value_or(UINT64_MAX);
  const std::string name = shared_name("full");
  // Either check may be the one that refuses; both say the same thing.
  auto region = create_shared(name, std::min<std::uint64_t>(space.capacity, available) + (1 << 20));
  ASSERT_FALSE(region.ok());
  EXPECT_EQ(region.status().code, Code::kOutOfMemory) << region.status().message;
  EXPECT_FALSE(std::filesystem::exists("/dev/shm/" + name));
}

TEST(MemoryShared, MalformedNamesAreRefused) {
  for (const std::string& name : {std::string(), std::string("/"), std::string("a/b"), std::string("/a/b"),
                                  std::string(".."), std::string(300, 'x'), std::string("a\0b", 3)}) {
    EXPECT_EQ(create_shared(name, 4096).status().code, Code::kInvalidArgument) << name;
  }
}

TEST(MemoryFile, MapsAnyRange) {
  const TemporaryFile file(100000);
  for (const auto& [offset, size] :
       {std::pair<std::uint64_t, std::uint64_t>{0, 100000}, {8, 99992}, {4096, 1}, {12345, 6789}}) {
    auto region = map_file(file.path(), offset, size);
    ASSERT_TRUE(region.ok()) << region.status().message;
    EXPECT_EQ(region.value()->size(), size);
    EXPECT_FALSE(region.value()->writable());
    EXPECT_FALSE(region.value()->safe_to_load());
    EXPECT_EQ(std::memcmp(region.value()->data(), file.data() + offset, size), 0);
    std::vector<std::byte> copied(size);
    ASSERT_TRUE(region.value()->copy_out(0, copied).ok());
    EXPECT_EQ(std::memcmp(copied.data(), file.data() + offset, size), 0);
  }
}

TEST(MemoryFile, RangesAndFilesThatAreNotThereAreRefused) {
  const TemporaryFile file(1000);
  EXPECT_EQ(map_file(file.path(), 0, 1001).status().code, Code::kOutOfRange);
  EXPECT_EQ(map_file(file.path(), 1001, 1).status().code, Code::kOutOfRange);
  EXPECT_EQ(map_file(file.path(), UINT64_MAX, 1).status().code, Code::kOutOfRange);
  EXPECT_EQ(map_file(file.path(), 0, 0).status().code, Code::kInvalidArgument);
  EXPECT_EQ(map_file("/nowhere/model.safetensors", 0, 1).status().code, Code::kNotFound);
  EXPECT_EQ(map_file("/tmp", 0, 1).status().code, Code::kInvalidArgument);
}

TEST(MemoryFile, AFileCutShortIsAnErrorAndNoSignal) {
  const TemporaryFile file(20000);
  auto region = map_file(file.path(), 0, 20000);
  ASSERT_TRUE(region.ok());
  ASSERT_EQ(truncate(file.path().c_str(), 5000), 0);
  std::vector<std::byte> bytes(20000);
  const Status status = region.value()->copy_out(0, bytes);
  EXPECT_EQ(status.code, Code::kIo);
  EXPECT_NE(status.message.find("5000"), std::string::npos) << status.message;
  EXPECT_TRUE(region.value()->copy_out(0, std::span(bytes).first(5000)).ok());
}

TEST(MemoryRegion, CopyOutStaysInside) {
  const RegionPtr region = test::random_region(5000, 2);
  std::vector<std::byte> bytes(100);
  ASSERT_TRUE(region->copy_out(4900, bytes).ok());
  EXPECT_EQ(std::memcmp(bytes.data(), region->data() + 4900, 100), 0);
  EXPECT_EQ(region->copy_out(4901, bytes).code, Code::kOutOfRange);
  EXPECT_EQ(region->copy_out(UINT64_MAX, bytes).code, Code::kOutOfRange);
  EXPECT_TRUE(region->copy_out(5000, {}).ok());
}

TEST(MemoryAdopt, HoldsItsOwnerUntilDropped) {
  auto owner = std::make_shared<std::vector<std::byte>>(64);
  const std::weak_ptr<std::vector<std::byte>> watched = owner;
  auto region = adopt(owner->data(), 64, true, owner);
  ASSERT_TRUE(region.ok());
  owner.reset();
  EXPECT_FALSE(watched.expired());
  EXPECT_EQ(region.value()->kind(), RegionKind::kAdopted);
  region.value().reset();
  EXPECT_TRUE(watched.expired());
}

TEST(MemoryAdopt, RefusesRangesThatCannotBe) {
  std::byte byte{};
  EXPECT_EQ(adopt(nullptr, 1, true, nullptr).status().code, Code::kInvalidArgument);
  EXPECT_EQ(adopt(&byte, 0, true, nullptr).status().code, Code::kInvalidArgument);
  EXPECT_EQ(adopt(reinterpret_cast<std::byte*>(UINT64_MAX - 10), 100, true, nullptr).status().code,
            Code::kInvalidArgument);
}

TEST(MemoryCopy, CopiesEveryByteWithAnyNumberOfThreads) {
  const RegionPtr from = test::random_region((std::uint64_t{20} << 20U) + 777, 9);
  for (const unsigned threads : {0U, 1U, 2U, 7U}) {
    const RegionPtr into = test::empty_region(from->size());
    const Status status = copy(*from, *into, threads);
    ASSERT_TRUE(status.ok()) << status.message;
    EXPECT_EQ(std::memcmp(from->data(), into->data(), from->size()), 0);
  }
}

TEST(MemoryCopy, CopiesAFileAndReportsOneThatWasCut) {
  const TemporaryFile file((std::size_t{9} << 20U) + 3);
  auto from = map_file(file.path(), 3, std::uint64_t{9} << 20U);
  ASSERT_TRUE(from.ok());
  const RegionPtr into = test::empty_region(std::uint64_t{9} << 20U);
  ASSERT_TRUE(copy(*from.value(), *into, 2).ok());
  EXPECT_EQ(std::memcmp(into->data(), file.data() + 3, into->size()), 0);
  ASSERT_EQ(truncate(file.path().c_str(), 1 << 20), 0);
  EXPECT_EQ(copy(*from.value(), *into, 2).code, Code::kIo);
}

TEST(MemoryCopy, RefusesUnequalSizesAndReadOnlyTargets) {
  const RegionPtr four = test::empty_region(4);
  const RegionPtr five = test::empty_region(5);
  EXPECT_EQ(copy(*four, *five, 1).code, Code::kInvalidArgument);
  auto read_only = adopt(five->data(), 4, false, nullptr);
  ASSERT_TRUE(read_only.ok());
  EXPECT_EQ(copy(*four, *read_only.value(), 1).code, Code::kInvalidArgument);
}

}  // namespace
}  // namespace weightcast::memory
