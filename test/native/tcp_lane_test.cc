#include "transport/tcp/lane.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <optional>
#include <thread>

#include "support/bytes.h"
#include "support/peers.h"
#include "transfer/operation.h"
#include "transfer/plan.h"
#include "transport/tcp/server.h"
#include "transport/tcp/wire.h"

namespace weightcast::transport::tcp {
namespace {

using namespace std::chrono_literals;
using memory::RegionPtr;
using test::ScriptedPeer;
using test::Stream;
using transfer::Operation;
using transfer::Outcome;

TcpLaneOptions options_for(std::uint16_t port, int version = 1) {
  return {.name = "tcp test", .host = "127.0.0.1", .port = port, .protocol_version = version};
}

std::shared_ptr<Lane> connected(const TcpLaneOptions& options) {
  auto lane = TcpLane::connect(options);
  if (!lane.ok()) ADD_FAILURE() << lane.status().message;
  return lane.ok() ? lane.value() : nullptr;
}

/// What a pull of `source` into fresh memory came to.
struct Pulled {
  Outcome outcome;
  RegionPtr destination;
};

class Running {
 public:
  /// Tensors of `tensor` bytes, laid out backwards in the destination, so that no two of them merge.
  Running(const RegionPtr& source, std::vector<std::shared_ptr<Lane>> lanes, std::uint64_t tensor = 3000,
          std::uint32_t slice_bytes = 64 << 10, std::uint32_t max_segments = 1024)
      : destination_(test::empty_region(source->size())) {
    std::vector<transfer::Want> wants;
    for (std::uint64_t offset = 0; offset < source->size(); offset += tensor) {
      const std::uint64_t length = std::min(tensor, source->size() - offset);
      wants.push_back({source->address() + offset, length, destination_->data() + (source->size() - offset - length), 0});
    }
    tensor_ = tensor;
    const std::vector<transfer::RemoteBuffer> buffers{{source->address(), source->size()}};
    auto plan = transfer::make_plan(wants, buffers, {.slice_bytes = slice_bytes, .max_segments = max_segments});
    if (!plan.ok()) std::abort();
    operation_ = Operation::create(std::move(plan.value()), {destination_}, std::move(lanes));
    operation_->start([this](const Outcome& outcome) { promise_.set_value(outcome); });
  }

  Outcome wait() {
    if (future_.wait_for(60s) != std::future_status::ready) {
      ADD_FAILURE() << "the operation did not finish";
      operation_->cancel();
    }
    return future_.get();
  }

  [[nodiscard]] bool equals(const RegionPtr& source) const {
    const auto from = test::bytes_of(source);
    const auto into = test::bytes_of(destination_);
    for (std::uint64_t offset = 0; offset < from.size(); offset += tensor_) {
      const std::uint64_t length = std::min<std::uint64_t>(tensor_, from.size() - offset);
      if (!std::ranges::equal(from.subspan(offset, length), into.subspan(from.size() - offset - length, length))) {
        return false;
      }
    }
    return true;
  }

  Operation& operation() { return *operation_; }

