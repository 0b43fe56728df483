// Reads over a real wire: one machine seeds, the other pulls. Run the same binary on both with HOSTS=2, HOST_INDEX 0
// (seed) and 1 (target), and RDMA_SHARED naming a directory that both see. Elsewhere it skips.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "support/rdma.h"

namespace weightcast::test {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20U;
constexpr std::uint64_t kSize = 32 * kMiB;
constexpr std::uint64_t kSeed = 42;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

/// Messages between the two machines: a file each.
class Board {
 public:
  explicit Board(std::string scenario) : prefix_(environment("RDMA_SHARED") + "/" + std::move(scenario) + ".") {}

  void post(const std::string& name, const std::string& text) const {
    const std::string path = prefix_ + name;
    std::ofstream(path + ".new") << text << "\n";
    std::filesystem::rename(path + ".new", path);
  }
  /// Empty when nobody posted it within 60 s.
  std::istringstream wait(const std::string& name) const {
    for (const auto deadline = Clock::now() + std::chrono::seconds(60); Clock::now() < deadline;) {
      if (std::ifstream file(prefix_ + name); file) {
        std::ostringstream text;
        text << file.rdbuf();
        return std::istringstream(text.str());
      }
      std::this_thread::sleep_for(milliseconds(20));
    }
    ADD_FAILURE() << "the other host did not post " << name;
    return {};
  }

 private:
  std::string prefix_;
};

class RdmaTwoHosts : public RdmaTest {
 protected:
  void SetUp() override {
    if (environment("HOSTS") != "2" || environment("RDMA_SHARED").empty())
      GTEST_SKIP() << "needs two machines (HOSTS=2)";
    RdmaTest::SetUp();
    board_ = std::make_unique<Board>(testing::UnitTest::GetInstance()->current_test_info()->name());
  }

  static bool is_seed() { return environment("HOST_INDEX") == "0"; }

  std::shared_ptr<rdma::Endpoint> connect(rdma::Role role, std::uint32_t queue_pairs, std::uint32_t depth) {
    const std::string mine = role == rdma::Role::kInitiator ? "target" : "seed";
    const std::string theirs = role == rdma::Role::kInitiator ? "seed" : "target";
    auto endpoint = rdma::Endpoint::create(nic_, role, queue_pairs, depth);
    EXPECT_TRUE(endpoint.ok());
    std::ostringstream text;
    text << nic_->gid();
    for (const std::uint32_t number : endpoint.value()->numbers()) text << " " << number;
    board_->post(mine, text.str());
    rdma::PeerQueuePairs peer;
    peer.path_mtu = nic_->mtu();
    auto message = board_->wait(theirs);
    message >> peer.gid;
    for (std::uint32_t number = 0; message >> number;) peer.numbers.push_back(number);
    const Status status = endpoint.value()->connect(peer);
    EXPECT_TRUE(status.ok()) << status.message;
    board_->post(mine + ".connected", "");
    board_->wait(theirs + ".connected");
    return endpoint.value();
  }

  /// The seed's part of every scenario: offer, then stay until the target is done.
  void seed(std::uint32_t queue_pairs) {
    const memory::RegionPtr region = random_region(kSize, kSeed);
    const auto registration = registered(nic_, region, rdma::Access::kRemoteRead);
    const auto endpoint = connect(rdma::Role::kResponder, queue_pairs, 1);
    board_->post("offer", std::to_string(region->address()) + " " + std::to_string(registration->remote_key()));
    board_->wait("done");
  }

  struct Pull {
    memory::RegionPtr expected, into;
    std::shared_ptr<rdma::RdmaLane> lane;
    TestFeed feed;
  };
  std::unique_ptr<Pull> pull(std::uint32_t queue_pairs, std::uint64_t slice_bytes) {
    auto pull = std::make_unique<Pull>();
    pull->expected = random_region(kSize, kSeed);
    pull->into = empty_region(kSize);
    const auto local = registered(nic_, pull->into, rdma::Access::kLocalWrite);
    const auto endpoint = connect(rdma::Role::kInitiator, queue_pairs, 20);
    std::uint64_t address = 0;
    std::uint32_t key = 0;
    board_->wait("offer") >> address >> key;
    pull->feed.add_range(address, pull->into->data(), kSize, slice_bytes);
    pull->lane = std::make_shared<rdma::RdmaLane>(endpoint, std::vector{key}, std::vector{local},
                                                  rdma::RdmaLaneOptions{.name = "wire"});
    return pull;
  }

  std::unique_ptr<Board> board_;
};

TEST_F(RdmaTwoHosts, EveryByteArrives) {
  if (is_seed()) return seed(2);
  const auto work = pull(2, kMiB);
  const auto begin = Clock::now();
  const Status status = work->lane->run(work->feed, 0);
  const std::chrono::duration<double> took = Clock::now() - begin;
  board_->post("done", "");
  ASSERT_TRUE(status.ok()) << status.message;
  EXPECT_EQ(std::memcmp(work->expected->data(), work->into->data(), kSize), 0);
  RecordProperty("MiB_per_s", std::to_string(static_cast<double>(kSize) / static_cast<double>(kMiB) / took.count()));
}

TEST_F(RdmaTwoHosts, NoByteLandsAfterACancelledRunReturned) {
  if (is_seed()) return seed(2);
  const auto work = pull(2, kMiB);
  Clock::time_point stopped;
  work->feed.on_landed = [&](std::size_t count) {
    if (count != 4) return;
    stopped = Clock::now();
    work->feed.stop();
  };
  const Status status = work->lane->run(work->feed, 0);
  const auto took = std::chrono::duration_cast<milliseconds>(Clock::now() - stopped);
  const std::vector<std::byte> snapshot(work->into->data(), work->into->data() + kSize);
  std::this_thread::sleep_for(milliseconds(1000));
  EXPECT_EQ(std::memcmp(snapshot.data(), work->into->data(), kSize), 0);
  board_->post("done", "");
  EXPECT_EQ(status.code, Code::kCancelled) << status.message;
  EXPECT_LT(took, milliseconds(500));
  EXPECT_GT(work->feed.given_back_count(), 0U);
  EXPECT_EQ(work->feed.outstanding(), 0U);
  for (std::size_t i = 0; i < work->feed.size(); ++i) {
    if (work->feed.owner(i) != 0) continue;
    EXPECT_EQ(std::memcmp(work->expected->data() + i * kMiB, work->into->data() + i * kMiB, kMiB), 0) << "slice " << i;
  }
}

TEST_F(RdmaTwoHosts, ASeedThatLetsGoMidReadIsLost) {
  if (is_seed()) {
    const memory::RegionPtr region = random_region(kSize, kSeed);
    const auto registration = registered(nic_, region, rdma::Access::kRemoteRead);
    auto endpoint = connect(rdma::Role::kResponder, 1, 1);
    board_->post("offer", std::to_string(region->address()) + " " + std::to_string(registration->remote_key()));
    board_->wait("half");
    endpoint.reset();
    board_->wait("done");
    return;
  }
  const auto work = pull(1, 256 * 1024);
  work->feed.on_landed = [&](std::size_t count) {
    if (count == 16) board_->post("half", "");
  };
  const Status status = work->lane->run(work->feed, 0);
  board_->post("done", "");
  EXPECT_EQ(status.code, Code::kPeerLost) << status.message;
  EXPECT_LT(work->feed.landed_count(), work->feed.size());
  EXPECT_EQ(work->feed.landed_count() + work->feed.given_back_count(), work->feed.taken_count());
}

}  // namespace
}  // namespace weightcast::test
