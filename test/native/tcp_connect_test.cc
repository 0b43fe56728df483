#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <chrono>

#include "support/tcp_pull.h"
#include "transport/tcp/lane.h"
#include "transport/tcp/socket.h"

namespace weightcast::transport::tcp {
namespace {

using namespace std::chrono_literals;
using test::connected;
using test::lane_options;
using test::Pull;
using test::weights;

TEST(TcpConnect, SaysThatNobodyListens) {
  std::uint16_t port = 0;
  {
    const auto listener = listen_on("127.0.0.1", 0);
    port = bound_port(listener.value().get());
  }
  const auto lane = TcpLane::connect(lane_options(port));
  ASSERT_FALSE(lane.ok());
  EXPECT_EQ(lane.status().code, Code::kPeerLost);
  EXPECT_EQ(lane.status().error_number, ECONNREFUSED);
  EXPECT_NE(lane.status().message.find(std::to_string(port)), std::string::npos) << lane.status().message;
}

TEST(TcpConnect, SaysThatAHostDoesNotExist) {
  TcpLaneOptions options = lane_options(1);
  options.host = "host.invalid";
  const auto lane = TcpLane::connect(options);
  ASSERT_FALSE(lane.ok());
  EXPECT_EQ(lane.status().code, Code::kPeerLost);
  EXPECT_NE(lane.status().message.find("host.invalid"), std::string::npos);
}

TEST(TcpConnect, GivesUpConnectingAtTheTimeout) {
  // A listener whose backlog is full swallows further attempts without an answer.
  const Fd listener(::socket(AF_INET, SOCK_STREAM, 0));
  ASSERT_TRUE(listener.valid());
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(listen(listener.get(), 0), 0);
  TcpLaneOptions options = lane_options(bound_port(listener.get()));
  options.connect_timeout = 100ms;
  std::vector<std::shared_ptr<Lane>> fillers;
  Status failure;
  for (int i = 0; i < 10 && failure.ok(); ++i) {
    auto lane = TcpLane::connect(options);
    if (lane.ok()) {
      fillers.push_back(lane.value());
    } else {
      failure = lane.status();
    }
  }
  EXPECT_EQ(failure.code, Code::kPeerLost);
  EXPECT_EQ(failure.error_number, ETIMEDOUT);
}

TEST(TcpConnect, ReachesAHostByNameAndByIpv6) {
  const auto server = Server::listen("", 0, 1);
  ASSERT_TRUE(server.ok());
  server.value()->serve({{weights(), weights()->address(), weights()->size()}});
  TcpLaneOptions options = lane_options(server.value()->port());
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
    Pull pull(weights(), {connected(options)});
    EXPECT_TRUE(pull.wait().status.ok()) << host;
    EXPECT_TRUE(pull.equals(weights()));
  }
}

TEST(TcpConnect, RefusesAnUnknownProtocolVersion) {
  EXPECT_EQ(TcpLane::connect(lane_options(1, 3)).status().code, Code::kInvalidArgument);
}

}  // namespace
}  // namespace weightcast::transport::tcp
