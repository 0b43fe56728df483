#include "transport/tcp/server.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <optional>
#include <random>
#include <thread>

#include "support/bytes.h"
#include "support/peers.h"
#include "transport/tcp/wire.h"

namespace weightcast::transport::tcp {
namespace {

using namespace std::chrono_literals;
using memory::RegionPtr;
using test::Stream;

std::span<const std::byte> part(const RegionPtr& region, std::uint64_t offset, std::uint64_t size) {
  return test::bytes_of(region).subspan(offset, size);
}

bool eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 1000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(5ms);
  }
  return false;
}

class TcpServer : public testing::Test {
 protected:
  void SetUp() override { listen(2); }

  void listen(unsigned threads) {
    auto listening = Server::listen("127.0.0.1", 0, threads);
    ASSERT_TRUE(listening.ok()) << listening.status().message;
    server = listening.value();
    server->serve({{region, region->address(), region->size()}});
  }

  [[nodiscard]] Stream connect(int receive_buffer = 0) const { return Stream::to(server->port(), receive_buffer); }

  [[nodiscard]] bool request(const Stream& stream, std::uint64_t offset, std::uint64_t size, bool with_status = false,
                             std::uint8_t opcode = kOpcodeRead) const {
    return stream.send(encode_request(
        {.size = size, .address = region->address() + offset, .opcode = opcode, .with_status = with_status}));
  }

  /// One whole answer of protocol 1 on a connection of its own: the proof that the server lives.
  [[nodiscard]] bool serves(std::uint64_t offset = 100, std::uint64_t size = 5000) const {
    const Stream stream = connect();
    return request(stream, offset, size) && std::ranges::equal(stream.receive(size), part(region, offset, size));
  }

  /// The status code of a protocol 2 answer.
  static std::optional<std::uint32_t> status_of(const Stream& stream) {
    const auto bytes = stream.receive(kStatusBytes);
    if (bytes.size() < kStatusBytes) return std::nullopt;
    return decode_status(std::span<const std::byte, kStatusBytes>(bytes));
  }

  void expect_refused(std::uint64_t offset, std::uint64_t size, std::uint8_t opcode = kOpcodeRead) {
    const Stream old = connect();
    ASSERT_TRUE(request(old, offset, size, false, opcode));
    EXPECT_TRUE(old.at_end()) << offset << " " << size;
    const Stream current = connect();
    ASSERT_TRUE(request(current, offset, size, true, opcode));
    EXPECT_EQ(status_of(current), kStatusRejected) << offset << " " << size;
    EXPECT_TRUE(current.at_end());
  }

  RegionPtr region = test::random_region(8 << 20, 11);
  std::shared_ptr<Server> server;
};

TEST_F(TcpServer, AnswersProtocol1WithTheBytesAlone) {
  const Stream stream = connect();
  ASSERT_TRUE(request(stream, 1, 4096));
  EXPECT_TRUE(std::ranges::equal(stream.receive(4096), part(region, 1, 4096)));
}

TEST_F(TcpServer, AnswersProtocol2WithAStatusFirst) {
  const Stream stream = connect();
  ASSERT_TRUE(request(stream, 3, 70000, true));
  EXPECT_EQ(status_of(stream), kStatusOk);
  EXPECT_TRUE(std::ranges::equal(stream.receive(70000), part(region, 3, 70000)));
}

TEST_F(TcpServer, DecidesTheProtocolPerRequestOnOneConnection) {
  const Stream stream = connect();
  for (int i = 0; i < 10; ++i) {
    const auto offset = static_cast<std::uint64_t>(i) * 1000;
    const bool with_status = i % 2 == 0;
    ASSERT_TRUE(request(stream, offset, 999, with_status));
    if (with_status) {
      EXPECT_EQ(status_of(stream), kStatusOk);
    }
    EXPECT_TRUE(std::ranges::equal(stream.receive(999), part(region, offset, 999)));
  }
  EXPECT_EQ(server->counters().requests, 10U);
  EXPECT_EQ(server->counters().connections, 1U);
}

TEST_F(TcpServer, AnswersRequestsThatWereSentAheadOneAfterTheOther) {
  const Stream stream = connect();
  std::vector<std::byte> requests;
  for (int i = 0; i < 500; ++i) {
    const auto bytes = encode_request({.size = 100, .address = region->address() + static_cast<std::uint64_t>(i)});
    requests.insert(requests.end(), bytes.begin(), bytes.end());
  }
  ASSERT_TRUE(stream.send(requests));
  for (std::uint64_t i = 0; i < 500; ++i) {
    ASSERT_TRUE(std::ranges::equal(stream.receive(100), part(region, i, 100)));
  }
}

