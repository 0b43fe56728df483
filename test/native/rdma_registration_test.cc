#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "support/fake_device.h"
#include "support/rdma.h"

namespace weightcast::test {
namespace {

using RdmaRegistration = RdmaTest;

constexpr std::uint64_t kSize = (std::uint64_t{1} << 20U) + 12345;

void expect_readable(const std::shared_ptr<rdma::Nic>& nic, const memory::RegionPtr& region) {
  const Transfer transfer(nic, region);
  const Path path = Path::over(nic, 1);
  TestFeed feed;
  feed.add_range(region->address(), transfer.into->data(), region->size(), 128 * 1024);
  const Status status = transfer.lane(path)->run(feed, 0);
  ASSERT_TRUE(status.ok()) << status.message;
  EXPECT_TRUE(transfer.arrived());
}

TEST_F(RdmaRegistration, AnonymousMemoryCanBeRead) { expect_readable(nic_, random_region(kSize, 3)); }

TEST_F(RdmaRegistration, SharedMemoryCanBeRead) {
  const std::string name = "weightcast-test-" + std::to_string(getpid());
  auto region = memory::create_shared(name, kSize);
  ASSERT_TRUE(region.ok()) << region.status().message;
  shm_unlink(name.c_str());
  fill_random(bytes_of(region.value()), 4);
  expect_readable(nic_, region.value());
}

/// Kernels differ in what file mappings they pin. Either the mapping serves reads, or the error says what to do.
void check_file_mapping(const std::shared_ptr<rdma::Nic>& nic, const std::filesystem::path& directory) {
  const std::string path = directory / ("weightcast-test-" + std::to_string(getpid()));
  {
    std::vector<std::byte> bytes(kSize);
    fill_random(bytes, 5);
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    ASSERT_TRUE(file.good()) << path;
  }
  auto region = memory::map_file(path, 8, kSize - 8);
  std::filesystem::remove(path);
  ASSERT_TRUE(region.ok()) << region.status().message;
  auto registration = nic->register_memory(region.value(), 0, kSize - 8, rdma::Access::kRemoteRead);
  if (registration.ok()) {
    std::printf("file mapping in %s: registered\n", directory.c_str());
    expect_readable(nic, region.value());
    return;
  }
  std::printf("file mapping in %s: %s\n", directory.c_str(), registration.status().message.c_str());
  EXPECT_EQ(registration.status().code, Code::kRegistration);
  EXPECT_EQ(registration.status().error_number, EFAULT);
  EXPECT_NE(registration.status().message.find("copy the file"), std::string::npos);
  // What a caller does then.
  const memory::RegionPtr copied = empty_region(kSize - 8);
  ASSERT_TRUE(memory::copy(*region.value(), *copied, 2).ok());
  expect_readable(nic, copied);
}

TEST_F(RdmaRegistration, AFileOnTmpfsIsServedOrTheErrorSaysWhatToDo) { check_file_mapping(nic_, "/dev/shm"); }

TEST_F(RdmaRegistration, AFileOnTheRootFileSystemIsServedOrTheErrorSaysWhatToDo) {
  check_file_mapping(nic_, "/var/tmp");
}

TEST_F(RdmaRegistration, RangesOutsideOfTheRegionAreRefused) {
  const memory::RegionPtr region = empty_region(8192);
  for (const auto& [offset, length] :
       {std::pair<std::uint64_t, std::uint64_t>{0, 0}, {0, 8193}, {8192, 1}, {1, UINT64_MAX}}) {
    auto registration = nic_->register_memory(region, offset, length, rdma::Access::kRemoteRead);
    ASSERT_FALSE(registration.ok());
    EXPECT_EQ(registration.status().code, Code::kOutOfRange);
  }
}

TEST_F(RdmaRegistration, AReadOnlyRegionCannotReceive) {
  const memory::RegionPtr owner = empty_region(4096);
  auto region = memory::adopt(owner->data(), 4096, false, nullptr);
  ASSERT_TRUE(region.ok());
  auto registration = nic_->register_memory(region.value(), 0, 4096, rdma::Access::kLocalWrite);
  ASSERT_FALSE(registration.ok());
  EXPECT_EQ(registration.status().code, Code::kInvalidArgument);
}

TEST_F(RdmaRegistration, UnmappedMemoryIsARegistrationError) {
  void* address = mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(address, MAP_FAILED);
  munmap(address, 4096);
  auto region = memory::adopt(static_cast<std::byte*>(address), 4096, true, nullptr);
  ASSERT_TRUE(region.ok());
  auto registration = nic_->register_memory(region.value(), 0, 4096, rdma::Access::kRemoteRead);
  ASSERT_FALSE(registration.ok());
  EXPECT_EQ(registration.status().code, Code::kRegistration);
  EXPECT_EQ(registration.status().call, "ibv_reg_mr");
  EXPECT_NE(registration.status().message.find("not mapped"), std::string::npos) << registration.status().message;
}

TEST_F(RdmaRegistration, ARegistrationKeepsItsMemory) {
  memory::RegionPtr region = random_region(kSize, 6);
  const std::weak_ptr<const memory::Region> watched = region;
  auto registration = registered(nic_, region, rdma::Access::kRemoteRead);
  region.reset();
  EXPECT_FALSE(watched.expired());
  registration.reset();
  EXPECT_TRUE(watched.expired());
}

TEST_F(RdmaRegistration, EverythingOutlivesTheNicThatMadeIt) {
  const Transfer transfer(nic_, kSize);
  const Path path = Path::over(nic_, 1);
  nic_.reset();
  TestFeed feed;
  feed.add_range(transfer.from->address(), transfer.into->data(), kSize, 64 * 1024);
  const Status status = transfer.lane(path)->run(feed, 0);
  EXPECT_TRUE(status.ok()) << status.message;
  EXPECT_TRUE(transfer.arrived());
}

/// Effective capabilities of this thread without one of them, until destroyed.
class WithoutCapability {
 public:
  explicit WithoutCapability(unsigned capability) {
    valid_ = syscall(SYS_capget, &header_, before_) == 0;
    __user_cap_data_struct reduced[2] = {before_[0], before_[1]};
    reduced[capability / 32].effective &= ~(1U << capability % 32);
    valid_ = valid_ && syscall(SYS_capset, &header_, reduced) == 0;
  }
  ~WithoutCapability() { (void)syscall(SYS_capset, &header_, before_); }
  WithoutCapability(const WithoutCapability&) = delete;
  WithoutCapability& operator=(const WithoutCapability&) = delete;
  bool valid() const { return valid_; }

