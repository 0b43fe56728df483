#include <gtest/gtest.h>
#include <infiniband/verbs.h>

#include <chrono>
#include <thread>

#include "support/rdma.h"
#include "verbs/queue_pair.h"

namespace weightcast::test {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using RdmaFailure = RdmaTest;

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20U;

milliseconds since(Clock::time_point begin) { return std::chrono::duration_cast<milliseconds>(Clock::now() - begin); }

void expect_all_accounted(const TestFeed& feed) {
  EXPECT_EQ(feed.outstanding(), 0U);
  EXPECT_EQ(feed.landed_count() + feed.given_back_count(), feed.taken_count());
}

bool in_error(const rdma::Endpoint& endpoint) {
  for (const auto& queue_pair : endpoint.queue_pairs()) {
    const auto state = queue_pair->state();
    if (!state.ok() || state.value() != IBV_QPS_ERR) return false;
  }
  return true;
}

TEST_F(RdmaFailure, AWrongKeyIsRemoteAccessAndEndsBothSides) {
  const Transfer transfer(nic_, 4 * kMiB);
  const Path path = Path::over(nic_, 2);
  TestFeed feed;
  feed.add_range(transfer.from->address(), transfer.into->data(), transfer.from->size(), 64 * 1024);
  rdma::RdmaLane lane(path.initiator, {transfer.served->remote_key() ^ 0x5a5a5a00U}, {transfer.local},
                      {.name = "wrong"});
  const Status status = lane.run(feed, 0);
  EXPECT_EQ(status.code, Code::kRemoteAccess) << status.message;
  EXPECT_EQ(status.wc_status, IBV_WC_REM_ACCESS_ERR);
  EXPECT_EQ(feed.landed_count(), 0U);
  expect_all_accounted(feed);
  EXPECT_TRUE(in_error(*path.initiator));
  EXPECT_TRUE(in_error(*path.responder));
  EXPECT_EQ(lane.report().bytes, 0U);
}

TEST_F(RdmaFailure, AReadBeyondTheRegisteredRangeIsRemoteAccess) {
  const Transfer transfer(nic_, 2 * kMiB);
  const Path path = Path::over(nic_, 1, 1);  // one at a time: the good one lands before the bad one is refused
  TestFeed feed;
  feed.add(transfer.from->address(), 0, {{transfer.into->data(), 4096, 0}});
  feed.add(transfer.from->address() + transfer.from->size() - 4095, 0, {{transfer.into->data() + 4096, 4096, 0}});
  feed.add(transfer.from->address(), 0, {{transfer.into->data() + 8192, 4096, 0}});
  const Status status = transfer.lane(path)->run(feed, 0);
  EXPECT_EQ(status.code, Code::kRemoteAccess) << status.message;
  EXPECT_EQ(feed.landed_count(), 1U);
  expect_all_accounted(feed);
}

TEST_F(RdmaFailure, AnUnregisteredDestinationIsOurFault) {
  const Transfer transfer(nic_, kMiB);
  const memory::RegionPtr elsewhere = empty_region(kMiB);
  const Path path = Path::over(nic_, 1);
  TestFeed feed;
  feed.add(transfer.from->address(), 0, {{elsewhere->data(), 4096, 0}});
  const Status status = transfer.lane(path)->run(feed, 0);
  EXPECT_EQ(status.code, Code::kVerbs) << status.message;
  EXPECT_EQ(status.wc_status, IBV_WC_LOC_PROT_ERR);
  expect_all_accounted(feed);
}

TEST_F(RdmaFailure, TheResponderGrantsNoWrite) {
  const Transfer transfer(nic_, kMiB);
  const Path path = Path::over(nic_, 1);
  ibv_sge from{.addr = transfer.into->address(), .length = 4096, .lkey = transfer.local->local_key()};
  ibv_send_wr work{};
  work.sg_list = &from;
  work.num_sge = 1;
  work.opcode = IBV_WR_RDMA_WRITE;
  work.wr.rdma.remote_addr = transfer.from->address();
  work.wr.rdma.rkey = transfer.served->remote_key();
  ibv_send_wr* refused = nullptr;
  ASSERT_EQ(path.initiator->queue_pairs()[0]->post(&work, &refused), 0);
  ibv_wc completion{};
  const auto deadline = Clock::now() + milliseconds(5000);
  while (path.initiator->completion_queue().poll({&completion, 1}) == 0 && Clock::now() < deadline) {
    std::this_thread::yield();
  }
  EXPECT_TRUE(completion.status == IBV_WC_REM_ACCESS_ERR || completion.status == IBV_WC_REM_INV_REQ_ERR)
      << "status " << completion.status;
}

TEST_F(RdmaFailure, StoppingHalfWayDrainsBeforeItReturns) {
  const Transfer transfer(nic_, 16 * kMiB);
  const Path path = Path::over(nic_, 2);
  TestFeed feed;
  feed.add_range(transfer.from->address(), transfer.into->data(), transfer.from->size(), 64 * 1024);
  // Over one device Soft-RoCE answers reads while they are posted. A peer that falls silent leaves the next ones in
  // flight when the stop comes.
  feed.on_landed = [&](std::size_t count) {
    if (count == feed.size() / 2) path.responder->fail();
  };
  const auto lane = transfer.lane(path);
  Clock::time_point stopped;
  std::thread canceller([&] {
    while (feed.landed_count() < feed.size() / 2) std::this_thread::sleep_for(milliseconds(1));
    std::this_thread::sleep_for(milliseconds(50));
    stopped = Clock::now();
    feed.stop();
    lane->interrupt();
  });
  const Status status = lane->run(feed, 0);
  const auto returned = Clock::now();
  canceller.join();
  EXPECT_EQ(status.code, Code::kCancelled) << status.message;
  EXPECT_LT(std::chrono::duration_cast<milliseconds>(returned - stopped), milliseconds(250));
  EXPECT_GE(feed.landed_count(), feed.size() / 2);
  EXPECT_LT(feed.landed_count(), feed.size());
  EXPECT_GT(feed.given_back_count(), 0U);
  EXPECT_EQ(lane->report().bytes, feed.landed_count() * 64 * 1024);
  expect_all_accounted(feed);
  EXPECT_TRUE(in_error(*path.initiator));
  // What landed is right, and not a byte may land after `run` returned.
  for (std::size_t i = 0; i < feed.size(); ++i) {
    const std::size_t offset = i * 64 * 1024;
    if (feed.owner(i) != 0) continue;
    ASSERT_EQ(std::memcmp(transfer.from->data() + offset, transfer.into->data() + offset, 64 * 1024), 0)
        << "slice " << i;
  }
  const std::vector<std::byte> snapshot(transfer.into->data(), transfer.into->data() + transfer.into->size());
  std::this_thread::sleep_for(milliseconds(300));
  EXPECT_EQ(std::memcmp(snapshot.data(), transfer.into->data(), snapshot.size()), 0);
}

TEST_F(RdmaFailure, AnInterruptWakesALaneThatSleeps) {
  const Transfer transfer(nic_, 2 * kMiB);
  const Path path = Path::over(nic_, 1);
  path.responder->fail();  // no answer for about half a second
  TestFeed feed;
  feed.add_range(transfer.from->address(), transfer.into->data(), transfer.from->size(), 256 * 1024);
  const auto lane = transfer.lane(path);
  std::thread canceller([&] {
    std::this_thread::sleep_for(milliseconds(100));
    feed.stop();
    lane->interrupt();
  });
  const auto begin = Clock::now();
  const Status status = lane->run(feed, 0);
  const milliseconds took = since(begin);
  canceller.join();
  EXPECT_EQ(status.code, Code::kCancelled) << status.message;
  EXPECT_GE(took, milliseconds(100));
  EXPECT_LT(took, milliseconds(350));
  EXPECT_EQ(feed.given_back_count(), feed.taken_count());
}

TEST_F(RdmaFailure, APeerThatFailsMidReadIsLostWithinTwoSeconds) {
  const Transfer transfer(nic_, 64 * kMiB);
  const Path path = Path::over(nic_, 2);
  TestFeed feed;
  feed.add_range(transfer.from->address(), transfer.into->data(), transfer.from->size(), kMiB);
  Clock::time_point failed;
  feed.on_landed = [&](std::size_t count) {
    if (count != 4) return;
    failed = Clock::now();
    path.responder->fail();
  };
  const Status status = transfer.lane(path)->run(feed, 0);
  EXPECT_EQ(status.code, Code::kPeerLost) << status.message;
  EXPECT_EQ(status.wc_status, IBV_WC_RETRY_EXC_ERR);
  EXPECT_LT(since(failed), milliseconds(2000));
  EXPECT_LT(feed.landed_count(), feed.size());
  expect_all_accounted(feed);
  RecordProperty("detected_ms", std::to_string(since(failed).count()));
}

TEST_F(RdmaFailure, APeerThatIsDestroyedMidReadIsLost) {
  const Transfer transfer(nic_, 32 * kMiB);
  Path path = Path::over(nic_, 1);
  TestFeed feed;
  feed.add_range(transfer.from->address(), transfer.into->data(), transfer.from->size(), 256 * 1024);
  feed.on_landed = [&](std::size_t count) {
    if (count == 8) path.responder.reset();
  };
  const Status status = transfer.lane(path)->run(feed, 0);
  EXPECT_EQ(status.code, Code::kPeerLost) << status.message;
  expect_all_accounted(feed);
}

TEST_F(RdmaFailure, MemoryThatThePeerDeregistersMidReadIsRemoteAccess) {
  Transfer transfer(nic_, 32 * kMiB);
  const Path path = Path::over(nic_, 1);
  TestFeed feed;
  feed.add_range(transfer.from->address(), transfer.into->data(), transfer.from->size(), 256 * 1024);
  const auto lane = transfer.lane(path);
  feed.on_landed = [&](std::size_t count) {
    if (count == 8) transfer.served.reset();
  };
  const Status status = lane->run(feed, 0);
  EXPECT_EQ(status.code, Code::kRemoteAccess) << status.message;
  expect_all_accounted(feed);
}

TEST_F(RdmaFailure, OwnEndpointThatIsFailedIsClosed) {
  const Transfer transfer(nic_, 32 * kMiB);
  const Path path = Path::over(nic_, 2);
  TestFeed feed;
  feed.add_range(transfer.from->address(), transfer.into->data(), transfer.from->size(), 256 * 1024);
  feed.on_landed = [&](std::size_t count) {
    if (count == 8) path.initiator->fail();
  };
  const Status status = transfer.lane(path)->run(feed, 0);
  EXPECT_EQ(status.code, Code::kClosed) << status.message;
  EXPECT_LT(feed.landed_count(), feed.size());
  expect_all_accounted(feed);
}

TEST_F(RdmaFailure, TheWatchdogSeesAStall) {
  const Transfer transfer(nic_, 2 * kMiB);
  const Path path = Path::over(nic_, 1);
  path.responder->fail();
  TestFeed feed;
  feed.add_range(transfer.from->address(), transfer.into->data(), transfer.from->size(), 256 * 1024);
  // Shorter than the device's own half second, which would say kPeerLost.
  const auto lane = transfer.lane(path, {.name = "", .stall_timeout = milliseconds(150)});
  const auto begin = Clock::now();
  const Status status = lane->run(feed, 0);
  EXPECT_EQ(status.code, Code::kStalled) << status.message;
  EXPECT_GE(since(begin), milliseconds(150));
  EXPECT_LT(since(begin), milliseconds(400));
  EXPECT_EQ(feed.given_back_count(), feed.taken_count());
}

TEST_F(RdmaFailure, AnEndpointThatIsNotConnectedCannotBeReadOver) {
  const Transfer transfer(nic_, kMiB);
  auto endpoint = rdma::Endpoint::create(nic_, rdma::Role::kInitiator, 1, 4);
  ASSERT_TRUE(endpoint.ok());
  TestFeed feed;
  feed.add_range(transfer.from->address(), transfer.into->data(), transfer.from->size(), kMiB);
  const Status status = transfer.lane({endpoint.value(), nullptr})->run(feed, 0);
  EXPECT_EQ(status.code, Code::kInvalidArgument);
  EXPECT_EQ(feed.taken_count(), 0U);
}

}  // namespace
}  // namespace weightcast::test