TEST_F(TcpServer, TakesAHeaderByteByByteWithGarbageInThePadding) {
  const Stream stream = connect();
  auto bytes = encode_request({.size = 10, .address = region->address()});
  test::fill_random(std::span(bytes).subspan(17), 5);
  for (const std::byte byte : bytes) {
    ASSERT_TRUE(stream.send(std::span(&byte, 1)));
    std::this_thread::sleep_for(1ms);
  }
  EXPECT_TRUE(std::ranges::equal(stream.receive(10), part(region, 0, 10)));
}

TEST_F(TcpServer, ServesEveryByteOfItsRangeAndNotOneMore) {
  const std::uint64_t size = region->size();
  EXPECT_TRUE(serves(0, size));
  EXPECT_TRUE(serves(size - 1, 1));
  expect_refused(size - 1, 2);
  expect_refused(size, 1);
  expect_refused(0, size + 1);
  expect_refused(~0ULL, 1);       // the byte before the first
  expect_refused(~0ULL, size);
}

TEST_F(TcpServer, RefusesSizesThatOverflowAndSizeZero) {
  expect_refused(0, 0);
  expect_refused(0, ~0ULL);
  expect_refused(5, ~0ULL - 4);
  expect_refused(5, 0 - region->address());      // ends at 2^64
  expect_refused(0 - region->address(), 16);     // begins at 0
  expect_refused(0, 5ULL << 30);                 // more than there is
  EXPECT_TRUE(serves());
  EXPECT_EQ(server->counters().bytes, 5000U);
}

TEST_F(TcpServer, RefusesWritesAndUnknownOpcodes) {
  const std::vector<std::byte> before(part(region, 0, 4096).begin(), part(region, 0, 4096).end());
  expect_refused(0, 4096, kOpcodeWrite);
  expect_refused(0, 4096, 0x47);
  EXPECT_TRUE(std::ranges::equal(before, part(region, 0, 4096)));
  EXPECT_EQ(server->counters().rejected, 4U);
}

TEST_F(TcpServer, ARefusedWriterGetsItsStatusThoughItStreamsOn) {
  const Stream stream = connect();
  ASSERT_TRUE(request(stream, 0, 1 << 20, true, kOpcodeWrite));
  ASSERT_TRUE(stream.send(std::vector<std::byte>(1 << 20)));
  EXPECT_EQ(status_of(stream), kStatusRejected);
}

TEST_F(TcpServer, RefusesRequestsThatStraddleTwoRanges) {
  const std::uint64_t base = region->address();
  server->serve({{region, base + 4096, 4096}, {region, base, 4096}});
  EXPECT_TRUE(serves(0, 4096));
  EXPECT_TRUE(serves(4096, 4096));
  expect_refused(4000, 200);
  expect_refused(0, 8192);
  expect_refused(8192, 1);
}

TEST_F(TcpServer, FindsTheOneOfOverlappingRangesThatHoldsTheRequest) {
  const std::uint64_t base = region->address();
  server->serve({{region, base, 100000}, {region, base + 50, 10}, {region, base + 60, 20}});
  EXPECT_TRUE(serves(55, 9000));
  EXPECT_TRUE(serves(99999, 1));
  expect_refused(100000, 1);
}

TEST_F(TcpServer, NeverServesBeyondARangesRegion) {
  const std::uint64_t base = region->address();
  const std::uint64_t size = region->size();
  server->serve({{region, base + 10, size}, {region, base - 10, 20}, {region, base, ~0ULL}, {nullptr, base, 10}});
  expect_refused(10, 1);
  expect_refused(0, 1);
}

TEST_F(TcpServer, AReplacedTableDecidesTheNextRequestAndLetsRunningOnesFinish) {
  auto other = test::random_region(4096, 12);
  const Stream stream = connect(4096);
  ASSERT_TRUE(request(stream, 0, region->size()));
  ASSERT_EQ(stream.receive(10).size(), 10U);
  std::weak_ptr<const memory::Region> watched = region;
  const std::vector<std::byte> expected(test::bytes_of(region).begin(), test::bytes_of(region).end());
  server->serve({{other, other->address(), other->size()}});
  region.reset();
  EXPECT_FALSE(watched.expired());
  EXPECT_TRUE(std::ranges::equal(stream.receive(expected.size() - 10), std::span(expected).subspan(10)));
  EXPECT_TRUE(eventually([&] { return watched.expired(); }));
  ASSERT_TRUE(stream.send(encode_request({.size = 4096, .address = other->address()})));
  EXPECT_TRUE(std::ranges::equal(stream.receive(4096), test::bytes_of(other)));
  region = other;
}

