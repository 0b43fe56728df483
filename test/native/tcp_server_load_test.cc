#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <thread>

#include "support/tcp_served.h"
#include "transport/tcp/server.h"
#include "transport/tcp/wire.h"

namespace weightcast::transport::tcp {
namespace {

using namespace std::chrono_literals;
using memory::RegionPtr;
using test::eventually;
using test::part;
using test::Stream;

class TcpServerLoad : public test::ServerFixture {};

TEST_F(TcpServerLoad, LivesOnAfterGarbage) {
  for (const std::string_view text : {"GET / HTTP/1.1\r\nHost: example.org\r\nAccept: */*\r\n\r\n",
                                      "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 client hello, more or less ....",
                                      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "ssh"}) {
    Stream stream = connect();
    ASSERT_TRUE(stream.send(text));
    if (text.size() >= kRequestBytes) {
      EXPECT_TRUE(stream.at_end());
    }
    stream.hang_up();
  }
  std::vector<std::byte> noise(10000);
  test::fill_random(noise, 99);
  for (int round = 0; round < 20; ++round) {
    const Stream stream = connect();
    (void)stream.send(std::span(noise).subspan(static_cast<std::size_t>(round)));
    // The answer to a v2 header among the noise is a status; anything else is the end.
    EXPECT_LE(stream.receive(kStatusBytes + 1).size(), kStatusBytes);
  }
  EXPECT_EQ(server->counters().bytes, 0U);
  EXPECT_TRUE(serves());
}

TEST_F(TcpServerLoad, SurvivesPeersThatResetAtAnyMoment) {
  for (int round = 0; round < 100; ++round) {
    Stream stream = connect();
    const auto bytes = encode_request({.size = region->size(), .address = region->address(), .with_status = true});
    const std::size_t sent = static_cast<std::size_t>(round) % (kRequestBytes + 1);
    (void)stream.send(std::span(bytes).first(sent));
    if (sent == kRequestBytes) (void)stream.receive(1000);
    stream.reset();
  }
  EXPECT_TRUE(serves());
}

TEST_F(TcpServerLoad, AThousandShortConnectionsAllGetTheirBytes) {
  std::vector<std::thread> clients;
  std::atomic<int> good = 0;
  clients.reserve(4);
  for (std::uint64_t c = 0; c < 4; ++c) {
    clients.emplace_back([&, c] {
      for (std::uint64_t i = 0; i < 250; ++i) {
        if (serves((c * 250 + i) * 64, 4000 + i)) good.fetch_add(1);
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(good.load(), 1000);
  EXPECT_EQ(server->counters().connections, 1000U);
}

TEST_F(TcpServerLoad, ManyConnectionsAtOnceAreAllServed) {
  std::vector<Stream> streams;
  streams.reserve(200);
  for (int i = 0; i < 200; ++i) streams.push_back(connect());
  for (std::uint64_t i = 0; i < streams.size(); ++i) ASSERT_TRUE(request(streams[i], i, 3000));
  for (std::uint64_t i = 0; i < streams.size(); ++i) {
    ASSERT_TRUE(std::ranges::equal(streams[i].receive(3000), part(region, i, 3000)));
  }
}

TEST_F(TcpServerLoad, SlowReadersBlockNobody) {
  listen(1);
  std::vector<Stream> slow;
  for (int i = 0; i < 20; ++i) {
    slow.push_back(connect(4096));
    ASSERT_TRUE(request(slow.back(), 0, region->size()));
  }
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(serves(0, 1 << 20));
  // And the slow ones lost nothing.
  EXPECT_TRUE(std::ranges::equal(slow[7].receive(region->size()), test::bytes_of(region)));
}

TEST_F(TcpServerLoad, AFileCutShortUnderItsMappingEndsTheConnectionAndNotTheProcess) {
  std::string path = "/tmp/weightcast-served-XXXXXX";
  const int fd = mkstemp(path.data());
  ASSERT_GE(fd, 0);
  const std::vector<std::byte> bytes(1 << 20, std::byte{7});
  ASSERT_EQ(write(fd, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  const auto mapped = memory::map_file(path, 0, bytes.size());
  ASSERT_TRUE(mapped.ok()) << mapped.status().message;
  const RegionPtr& file = mapped.value();
  server->serve({{file, file->address(), file->size()}, {region, region->address(), region->size()}});
  ASSERT_EQ(ftruncate(fd, 8192), 0);
  close(fd);
  unlink(path.c_str());
  const Stream stream = connect();
  ASSERT_TRUE(stream.send(encode_request({.size = file->size(), .address = file->address()})));
  EXPECT_LE(stream.receive(file->size()).size(), 8192U);
  EXPECT_TRUE(serves());
}

TEST_F(TcpServerLoad, IdleConnectionsGiveWayAtTheCap) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit low = before;
  low.rlim_cur = 64;  // half of them for connections
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
  listen(1);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  std::vector<Stream> idle;
  idle.reserve(32);
  const auto start = Clock::now();
  for (int i = 0; i < 32; ++i) idle.push_back(connect());
  ASSERT_TRUE(eventually([&] { return server->counters().connections == 32; }));
  const bool served = serves();
  if (Clock::now() - start < 1s) {
    EXPECT_FALSE(served);  // full, and nobody was quiet for long
  }
  std::this_thread::sleep_for(1100ms);
  EXPECT_TRUE(serves());
  EXPECT_TRUE(idle.front().at_end());
  ASSERT_TRUE(request(idle.back(), 0, 10));
  EXPECT_EQ(idle.back().receive(10).size(), 10U);
}

TEST_F(TcpServerLoad, CloseEndsConnectionsFreesTheRegionsAndIsIdempotent) {
  const Stream running = connect(4096);
  ASSERT_TRUE(request(running, 0, region->size()));
  const Stream idle = connect();
  ASSERT_TRUE(eventually([&] { return server->counters().connections == 2; }));
  const std::uint16_t port = server->port();
  const std::weak_ptr<const memory::Region> watched = region;
  region.reset();
  server->close();
  server->close();
  EXPECT_TRUE(watched.expired());
  EXPECT_TRUE(idle.at_end());
  EXPECT_FALSE(Stream::to(port).valid());
  region = test::empty_region(4096);
}

TEST_F(TcpServerLoad, APortThatWasJustClosedCanBeListenedOnAgain) {
  EXPECT_TRUE(serves());
  const std::uint16_t port = server->port();
  server->close();  // ends connections from this side: they stay in TIME_WAIT
  const auto again = Server::listen("127.0.0.1", port, 1);
  EXPECT_TRUE(again.ok()) << (again.ok() ? "" : again.status().message);
}

}  // namespace
}  // namespace weightcast::transport::tcp
