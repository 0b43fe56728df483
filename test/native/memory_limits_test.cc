#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "memory/cgroup.h"
#include "memory/limits.h"

namespace weightcast::memory {
namespace {

TEST(MemoryLimits, ReadsThisProcess) {
  const Limits limits = read_limits();
  rlimit memlock{};
  ASSERT_EQ(getrlimit(RLIMIT_MEMLOCK, &memlock), 0);
  EXPECT_EQ(limits.memlock_soft.value_or(RLIM_INFINITY), memlock.rlim_cur);
  EXPECT_EQ(limits.memlock_hard.value_or(RLIM_INFINITY), memlock.rlim_max);
  ASSERT_TRUE(limits.available.has_value());
  EXPECT_GT(*limits.available, 0U);
  EXPECT_LE(*limits.available,
            static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE)));
}

TEST(MemoryLimits, AdviceNamesTheLimitAndWhatWasAsked) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_MEMLOCK, &before), 0);
  const rlimit small{.rlim_cur = 12288, .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_MEMLOCK, &small), 0);
  const std::string advice = memlock_advice(987654321);
  setrlimit(RLIMIT_MEMLOCK, &before);
  for (const char* part : {"12288", "987654321", "ulimit -l unlimited", "LimitMEMLOCK=infinity"}) {
    EXPECT_NE(advice.find(part), std::string::npos) << advice;
  }
}

class Cgroup : public testing::Test {
 protected:
  Cgroup() { std::filesystem::create_directories(root_); }
  ~Cgroup() override { std::filesystem::remove_all(root_); }
  void write(const std::string& file, const std::string& text) const {
    const std::filesystem::path path = root_ + "/" + file;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text << "\n";
  }
  std::string root_ = std::filesystem::temp_directory_path() / ("weightcast-cgroup-" + std::to_string(getpid()));
};

TEST_F(Cgroup, Version2CountsFileCacheAsFree) {
  write("a/b/memory.max", "1000");
  write("a/b/memory.current", "700");
  write("a/b/memory.stat", "anon 100\nfile 600\ninactive_file 250\nactive_file 50\n");
  EXPECT_EQ(cgroup_available("0::/a/b\n", root_), 600U);
}

TEST_F(Cgroup, TheTightestGroupAboveCounts) {
  write("a/memory.max", "500");
  write("a/memory.current", "450");
  write("a/b/memory.max", "1000");
  write("a/b/memory.current", "100");
  EXPECT_EQ(cgroup_available("0::/a/b\n", root_), 50U);
}

TEST_F(Cgroup, NoLimitIsNothing) {
  write("a/memory.max", "max");
  write("a/memory.current", "450");
  EXPECT_EQ(cgroup_available("0::/a\n", root_), std::nullopt);
  EXPECT_EQ(cgroup_available("", root_), std::nullopt);
  EXPECT_EQ(cgroup_available("nonsense\n::\n", root_), std::nullopt);
}

TEST_F(Cgroup, AGroupOverItsLimitHasNothingLeft) {
  write("a/memory.max", "100");
  write("a/memory.current", "150");
  EXPECT_EQ(cgroup_available("0::/a\n", root_), 0U);
}

TEST_F(Cgroup, APathOfTheHostFallsBackToTheMount) {
  write("memory.max", "300");
  write("memory.current", "100");
  EXPECT_EQ(cgroup_available("0::/kubepods/pod1/container2\n", root_), 200U);
}

TEST_F(Cgroup, Version1IsFoundAmongItsControllers) {
  write("memory/x/memory.limit_in_bytes", "800");
  write("memory/x/memory.usage_in_bytes", "300");
  write("memory/x/memory.stat", "total_inactive_file 40\ntotal_active_file 60\n");
  write("memory/memory.limit_in_bytes", "9223372036854771712");
  write("memory/memory.usage_in_bytes", "5000");
  EXPECT_EQ(cgroup_available("9:name=systemd:/\n4:hugetlb,memory:/x\n1:cpu:/x\n0::/\n", root_), 600U);
}

}  // namespace
}  // namespace weightcast::memory