 private:
  __user_cap_header_struct header_{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct before_[2]{};
  bool valid_ = false;
};

TEST_F(RdmaRegistration, AFullMemlockLimitSaysHowToRaiseIt) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_MEMLOCK, &before), 0);
  const rlimit small{.rlim_cur = 65536, .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_MEMLOCK, &small), 0);
  const memory::RegionPtr region = empty_region(kSize);
  auto registration = [&] {
    const WithoutCapability unprivileged(CAP_IPC_LOCK);
    EXPECT_TRUE(unprivileged.valid());
    return nic_->register_memory(region, 0, kSize, rdma::Access::kRemoteRead);
  }();
  ASSERT_EQ(setrlimit(RLIMIT_MEMLOCK, &before), 0);
  ASSERT_FALSE(registration.ok());
  EXPECT_EQ(registration.status().code, Code::kMemlockLimit) << registration.status().message;
  EXPECT_EQ(registration.status().error_number, ENOMEM);
  EXPECT_NE(registration.status().message.find("ulimit -l"), std::string::npos);
  EXPECT_NE(registration.status().message.find("65536"), std::string::npos) << registration.status().message;
}

/// Host memory, that any NIC pins, stands for memory that a peer-memory module makes one pin.
TEST_F(RdmaRegistration, AnAcceleratorsMemoryGoesByTheFirstPathThatWorks) {
  const auto region = device_region(std::make_shared<FakeDevice>(), kSize, 7);
  auto registration = nic_->register_memory(region, 0, kSize, rdma::Access::kRemoteRead);
  ASSERT_TRUE(registration.ok()) << registration.status().message;
  EXPECT_EQ(registration.value()->path(), rdma::Path::kPeerMemory);
  EXPECT_EQ(region->preparations, 1);
  // Nothing is exported for a NIC that could not import it.
  EXPECT_EQ(region->exports, nic_->imports_dmabuf().ok() ? 1 : 0);
  expect_readable(nic_, region);

  auto forced = nic_->register_memory(region, 0, kSize, rdma::Access::kRemoteRead, rdma::PathChoice::kPeerMemory);
  ASSERT_TRUE(forced.ok()) << forced.status().message;
  EXPECT_EQ(forced.value()->path(), rdma::Path::kPeerMemory);
}

TEST_F(RdmaRegistration, APathThatIsForcedAndDoesNotWorkIsAnError) {
  const auto region = device_region(std::make_shared<FakeDevice>(), kSize);
  auto registration = nic_->register_memory(region, 0, kSize, rdma::Access::kRemoteRead, rdma::PathChoice::kDmabuf);
  ASSERT_FALSE(registration.ok());
  const Status& status = registration.status();
  EXPECT_EQ(status.code, Code::kRegistration);
  EXPECT_NE(status.message.find("cuda:0"), std::string::npos) << status.message;
  EXPECT_NE(status.message.find("dma-buf: "), std::string::npos) << status.message;
  EXPECT_EQ(status.message.find("peer-memory: "), std::string::npos) << status.message;
}

TEST_F(RdmaRegistration, AnAcceleratorsMemoryThatNoPathReachesHasTheReasonOfEach) {
  const long page = sysconf(_SC_PAGESIZE);
  void* address = mmap(nullptr, static_cast<std::size_t>(page), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(address, MAP_FAILED);
  auto nothing = memory::adopt(static_cast<std::byte*>(address), static_cast<std::uint64_t>(page), true, nullptr);
  ASSERT_TRUE(nothing.ok());
  const auto region = std::make_shared<const FakeDeviceRegion>(std::make_shared<FakeDevice>(), nothing.value());
  auto registration = nic_->register_memory(region, 0, region->size(), rdma::Access::kLocalWrite);
  munmap(address, static_cast<std::size_t>(page));
  ASSERT_FALSE(registration.ok());
  const Status& status = registration.status();
  EXPECT_EQ(status.code, Code::kRegistration);
  for (const char* part : {"cuda:0", "dma-buf: ", "peer-memory: ", "nvidia_peermem", "staging"}) {
    EXPECT_NE(status.message.find(part), std::string::npos) << part << " in: " << status.message;
  }
  std::printf("no path: %s\n", status.message.c_str());
}

TEST_F(RdmaRegistration, AnAddressThatIsOtherMemorysByNowIsNotRegistered) {
  const auto region = device_region(std::make_shared<FakeDevice>(), kSize, 0, {.changed_owner = true});
  auto registration = nic_->register_memory(region, 0, kSize, rdma::Access::kRemoteRead);
  ASSERT_FALSE(registration.ok());
  EXPECT_EQ(registration.status().code, Code::kClosed);
}

}  // namespace
}  // namespace weightcast::test