TEST_F(TcpServer, LivesOnAfterGarbage) {
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

TEST_F(TcpServer, SurvivesPeersThatResetAtAnyMoment) {
  for (int round = 0; round < 100; ++round) {
    Stream stream = connect();
    const auto bytes = encode_request({.size = region->size(), .address = region->address(), .with_status = true});
    (void)stream.send(std::span(bytes).first(static_cast<std::size_t>(round) % (kRequestBytes + 1)));
    if (round % 3 == 0) (void)stream.receive(1000);
    stream.reset();
  }
  EXPECT_TRUE(serves());
}

TEST_F(TcpServer, AThousandShortConnectionsAllGetTheirBytes) {
  std::vector<std::thread> clients;
  std::atomic<int> good = 0;
  for (unsigned c = 0; c < 4; ++c) {
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

TEST_F(TcpServer, ManyConnectionsAtOnceAreAllServed) {
  std::vector<Stream> streams;
  for (int i = 0; i < 200; ++i) streams.push_back(connect());
  for (std::uint64_t i = 0; i < streams.size(); ++i) ASSERT_TRUE(request(streams[i], i, 3000));
  for (std::uint64_t i = 0; i < streams.size(); ++i) {
    ASSERT_TRUE(std::ranges::equal(streams[i].receive(3000), part(region, i, 3000)));
  }
}

TEST_F(TcpServer, SlowReadersBlockNobody) {
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

TEST_F(TcpServer, AFileCutShortUnderItsMappingEndsTheConnectionAndNotTheProcess) {
  std::string path = "/tmp/weightcast-served-XXXXXX";
  const int fd = mkstemp(path.data());
  ASSERT_GE(fd, 0);
  const std::vector<std::byte> bytes(1 << 20, std::byte{7});
  ASSERT_EQ(write(fd, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  const auto mapped = memory::map_file(path, 0, bytes.size());
  ASSERT_TRUE(mapped.ok()) << mapped.status().message;
  const RegionPtr file = mapped.value();
  server->serve({{file, file->address(), file->size()}, {region, region->address(), region->size()}});
  ASSERT_EQ(ftruncate(fd, 8192), 0);
  close(fd);
  unlink(path.c_str());
  const Stream stream = connect();
  ASSERT_TRUE(stream.send(encode_request({.size = file->size(), .address = file->address()})));
  EXPECT_LE(stream.receive(file->size()).size(), 8192U);
  EXPECT_TRUE(serves());
}

TEST_F(TcpServer, IdleConnectionsGiveWayAtTheCap) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit low = before;
  low.rlim_cur = 64;  // half of them for connections
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
  listen(1);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  std::vector<Stream> idle;
  for (int i = 0; i < 32; ++i) idle.push_back(connect());
  ASSERT_TRUE(eventually([&] { return server->counters().connections == 32; }));
  EXPECT_FALSE(serves());  // full, and nobody was quiet for long
  std::this_thread::sleep_for(1100ms);
  EXPECT_TRUE(serves());
  EXPECT_TRUE(idle.front().at_end());
  ASSERT_TRUE(request(idle.back(), 0, 10));
  EXPECT_EQ(idle.back().receive(10).size(), 10U);
}

TEST_F(TcpServer, CloseEndsConnectionsFreesTheRegionsAndIsIdempotent) {
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

TEST_F(TcpServer, APortThatWasJustClosedCanBeListenedOnAgain) {
  EXPECT_TRUE(serves());
  const std::uint16_t port = server->port();
  server->close();  // ends connections from this side: they stay in TIME_WAIT
  const auto again = Server::listen("127.0.0.1", port, 1);
  EXPECT_TRUE(again.ok()) << (again.ok() ? "" : again.status().message);
}

TEST_F(TcpServer, SaysWhyItCannotListen) {
  const auto taken = Server::listen("127.0.0.1", server->port(), 1);
  ASSERT_FALSE(taken.ok());
  EXPECT_EQ(taken.status().code, Code::kIo);
  EXPECT_EQ(taken.status().error_number, EADDRINUSE);
  EXPECT_NE(taken.status().message.find(std::to_string(server->port())), std::string::npos);
  EXPECT_EQ(Server::listen("host.invalid", 0, 1).status().code, Code::kIo);
  EXPECT_EQ(Server::listen("127.0.0.1", 0, 0).status().code, Code::kInvalidArgument);
}

TEST_F(TcpServer, ListensOnAllAddressesWithoutAHost) {
  const auto any = Server::listen("", 0, 1);
  ASSERT_TRUE(any.ok()) << any.status().message;
  any.value()->serve({{region, region->address(), region->size()}});
  const Stream stream = Stream::to(any.value()->port());
  ASSERT_TRUE(request(stream, 0, 100));
  EXPECT_EQ(stream.receive(100).size(), 100U);
}

}  // namespace
}  // namespace weightcast::transport::tcp
