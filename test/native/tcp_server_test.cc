#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <memory>
#include <thread>

#include "support/fake_device.h"
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

class TcpServer : public test::ServerFixture {};

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
  expect_refused(~0ULL, 1);  // the byte before the first
  expect_refused(~0ULL, size);
}

TEST_F(TcpServer, RefusesSizesThatOverflowAndSizeZero) {
  expect_refused(0, 0);
  expect_refused(0, ~0ULL);
  expect_refused(5, ~0ULL - 4);
  expect_refused(5, 0 - region->address());   // ends at 2^64
  expect_refused(0 - region->address(), 16);  // begins at 0
  expect_refused(0, 5ULL << 30);              // more than there is
  EXPECT_TRUE(serves());
  server->close();  // bytes are counted once they are sent, and the peer may be faster
  EXPECT_EQ(server->counters().bytes, 5000U);
}

TEST_F(TcpServer, TakesARequestOf5GiBAsOneAndItsEdgeToTheByte) {
  constexpr std::uint64_t kSize = 5ULL << 30;
  // Pages that nobody touches cost nothing: reading them maps the kernel's one zero page.
  void* reserved = mmap(nullptr, kSize, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ASSERT_NE(reserved, MAP_FAILED);
  const std::shared_ptr<void> mapping(reserved, [](void* at) { munmap(at, kSize); });
  auto huge = memory::adopt(static_cast<std::byte*>(reserved), kSize, false, mapping);
  ASSERT_TRUE(huge.ok());
  region = huge.value();
  server->serve({{region, region->address(), kSize}});
  Stream stream = connect();
  ASSERT_TRUE(request(stream, 0, kSize, true));
  EXPECT_EQ(status_of(stream), kStatusOk);
  EXPECT_EQ(stream.receive(10 << 20), std::vector<std::byte>(10 << 20));
  stream.reset();
  EXPECT_TRUE(serves(kSize - 5000, 5000));
  expect_refused(0, kSize + 1);
  expect_refused(1, kSize);
  expect_refused(kSize - 1, 2);
  EXPECT_LT(server->counters().bytes, 1ULL << 30);
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

/// What a program does that spawns another: between fork and exec the child holds every descriptor of the parent.
class CopiedDescriptors {
 public:
  CopiedDescriptors() : child_(fork()) {
    if (child_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);  // a test that crashes leaves nobody behind
      for (;;) pause();
    }
  }
  ~CopiedDescriptors() {
    if (child_ <= 0) return;
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
  }
  CopiedDescriptors(const CopiedDescriptors&) = delete;
  CopiedDescriptors& operator=(const CopiedDescriptors&) = delete;
  CopiedDescriptors(CopiedDescriptors&&) = delete;
  CopiedDescriptors& operator=(CopiedDescriptors&&) = delete;

  [[nodiscard]] bool made() const { return child_ > 0; }

 private:
  pid_t child_;
};

TEST_F(TcpServer, ForgetsConnectionsWhoseDescriptorsAnotherProcessStillHolds) {
  // One worker, so that its answer to another connection shows that it is past the end of this one.
  listen(1);
  const Stream refused = connect();
  ASSERT_TRUE(request(refused, region->size(), 1, true));
  ASSERT_EQ(status_of(refused), kStatusRejected);
  const CopiedDescriptors copies;
  ASSERT_TRUE(copies.made());
  // The server lets a refused connection linger for a second, and then closes it.
  std::this_thread::sleep_for(1500ms);
  const std::array<std::byte, 100> late{};
  (void)refused.send(late);
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(serves());
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

TEST_F(TcpServer, RefusesRangesOfAnAcceleratorsMemory) {
  const auto device = test::device_region(std::make_shared<test::FakeDevice>(), 4096, 5);
  server->serve({{device, device->address(), device->size()}, {region, region->address(), region->size()}});
  const Stream stream = connect();
  ASSERT_TRUE(stream.send(
      encode_request({.size = 16, .address = device->address(), .opcode = kOpcodeRead, .with_status = true})));
  EXPECT_EQ(status_of(stream), kStatusRejected);
  EXPECT_TRUE(serves());
}

}  // namespace
}  // namespace weightcast::transport::tcp
