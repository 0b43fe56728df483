#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/kernel_double.h"
#include "topology/locality.h"

namespace weightcast::topology {
namespace {

using test::KernelDouble;

/// The kernel's file systems as a test wants them: two nodes of four processors and memory, and four NICs.
class Topology : public ::testing::Test {
 protected:
  Topology() {
    write("sys/devices/system/cpu/online", "0-7");
    node(0, "0-3");
    node(1, "4-7");
    write("sys/devices/system/node/online", "0-1");
    write("sys/devices/system/node/has_memory", "0-1");
    nic("mlx5_0", "0");
    nic("mlx5_1", "0");
    nic("mlx5_2", "1");
    nic("mlx5_3", "-1");
  }
  ~Topology() override { std::filesystem::remove_all(root_); }
  Topology(const Topology&) = delete;
  Topology& operator=(const Topology&) = delete;
  Topology(Topology&&) = delete;
  Topology& operator=(Topology&&) = delete;

  void write(const std::string& path, const std::string& line) const {
    const auto file = std::filesystem::path(root_) / path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << line << "\n";
  }
  void node(int number, const std::string& processors) const {
    write("sys/devices/system/node/node" + std::to_string(number) + "/cpulist", processors);
  }
  void nic(const std::string& device, const std::string& node) const {
    write("sys/class/infiniband/" + device + "/device/numa_node", node);
  }
  NicLocality located(const std::string& device) { return locate({device}, root_, kernel_).nics.at(0); }

