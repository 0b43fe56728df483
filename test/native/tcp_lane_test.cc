#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <optional>
#include <thread>

#include "support/peers.h"
#include "support/tcp_pull.h"
#include "transport/tcp/lane.h"
#include "transport/tcp/wire.h"

namespace weightcast::transport::tcp {
namespace {

using namespace std::chrono_literals;
using memory::RegionPtr;
using test::connected;
using test::lane_options;
using test::Pull;
using test::ScriptedPeer;
using test::serving;
using test::Stream;
using test::weights;
using transfer::Operation;
using transfer::Outcome;

std::optional<Request> next_request(const Stream& stream) {
  const auto bytes = stream.receive(kRequestBytes);
  if (bytes.size() < kRequestBytes) return std::nullopt;
  return decode_request(std::span<const std::byte, kRequestBytes>(bytes));
}

std::span<const std::byte> asked(const Request& request) {
  // NOLINTNEXTLINE(performance-no-int-to-ptr): that is what a seed does
  return {reinterpret_cast<const std::byte*>(request.address), request.size};
}

class TcpLaneProtocol : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Versions, TcpLaneProtocol, testing::Values(1, 2));

TEST_P(TcpLaneProtocol, ReadsEveryByteOverSeveralConnections) {
  const auto server = serving(weights());
  std::vector<std::shared_ptr<Lane>> lanes;
  lanes.reserve(3);
  for (int i = 0; i < 3; ++i) lanes.push_back(connected(lane_options(server->port(), GetParam())));
  Pull pull(weights(), lanes);
  lanes.clear();
  const Outcome outcome = pull.wait();
  ASSERT_TRUE(outcome.status.ok()) << outcome.status.message;
  EXPECT_TRUE(pull.equals(weights()));
  EXPECT_EQ(outcome.bytes, weights()->size());
  server->close();                                // bytes are counted once they are sent, and the peer may be faster
  EXPECT_EQ(server->counters().connections, 3U);  // used again for each slice
  EXPECT_EQ(server->counters().bytes, weights()->size());
  EXPECT_EQ(server->counters().rejected, 0U);
}

TEST_P(TcpLaneProtocol, ScattersMoreSegmentsThanOneCallTakes) {
  const auto server = serving(weights());
  Pull pull(weights(), {connected(lane_options(server->port(), GetParam()))}, 7, 1 << 20, 200000);
  const Outcome outcome = pull.wait();
  ASSERT_TRUE(outcome.status.ok()) << outcome.status.message;
  EXPECT_TRUE(pull.equals(weights()));
  EXPECT_EQ(outcome.lanes[0].report.work_requests, 4U);
  EXPECT_GT(outcome.lanes[0].report.first_byte_ms, 0);
}

TEST_P(TcpLaneProtocol, ReconnectsToAPeerThatClosesAfterEachAnswer) {
  ScriptedPeer peer([](Stream& stream, unsigned) {
    const auto request = next_request(stream);
    if (!request) return;
    if (request->with_status) (void)stream.send(encode_status(kStatusOk));
    (void)stream.send(asked(*request));
  });
  Pull pull(weights(), {connected(lane_options(peer.port(), GetParam()))});
  const Outcome outcome = pull.wait();
  ASSERT_TRUE(outcome.status.ok()) << outcome.status.message;
  EXPECT_TRUE(pull.equals(weights()));
  EXPECT_GE(peer.connections(), 62U);  // one a slice
  EXPECT_EQ(outcome.lanes[0].report.reconnects, 0U);
}

TEST_P(TcpLaneProtocol, CountsConnectionsThatThePeerEndedBetweenAnswers) {
  // After the first answer as well, where it might close after each.
  for (const unsigned answers : {0U, 1U, 2U, 7U}) {
    ScriptedPeer peer([answers](Stream& stream, unsigned connection) {
      for (unsigned answered = 0; const auto request = next_request(stream); ++answered) {
        if (connection == 0 && answered == answers) return stream.reset();
        if (request->with_status) (void)stream.send(encode_status(kStatusOk));
        (void)stream.send(asked(*request));
      }
    });
    Pull pull(weights(), {connected(lane_options(peer.port(), GetParam()))});
    const Outcome outcome = pull.wait();
    ASSERT_TRUE(outcome.status.ok()) << outcome.status.message;
    EXPECT_TRUE(pull.equals(weights()));
    EXPECT_EQ(peer.connections(), 2U);
    EXPECT_EQ(outcome.lanes[0].report.reconnects, 1U) << "after " << answers << " answers";
  }
}

TEST_P(TcpLaneProtocol, TriesOnceMoreWhenThePeerClosesBeforeAnAnswer) {
  ScriptedPeer peer([](Stream& stream, unsigned connection) {
    while (const auto request = next_request(stream)) {
      if (connection == 0) return stream.reset();
      if (request->with_status) (void)stream.send(encode_status(kStatusOk));
      (void)stream.send(asked(*request));
    }
  });
  Pull pull(weights(), {connected(lane_options(peer.port(), GetParam()))});
  const Outcome outcome = pull.wait();
  ASSERT_TRUE(outcome.status.ok()) << outcome.status.message;
  EXPECT_TRUE(pull.equals(weights()));
  EXPECT_EQ(peer.connections(), 2U);
}

TEST_P(TcpLaneProtocol, GivesUpAfterTheSecondCloseBeforeAnAnswer) {
  ScriptedPeer peer([](Stream& stream, unsigned) { (void)next_request(stream); });
  Pull pull(weights(), {connected(lane_options(peer.port(), GetParam()))});
  const Outcome outcome = pull.wait();
  EXPECT_EQ(outcome.status.code, Code::kPeerLost) << outcome.status.message;
  EXPECT_EQ(outcome.bytes, 0U);
  EXPECT_EQ(peer.connections(), 2U);
  EXPECT_EQ(outcome.lanes[0].report.work_requests, 2U);
}

TEST_P(TcpLaneProtocol, APeerThatDiesInTheMiddleOfAnAnswerIsLost) {
  for (const bool reset : {false, true}) {
    ScriptedPeer peer([reset](Stream& stream, unsigned) {
      for (int answers = 0; const auto request = next_request(stream); ++answers) {
        if (request->with_status) (void)stream.send(encode_status(kStatusOk));
        (void)stream.send(answers < 3 ? asked(*request) : asked(*request).first(1000));
        if (answers == 3) return reset ? stream.reset() : stream.hang_up();
      }
    });
    Pull pull(weights(), {connected(lane_options(peer.port(), GetParam()))}, 3000, 60000);
    const Outcome outcome = pull.wait();
    EXPECT_EQ(outcome.status.code, Code::kPeerLost) << outcome.status.message;
    EXPECT_EQ(outcome.bytes, 3U * 60000);
    EXPECT_EQ(peer.connections(), 1U);
  }
}

TEST_P(TcpLaneProtocol, ASurvivingLaneFinishesForOneThatDied) {
  const auto server = serving(weights());
  ScriptedPeer dying([](Stream& stream, unsigned) {
    const auto request = next_request(stream);
    if (!request) return;
    if (request->with_status) (void)stream.send(encode_status(kStatusOk));
    (void)stream.send(asked(*request).first(10));
  });
  Pull pull(weights(),
            {connected(lane_options(dying.port(), GetParam())), connected(lane_options(server->port(), GetParam()))});
  const Outcome outcome = pull.wait();
  ASSERT_TRUE(outcome.status.ok()) << outcome.status.message;
  EXPECT_TRUE(pull.equals(weights()));
}

TEST_P(TcpLaneProtocol, ASilentPeerIsStalled) {
  ScriptedPeer peer([](Stream& stream, unsigned) {
    if (next_request(stream)) (void)stream.at_end();  // says nothing until the lane hangs up
  });
  TcpLaneOptions options = lane_options(peer.port(), GetParam());
  options.stall_timeout = 50ms;
  Pull pull(weights(), {connected(options)});
  const Outcome outcome = pull.wait();
  EXPECT_EQ(outcome.status.code, Code::kStalled);
  EXPECT_NE(outcome.status.message.find("50 ms"), std::string::npos) << outcome.status.message;
}

TEST_P(TcpLaneProtocol, ASilentPeerIsNotWaitedForOncePerConnection) {
  ScriptedPeer peer([](Stream& stream, unsigned) {
    if (next_request(stream)) (void)stream.at_end();
  });
  TcpLaneOptions options = lane_options(peer.port(), GetParam());
  options.stall_timeout = 1s;
  std::vector<std::shared_ptr<Lane>> lanes;
  lanes.reserve(8);
  for (int i = 0; i < 8; ++i) lanes.push_back(connected(options));
  const auto start = std::chrono::steady_clock::now();
  Pull pull(test::random_region(4096, 4), std::move(lanes));  // one slice, which is given back
  EXPECT_EQ(pull.wait().status.code, Code::kStalled);
  EXPECT_LT(std::chrono::steady_clock::now() - start, 5s);
}

TEST_P(TcpLaneProtocol, ASilentConnectionIsNotASilentPeer) {
  const auto server = serving(weights());
  ScriptedPeer silent([](Stream& stream, unsigned) {
    if (next_request(stream)) (void)stream.at_end();
  });
  TcpLaneOptions stalling = lane_options(silent.port(), GetParam());
  stalling.stall_timeout = 200ms;
  Pull pull(weights(), {connected(stalling), connected(lane_options(server->port(), GetParam()))});
  const Outcome outcome = pull.wait();
  ASSERT_TRUE(outcome.status.ok()) << outcome.status.message;
  EXPECT_TRUE(pull.equals(weights()));
  EXPECT_EQ(outcome.lanes[0].status.code, Code::kStalled);
}

TEST_P(TcpLaneProtocol, ASlowPeerIsNotStalled) {
  ScriptedPeer peer([](Stream& stream, unsigned) {
    while (const auto request = next_request(stream)) {
      if (request->with_status) (void)stream.send(encode_status(kStatusOk));
      for (auto rest = asked(*request); !rest.empty();) {
        const auto now = rest.first(std::min<std::size_t>(rest.size(), 300));
        std::this_thread::sleep_for(20ms);
        (void)stream.send(now);
        rest = rest.subspan(now.size());
      }
    }
  });
  TcpLaneOptions options = lane_options(peer.port(), GetParam());
  options.stall_timeout = 300ms;
  const RegionPtr small = test::random_region(9000, 4);
  Pull pull(small, {connected(options)});
  EXPECT_TRUE(pull.wait().status.ok());
  EXPECT_TRUE(pull.equals(small));
}

TEST_P(TcpLaneProtocol, CancelEndsAReadOfABlockedPeerAtOnce) {
  ScriptedPeer peer([](Stream& stream, unsigned) {
    if (next_request(stream)) (void)stream.at_end();
  });
  Pull pull(weights(), {connected(lane_options(peer.port(), GetParam()))});
  std::this_thread::sleep_for(20ms);
  const auto start = std::chrono::steady_clock::now();
  pull.operation().cancel();
  EXPECT_EQ(pull.wait().status.code, Code::kCancelled);
  EXPECT_LT(std::chrono::steady_clock::now() - start, 2s);
}

TEST_P(TcpLaneProtocol, CancelAtAnyMomentLandsNothingAfterwards) {
  const auto server = serving(weights());
  for (int round = 0; round < 40; ++round) {
    std::vector<std::shared_ptr<Lane>> lanes{connected(lane_options(server->port(), GetParam())),
                                             connected(lane_options(server->port(), GetParam()))};
    Pull pull(weights(), std::move(lanes), 3000, 100000);
    std::this_thread::sleep_for(std::chrono::microseconds(round * 100));
    pull.operation().cancel();
    const Outcome outcome = pull.wait();
    if (outcome.status.ok()) {
      EXPECT_TRUE(pull.equals(weights()));
    } else {
      EXPECT_EQ(outcome.status.code, Code::kCancelled);
      EXPECT_LT(outcome.bytes, weights()->size());
    }
  }
  Pull last(weights(), {connected(lane_options(server->port(), GetParam()))});
  EXPECT_TRUE(last.wait().status.ok());
}

TEST(TcpLane, ARefusedAddressStopsTheWholePull) {
  const auto server = serving(test::random_region(4096, 1));
  Pull pull(weights(), {connected(lane_options(server->port(), 2)), connected(lane_options(server->port(), 2))});
  const Outcome outcome = pull.wait();
  EXPECT_EQ(outcome.status.code, Code::kRemoteAccess) << outcome.status.message;
}

TEST(TcpLane, ARefusalInProtocol1IsALostPeerThatSaysWhatItMayMean) {
  const auto server = serving(test::random_region(4096, 1));
  Pull pull(weights(), {connected(lane_options(server->port(), 1))});
  const Outcome outcome = pull.wait();
  EXPECT_EQ(outcome.status.code, Code::kPeerLost);
  EXPECT_NE(outcome.status.message.find("stale"), std::string::npos) << outcome.status.message;
  EXPECT_EQ(server->counters().rejected, 2U);
}

TEST(TcpLane, AnAnswerWithoutMagicIsAProtocolError) {
  ScriptedPeer peer([](Stream& stream, unsigned) {
    if (const auto request = next_request(stream)) (void)stream.send(asked(*request));
  });
  Pull pull(weights(), {connected(lane_options(peer.port(), 2))});
  EXPECT_EQ(pull.wait().status.code, Code::kProtocol);
}

TEST(TcpLane, BytesThatNobodyAskedForAreAProtocolError) {
  ScriptedPeer peer([](Stream& stream, unsigned) {
    const auto request = next_request(stream);
    if (!request) return;
    std::vector<std::byte> answer(asked(*request).begin(), asked(*request).end());
    answer.resize(answer.size() + 8);
    (void)stream.send(answer);
    (void)stream.at_end();
  });
  Pull pull(weights(), {connected(lane_options(peer.port(), 1))});
  EXPECT_EQ(pull.wait().status.code, Code::kProtocol);
}

TEST(TcpLane, BytesThatNobodyAskedForAfterTheLastAnswerAreAProtocolErrorToo) {
  const RegionPtr small = test::random_region(4096, 4);
  ScriptedPeer peer([](Stream& stream, unsigned) {
    const auto request = next_request(stream);
    if (!request) return;
    std::vector<std::byte> answer(asked(*request).begin(), asked(*request).end());
    answer.resize(answer.size() + 1);
    (void)stream.send(answer);
    (void)stream.at_end();
  });
  Pull pull(small, {connected(lane_options(peer.port(), 1))});
  const Outcome outcome = pull.wait();
  EXPECT_EQ(outcome.bytes, small->size());
  EXPECT_EQ(outcome.status.code, Code::kProtocol);
}

TEST(TcpLane, AsksForMoreThan4GiBInSlicesThatStayInsideTheBuffer) {
  constexpr std::uint64_t kSize = 5ULL << 30;
  constexpr std::uint64_t kAddress = 1ULL << 45;
  Request first;
  std::promise<void> asked_for;
  ScriptedPeer peer([&](Stream& stream, unsigned) {
    const auto request = next_request(stream);
    if (!request) return;
    first = *request;
    (void)stream.send(std::vector<std::byte>(100));  // the rest is cancelled: 5 GiB never move
    asked_for.set_value();
    (void)stream.at_end();
  });
  const auto region = test::empty_region(1 << 20);
  const std::vector<transfer::Want> wants{{kAddress, kSize, region->data(), 0}};
  const std::vector<transfer::RemoteBuffer> buffers{{kAddress, kSize}};
  auto plan = transfer::make_plan(wants, buffers, {.slice_bytes = 0xffffffffU});
  ASSERT_TRUE(plan.ok());
  auto operation = Operation::create(std::move(plan.value()), {region}, {connected(lane_options(peer.port(), 1))});
  std::promise<Outcome> done;
  operation->start([&done](const Outcome& outcome) { done.set_value(outcome); });
  asked_for.get_future().wait();
  operation->cancel();
  EXPECT_EQ(done.get_future().get().status.code, Code::kCancelled);
  peer.stop();
  EXPECT_EQ(first.size, 0xffffffffU);
  EXPECT_EQ(first.address, kAddress);
}

TEST(TcpLane, RunsOverAFeedThatIsFinishedAlready) {
  const auto server = serving(weights());
  auto operation = Operation::create({}, {}, {connected(lane_options(server->port()))});
  std::promise<Outcome> done;
  operation->start([&done](const Outcome& outcome) { done.set_value(outcome); });
  const Outcome outcome = done.get_future().get();
  EXPECT_TRUE(outcome.status.ok());
  EXPECT_TRUE(outcome.lanes.at(0).status.ok());
  EXPECT_EQ(outcome.lanes[0].report.work_requests, 0U);
}

}  // namespace
}  // namespace weightcast::transport::tcp