 private:
  RegionPtr destination_;
  std::uint64_t tensor_;
  std::promise<Outcome> promise_;
  std::future<Outcome> future_ = promise_.get_future();
  std::shared_ptr<Operation> operation_;
};

std::shared_ptr<Server> serving(const RegionPtr& region, unsigned threads = 2) {
  auto server = Server::listen("127.0.0.1", 0, threads);
  if (!server.ok()) std::abort();
  server.value()->serve({{region, region->address(), region->size()}});
  return server.value();
}

std::optional<Request> next_request(const Stream& stream) {
  const auto bytes = stream.receive(kRequestBytes);
  if (bytes.size() < kRequestBytes) return std::nullopt;
  return decode_request(std::span<const std::byte, kRequestBytes>(bytes));
}

std::span<const std::byte> asked(const Request& request) {
  return {reinterpret_cast<const std::byte*>(request.address), request.size};
}

const RegionPtr& weights() {
  static const RegionPtr region = test::random_region(4'000'001, 21);
  return region;
}

class TcpLaneProtocol : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Versions, TcpLaneProtocol, testing::Values(1, 2));

TEST_P(TcpLaneProtocol, ReadsEveryByteOverSeveralConnections) {
  const auto server = serving(weights());
  std::vector<std::shared_ptr<Lane>> lanes;
  for (int i = 0; i < 3; ++i) lanes.push_back(connected(options_for(server->port(), GetParam())));
  Running pull(weights(), lanes);
  lanes.clear();
  const Outcome outcome = pull.wait();
  ASSERT_TRUE(outcome.status.ok()) << outcome.status.message;
  EXPECT_TRUE(pull.equals(weights()));
  EXPECT_EQ(outcome.bytes, weights()->size());
  EXPECT_EQ(server->counters().connections, 3U);  // used again for each slice
  EXPECT_EQ(server->counters().bytes, weights()->size());
  EXPECT_EQ(server->counters().rejected, 0U);
}

TEST_P(TcpLaneProtocol, ScattersMoreSegmentsThanOneCallTakes) {
  const auto server = serving(weights());
  Running pull(weights(), {connected(options_for(server->port(), GetParam()))}, 7, 1 << 20, 200000);
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
  Running pull(weights(), {connected(options_for(peer.port(), GetParam()))});
  const Outcome outcome = pull.wait();
  ASSERT_TRUE(outcome.status.ok()) << outcome.status.message;
  EXPECT_TRUE(pull.equals(weights()));
  EXPECT_GE(peer.connections(), 62U);  // one a slice
}

TEST_P(TcpLaneProtocol, TriesOnceMoreWhenThePeerClosesBeforeAnAnswer) {
  ScriptedPeer peer([](Stream& stream, unsigned connection) {
    while (const auto request = next_request(stream)) {
      if (connection == 0) return stream.reset();
      if (request->with_status) (void)stream.send(encode_status(kStatusOk));
      (void)stream.send(asked(*request));
    }
  });
  Running pull(weights(), {connected(options_for(peer.port(), GetParam()))});
  const Outcome outcome = pull.wait();
  ASSERT_TRUE(outcome.status.ok()) << outcome.status.message;
  EXPECT_TRUE(pull.equals(weights()));
  EXPECT_EQ(peer.connections(), 2U);
}

TEST_P(TcpLaneProtocol, GivesUpAfterTheSecondCloseBeforeAnAnswer) {
  ScriptedPeer peer([](Stream& stream, unsigned) { (void)next_request(stream); });
  Running pull(weights(), {connected(options_for(peer.port(), GetParam()))});
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
    Running pull(weights(), {connected(options_for(peer.port(), GetParam()))}, 3000, 60000);
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
  Running pull(weights(), {connected(options_for(dying.port(), GetParam())),
                           connected(options_for(server->port(), GetParam()))});
  const Outcome outcome = pull.wait();
  ASSERT_TRUE(outcome.status.ok()) << outcome.status.message;
  EXPECT_TRUE(pull.equals(weights()));
}

TEST_P(TcpLaneProtocol, ASilentPeerIsStalled) {
  ScriptedPeer peer([](Stream& stream, unsigned) {
    if (next_request(stream)) (void)stream.at_end();  // says nothing until the lane hangs up
  });
  TcpLaneOptions options = options_for(peer.port(), GetParam());
  options.stall_timeout = 50ms;
  Running pull(weights(), {connected(options)});
  const Outcome outcome = pull.wait();
  EXPECT_EQ(outcome.status.code, Code::kStalled);
  EXPECT_NE(outcome.status.message.find("50 ms"), std::string::npos) << outcome.status.message;
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
  TcpLaneOptions options = options_for(peer.port(), GetParam());
  options.stall_timeout = 300ms;
  const RegionPtr small = test::random_region(9000, 4);
  Running pull(small, {connected(options)});
  EXPECT_TRUE(pull.wait().status.ok());
  EXPECT_TRUE(pull.equals(small));
}

TEST_P(TcpLaneProtocol, CancelEndsAReadOfABlockedPeerAtOnce) {
  ScriptedPeer peer([](Stream& stream, unsigned) {
    if (next_request(stream)) (void)stream.at_end();
  });
  Running pull(weights(), {connected(options_for(peer.port(), GetParam()))});
  std::this_thread::sleep_for(20ms);
  const auto start = std::chrono::steady_clock::now();
  pull.operation().cancel();
  EXPECT_EQ(pull.wait().status.code, Code::kCancelled);
  EXPECT_LT(std::chrono::steady_clock::now() - start, 2s);
}

TEST_P(TcpLaneProtocol, CancelAtAnyMomentLandsNothingAfterwards) {
  const auto server = serving(weights());
  for (int round = 0; round < 40; ++round) {
    std::vector<std::shared_ptr<Lane>> lanes{connected(options_for(server->port(), GetParam())),
                                             connected(options_for(server->port(), GetParam()))};
    Running pull(weights(), std::move(lanes), 3000, 100000);
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
  Running last(weights(), {connected(options_for(server->port(), GetParam()))});
  EXPECT_TRUE(last.wait().status.ok());
}

TEST(TcpLane, ARefusedAddressStopsTheWholePull) {
  const auto server = serving(test::random_region(4096, 1));
  Running pull(weights(), {connected(options_for(server->port(), 2)), connected(options_for(server->port(), 2))});
  const Outcome outcome = pull.wait();
  EXPECT_EQ(outcome.status.code, Code::kRemoteAccess) << outcome.status.message;
}

TEST(TcpLane, ARefusalInProtocol1IsALostPeerThatSaysWhatItMayMean) {
  const auto server = serving(test::random_region(4096, 1));
  Running pull(weights(), {connected(options_for(server->port(), 1))});
  const Outcome outcome = pull.wait();
  EXPECT_EQ(outcome.status.code, Code::kPeerLost);
  EXPECT_NE(outcome.status.message.find("stale"), std::string::npos) << outcome.status.message;
  EXPECT_EQ(server->counters().rejected, 2U);
}

TEST(TcpLane, AnAnswerWithoutMagicIsAProtocolError) {
  ScriptedPeer peer([](Stream& stream, unsigned) {
    if (const auto request = next_request(stream)) (void)stream.send(asked(*request));
  });
  Running pull(weights(), {connected(options_for(peer.port(), 2))});
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
  Running pull(weights(), {connected(options_for(peer.port(), 1))});
  EXPECT_EQ(pull.wait().status.code, Code::kProtocol);
}

TEST(TcpLane, AskForMoreThan4GiBInSlicesWhoseHeadersStayInsideTheBuffer) {
  constexpr std::uint64_t kSize = 5ULL << 30;
  constexpr std::uint64_t kAddress = 1ULL << 45;
  std::vector<Request> requests;
  std::promise<void> third;
  ScriptedPeer peer([&](Stream& stream, unsigned) {
    // Three slices are asked for; the memory behind them is never touched beyond the first bytes.
    while (const auto request = next_request(stream)) {
      requests.push_back(*request);
      (void)stream.send(std::vector<std::byte>(100));
      third.set_value();
      (void)stream.at_end();
      return;
    }
  });
  const auto region = test::empty_region(1 << 20);
  const std::vector<transfer::Want> wants{{kAddress, kSize, region->data(), 0}};
  const std::vector<transfer::RemoteBuffer> buffers{{kAddress, kSize}};
  auto plan = transfer::make_plan(wants, buffers, {.slice_bytes = 0xffffffffU});
  ASSERT_TRUE(plan.ok());
  auto operation = Operation::create(std::move(plan.value()), {region}, {connected(options_for(peer.port(), 1))});
  std::promise<Outcome> done;
  operation->start([&done](const Outcome& outcome) { done.set_value(outcome); });
  third.get_future().wait();
  operation->cancel();
  EXPECT_EQ(done.get_future().get().status.code, Code::kCancelled);
  peer.stop();
  ASSERT_EQ(requests.size(), 1U);
  EXPECT_EQ(requests[0].size, 0xffffffffU);
  EXPECT_EQ(requests[0].address, kAddress);
}

TEST(TcpLane, SaysThatNobodyListens) {
  std::uint16_t port = 0;
  {
    const auto listener = listen_on("127.0.0.1", 0);
    port = bound_port(listener.value().get());
  }
  const auto lane = TcpLane::connect(options_for(port));
  ASSERT_FALSE(lane.ok());
  EXPECT_EQ(lane.status().code, Code::kPeerLost);
  EXPECT_EQ(lane.status().error_number, ECONNREFUSED);
  EXPECT_NE(lane.status().message.find(std::to_string(port)), std::string::npos) << lane.status().message;
}

TEST(TcpLane, SaysThatAHostDoesNotExist) {
  TcpLaneOptions options = options_for(1);
  options.host = "host.invalid";
  const auto lane = TcpLane::connect(options);
  ASSERT_FALSE(lane.ok());
  EXPECT_EQ(lane.status().code, Code::kPeerLost);
  EXPECT_NE(lane.status().message.find("host.invalid"), std::string::npos);
}

TEST(TcpLane, GivesUpConnectingAtTheTimeout) {
  // A listener whose backlog is full swallows further attempts without an answer.
  const Fd listener(::socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(listen(listener.get(), 0), 0);
  TcpLaneOptions options = options_for(bound_port(listener.get()));
  options.connect_timeout = 100ms;
  std::vector<std::shared_ptr<Lane>> fillers;
  std::optional<Status> failure;
  for (int i = 0; i < 10 && !failure; ++i) {
    auto lane = TcpLane::connect(options);
    if (lane.ok()) {
      fillers.push_back(lane.value());
    } else {
      failure = lane.status();
    }
  }
  ASSERT_TRUE(failure.has_value());
  EXPECT_EQ(failure->code, Code::kPeerLost);
  EXPECT_EQ(failure->error_number, ETIMEDOUT);
}

TEST(TcpLane, ReachesAHostByNameAndByIpv6) {
  const auto server = Server::listen("", 0, 1);
  ASSERT_TRUE(server.ok());
  server.value()->serve({{weights(), weights()->address(), weights()->size()}});
  TcpLaneOptions options = options_for(server.value()->port());
  options.host = "localhost";
  EXPECT_TRUE(TcpLane::connect(options).ok());
  const Fd probe(::socket(AF_INET6, SOCK_STREAM, 0));
  sockaddr_in6 loopback{};
  loopback.sin6_family = AF_INET6;
  loopback.sin6_addr = in6addr_loopback;
  if (bind(probe.get(), reinterpret_cast<const sockaddr*>(&loopback), sizeof loopback) != 0) {
    GTEST_SKIP() << "this machine has no IPv6 loopback";
  }
  for (const char* host : {"::1", "[::1]"}) {
    options.host = host;
    Running pull(weights(), {connected(options)});
    EXPECT_TRUE(pull.wait().status.ok()) << host;
    EXPECT_TRUE(pull.equals(weights()));
  }
}

TEST(TcpLane, RefusesAnUnknownProtocolVersion) {
  EXPECT_EQ(TcpLane::connect(options_for(1, 3)).status().code, Code::kInvalidArgument);
}

TEST(TcpLane, RunsOverAFeedThatIsFinishedAlready) {
  const auto server = serving(weights());
  auto operation = Operation::create({}, {}, {connected(options_for(server->port()))});
  std::promise<Outcome> done;
  operation->start([&done](const Outcome& outcome) { done.set_value(outcome); });
  const Outcome outcome = done.get_future().get();
  EXPECT_TRUE(outcome.status.ok());
  EXPECT_TRUE(outcome.lanes.at(0).status.ok());
  EXPECT_EQ(outcome.lanes[0].report.work_requests, 0U);
}

}  // namespace
}  // namespace weightcast::transport::tcp