  const std::string root_ = ::testing::TempDir() + "weightcast-topology-" +
                            ::testing::UnitTest::GetInstance()->current_test_info()->name() + std::to_string(getpid());
  KernelDouble kernel_;
};

TEST(TopologyNumbers, AreReadAsTheKernelWritesThem) {
  EXPECT_EQ(parse_numbers("0-3,8\n"), (Numbers{0, 1, 2, 3, 8}));
  EXPECT_EQ(parse_numbers("5"), (Numbers{5}));
  EXPECT_EQ(parse_numbers("8,0-1,1"), (Numbers{0, 1, 8}));
  EXPECT_EQ(parse_numbers("\n"), Numbers{});
  for (const char* wrong : {"a", "1-", "3-1", "-1", "1,", ",1", "1;2", "0-99999999", "99999999999"}) {
    EXPECT_EQ(parse_numbers(wrong), std::nullopt) << wrong;
  }
}

TEST(TopologyNumbers, AreWrittenTheSameWay) {
  EXPECT_EQ(format_numbers({}), "");
  EXPECT_EQ(format_numbers({0, 1, 2, 3, 8}), "0-3,8");
  EXPECT_EQ(format_numbers({1, 3, 5}), "1,3,5");
}

TEST_F(Topology, MemoryAndThreadsGoToTheNodeOfEachNic) {
  const Locality found = locate({"mlx5_0", "mlx5_2", "mlx5_1"}, root_, kernel_);
  ASSERT_EQ(found.nodes.size(), 2U);
  ASSERT_EQ(found.nics.size(), 3U);
  EXPECT_EQ(found.nics[0].processors, (Numbers{0, 1, 2, 3}));
  EXPECT_EQ(found.nics[1].node, 1);
  EXPECT_EQ(found.nics[1].processors, (Numbers{4, 5, 6, 7}));
  EXPECT_EQ(found.nics[2].node, 0);
  for (const NicLocality& nic : found.nics) {
    EXPECT_EQ(nic.threads_reason, "");
    EXPECT_EQ(nic.memory_reason, "");
  }
}

TEST_F(Topology, WithOneNodeTheKernelIsAskedNothing) {
  write("sys/devices/system/node/online", "0");
  const NicLocality nic = located("mlx5_0");
  EXPECT_EQ(kernel_.calls(), 0);
  EXPECT_TRUE(nic.processors.empty());
  EXPECT_NE(nic.memory_reason, "");
}

TEST_F(Topology, AKernelThatShowsNoNodesHasNothingToSay) {
  std::filesystem::remove_all(root_ + "/sys/devices");
  EXPECT_TRUE(locate({"mlx5_0"}, root_, kernel_).nodes.empty());
  EXPECT_EQ(kernel_.calls(), 0);
}

TEST_F(Topology, ANicOfAnUnknownNodeIsLeftAlone) {
  for (const char* device : {"mlx5_3", "absent"}) {
    const NicLocality nic = located(device);
    EXPECT_EQ(nic.node, -1);
    EXPECT_TRUE(nic.processors.empty());
    EXPECT_EQ(nic.threads_reason, "the kernel does not say on which node " + std::string(device) + " is");
    EXPECT_EQ(nic.memory_reason, nic.threads_reason);
  }
}

TEST_F(Topology, OfflineProcessorsDoNotCount) {
  write("sys/devices/system/cpu/online", "0-4,7");
  EXPECT_EQ(located("mlx5_2").processors, (Numbers{4, 7}));
}

TEST_F(Topology, ANodeWithoutProcessorsKeepsNoThreads) {
  write("sys/devices/system/node/online", "0-2");
  write("sys/devices/system/node/has_memory", "0-2");
  node(2, "");
  nic("cxl", "2");
  const NicLocality nic = located("cxl");
  EXPECT_TRUE(nic.processors.empty());
  EXPECT_EQ(nic.threads_reason, "node 2 has no processors");
  EXPECT_EQ(nic.memory_reason, "");
}

TEST_F(Topology, ANodeWithoutMemoryGetsNone) {
  write("sys/devices/system/node/has_memory", "0");
  const NicLocality nic = located("mlx5_2");
  EXPECT_EQ(nic.processors, (Numbers{4, 5, 6, 7}));
  EXPECT_EQ(nic.memory_reason, "node 1 has no memory");
}

TEST_F(Topology, BesideANodeOfMemoryOnlyNoThreadNeedsToBeKept) {
  node(1, "");
  kernel_.processors = {0, 1, 2, 3};
  EXPECT_EQ(located("mlx5_0").threads_reason, "all processors are on node 0");
  EXPECT_EQ(located("mlx5_0").memory_reason, "");
}

TEST_F(Topology, AProcessOnOneNodeStaysWhereItsUserPutIt) {
  kernel_.processors = {1, 2};
  const NicLocality nic = located("mlx5_2");
  EXPECT_TRUE(nic.processors.empty());
  EXPECT_EQ(nic.threads_reason, "this process is kept on node 0 already, by its affinity mask or its cpuset");
  EXPECT_EQ(nic.memory_reason, "") << "memory may still be near the NIC";
}

TEST_F(Topology, AMaskOfSeveralNodesNarrowsTheProcessors) {
  kernel_.processors = {1, 2, 6};
  EXPECT_EQ(located("mlx5_0").processors, (Numbers{1, 2}));
  EXPECT_EQ(located("mlx5_2").processors, (Numbers{6}));
}

TEST_F(Topology, ANodeThatTheMaskLeavesOutKeepsNoThreads) {
  write("sys/devices/system/cpu/online", "0-11");
  write("sys/devices/system/node/online", "0-2");
  node(2, "8-11");
  nic("far", "2");
  EXPECT_EQ(located("far").threads_reason, "this process may not run on node 2");
}

TEST_F(Topology, ACpusetAndAPolicyOfItsOwnKeepMemoryWhereItIs) {
  kernel_.nodes = Numbers{0};
  EXPECT_EQ(located("mlx5_0").memory_reason, "");
  EXPECT_EQ(located("mlx5_2").memory_reason, "this process's cpuset does not let it have memory of node 1");
  kernel_.policy = true;
  EXPECT_EQ(located("mlx5_0").memory_reason, "this process has a memory policy of its own (numactl)");
}

TEST_F(Topology, AKernelThatDoesNotSayWhereTheProcessMayRunKeepsNoThreads) {
  kernel_.refusal = EPERM;
  const NicLocality nic = located("mlx5_0");
  EXPECT_TRUE(nic.processors.empty());
  EXPECT_NE(nic.threads_reason.find("Operation not permitted"), std::string::npos) << nic.threads_reason;
  EXPECT_EQ(nic.memory_reason, "");
}

TEST(TopologyKernel, KeepsAThreadOnProcessorsThatItMayHave) {
  Kernel& kernel = system_kernel();
  const auto before = kernel.allowed_processors();
  ASSERT_TRUE(before.ok());
  ASSERT_FALSE(before.value().empty());
  std::thread([&] {
    EXPECT_TRUE(kernel.run_on({before.value().front()}).ok());
    std::ifstream status("/proc/thread-self/status");
    for (std::string line; std::getline(status, line);) {
      if (!line.starts_with("Cpus_allowed_list:")) continue;
      EXPECT_EQ(line.substr(line.find('\t') + 1), std::to_string(before.value().front()));
    }
    const Status none = kernel.run_on({});
    EXPECT_EQ(none.error_number, EINVAL) << none.message;
  }).join();
  EXPECT_EQ(kernel.allowed_processors().value(), before.value()) << "of the process, not of the thread";
}

}  // namespace
}  // namespace weightcast::topology
