#include <gtest/gtest.h>
#include <linux/capability.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>

#include "support/tcp_served.h"
#include "transport/tcp/server.h"
#include "transport/tcp/socket.h"
#include "transport/tcp/zero_copy.h"

namespace weightcast::transport::tcp {
namespace {

using memory::RegionPtr;
using test::eventually;
using test::part;
using test::Stream;

constexpr std::uint64_t kMiB = 1U << 20;

/// A double of what a socket's error queue gives: a message that holds one sock_extended_err, as recvmsg() leaves it.
class QueuedError {
 public:
  explicit QueuedError(const sock_extended_err& error, int level = SOL_IP, int type = IP_RECVERR) {
    message_.msg_control = control_.data();
    message_.msg_controllen = CMSG_SPACE(sizeof error);
    cmsghdr* header = CMSG_FIRSTHDR(&message_);
    header->cmsg_level = level;
    header->cmsg_type = type;
    header->cmsg_len = CMSG_LEN(sizeof error);
    std::memcpy(CMSG_DATA(header), &error, sizeof error);
  }
  [[nodiscard]] std::optional<Completion> read() { return Completion::of(message_); }

 private:
  alignas(cmsghdr) std::array<std::byte, 128> control_{};
  msghdr message_{};
};

sock_extended_err done(std::uint32_t first, std::uint32_t last, bool copied) {
  sock_extended_err error{};
  error.ee_origin = SO_EE_ORIGIN_ZEROCOPY;
  error.ee_code = copied ? SO_EE_CODE_ZEROCOPY_COPIED : 0;
  error.ee_info = first;
  error.ee_data = last;
  return error;
}

TEST(TcpZeroCopyCompletion, IsReadFromTheErrorQueueOfBothFamilies) {
  for (const auto& [level, type] : {std::pair{SOL_IP, IP_RECVERR}, std::pair{SOL_IPV6, IPV6_RECVERR}}) {
    const auto completion = QueuedError(done(3, 7, true), level, type).read();
    ASSERT_TRUE(completion.has_value());
    EXPECT_EQ(completion->first, 3U);
    EXPECT_EQ(completion->last, 7U);
    EXPECT_TRUE(completion->copied);
  }
  EXPECT_FALSE(QueuedError(done(0, 0, false)).read()->copied);
}

TEST(TcpZeroCopyCompletion, IsNothingElseThatTheQueueHolds) {
  sock_extended_err unreachable = done(0, 0, false);
  unreachable.ee_origin = SO_EE_ORIGIN_ICMP;
  EXPECT_FALSE(QueuedError(unreachable).read().has_value());
  EXPECT_FALSE(QueuedError(done(0, 0, false), SOL_SOCKET, SCM_RIGHTS).read().has_value());
}

/// The sends of a connection whose completions the test makes up.
class TcpZeroCopySends : public testing::Test {
 protected:
  std::uint64_t piece(ZeroCopySends& sends, std::uint64_t bytes) const { return sends.piece(socket_.get(), bytes); }
  long users() const { return region.use_count() - 1; }

  RegionPtr region = test::random_region(kMiB, 5);
  ZeroCopyCounters counters;

 private:
  Fd socket_{socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
};

TEST_F(TcpZeroCopySends, AskWithOneSmallPieceAndSendPlainlyUntilTheAnswerIsThere) {
  ZeroCopySends sends(ZeroCopy::kAuto, counters);
  EXPECT_EQ(piece(sends, 1000), 0U);
  const std::uint64_t probe = piece(sends, kMiB);
  EXPECT_GT(probe, 0U);
  EXPECT_LT(probe, kMiB);
  sends.sent(region, probe);
  EXPECT_EQ(piece(sends, kMiB), 0U);
  sends.completed({.first = 0, .last = 0, .copied = false});
  EXPECT_EQ(piece(sends, kMiB), kMiB);
  EXPECT_EQ(counters.bytes, probe);
  EXPECT_EQ(counters.refused, 0U);
}

TEST_F(TcpZeroCopySends, AreOverForGoodOnceTheKernelCopied) {
  ZeroCopySends sends(ZeroCopy::kAuto, counters);
  sends.sent(region, piece(sends, kMiB));
  sends.completed({.first = 0, .last = 0, .copied = false});
  for (int i = 0; i < 3; ++i) sends.sent(region, piece(sends, kMiB));
  sends.completed({.first = 1, .last = 1, .copied = true});
  EXPECT_EQ(piece(sends, kMiB), 0U);
  // One that was under way is as good as it was, and changes nothing.
  const std::uint64_t before = counters.bytes;
  sends.completed({.first = 2, .last = 3, .copied = false});
  EXPECT_EQ(counters.bytes, before + 2 * kMiB);
  EXPECT_EQ(piece(sends, kMiB), 0U);
  EXPECT_EQ(counters.refused, 1U);
  EXPECT_FALSE(sends.in_flight());
}

TEST_F(TcpZeroCopySends, KeepEachRegionUntilItsOwnSendIsDone) {
  ZeroCopySends sends(ZeroCopy::kAlways, counters);
  for (int i = 0; i < 4; ++i) sends.sent(region, piece(sends, kMiB));
  EXPECT_EQ(users(), 4);
  sends.completed({.first = 2, .last = 2, .copied = false});  // out of order
  EXPECT_EQ(users(), 3);
  sends.completed({.first = 0, .last = 1, .copied = false});  // several at once
  EXPECT_EQ(users(), 1);
  EXPECT_TRUE(sends.in_flight());
  sends.completed({.first = 2, .last = 2, .copied = false});    // once more
  sends.completed({.first = 90, .last = 95, .copied = false});  // never sent
  EXPECT_EQ(users(), 1);
  sends.completed({.first = 3, .last = 3, .copied = false});
  EXPECT_EQ(users(), 0);
  EXPECT_FALSE(sends.in_flight());
  EXPECT_EQ(counters.bytes, 4 * kMiB);
}

TEST_F(TcpZeroCopySends, GoOnWhatTheKernelDoesWhereTheyAreAlwaysAskedFor) {
  ZeroCopySends sends(ZeroCopy::kAlways, counters);
  EXPECT_EQ(piece(sends, kMiB), kMiB);
  sends.sent(region, kMiB);
  sends.completed({.first = 0, .last = 0, .copied = true});
  EXPECT_EQ(piece(sends, kMiB), kMiB);
  EXPECT_EQ(counters.bytes, 0U);
}

TEST_F(TcpZeroCopySends, AreNeverWhereTheyAreNotAskedForOrTheSocketCannot) {
  ZeroCopySends never(ZeroCopy::kNever, counters);
  EXPECT_EQ(piece(never, kMiB), 0U);
  EXPECT_EQ(counters.refused, 0U);
  std::array<int, 2> pair{};
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()), 0);
  const Fd one(pair[0]), other(pair[1]);
  ZeroCopySends refused(ZeroCopy::kAlways, counters);
  EXPECT_EQ(refused.piece(one.get(), kMiB), 0U);
  EXPECT_EQ(refused.piece(one.get(), kMiB), 0U);
  EXPECT_EQ(counters.refused, 1U);
}

/// The kernel's own loopback, which copies what it is given without a copy as soon as it reaches the reader.
class TcpZeroCopyServer : public test::ServerFixture {
 protected:
  void SetUp() override {}
  void listen(ZeroCopy zero_copy) {
    auto listening = Server::listen("127.0.0.1", 0, 1, zero_copy);
    ASSERT_TRUE(listening.ok()) << listening.status().message;
    server = listening.value();
    server->serve({{region, region->address(), region->size()}});
  }
  void expect_whole(const Stream& stream, std::uint64_t offset, std::uint64_t size) {
    ASSERT_TRUE(request(stream, offset, size));
    EXPECT_TRUE(std::ranges::equal(stream.receive(size), part(region, offset, size)));
  }
  [[nodiscard]] bool region_is_free() const { return region.use_count() == 1; }
};

TEST_F(TcpZeroCopyServer, GoesBackToPlainSendsWhereTheKernelCopies) {
  listen(ZeroCopy::kAuto);
  const Stream stream = connect();
  for (int i = 0; i < 4; ++i) expect_whole(stream, 17, 4 * kMiB);
  EXPECT_TRUE(eventually([this] { return server->counters().zero_copy_refused == 1; }));
  expect_whole(stream, 1, 2 * kMiB);
  EXPECT_EQ(server->counters().zero_copy_refused, 1U);
  EXPECT_EQ(server->counters().zero_copy_bytes, 0U);
  EXPECT_EQ(server->counters().bytes, 18 * kMiB);
}

TEST_F(TcpZeroCopyServer, SendsEveryByteOutOfTheRegionWhereItIsToldTo) {
  listen(ZeroCopy::kAlways);
  const Stream stream = connect();
  for (int i = 0; i < 8; ++i) expect_whole(stream, static_cast<std::uint64_t>(i) * 4099, 6 * kMiB + 11);
  EXPECT_EQ(server->counters().zero_copy_refused, 0U);
  EXPECT_EQ(server->counters().bytes, 8 * (6 * kMiB + 11));
}

TEST_F(TcpZeroCopyServer, KeepsARegionUntilTheReaderHasTheLastByteOfIt) {
  listen(ZeroCopy::kAlways);
  const Stream stream = connect(4096);
  constexpr std::uint64_t kSize = 256U << 10;
  ASSERT_TRUE(request(stream, 0, kSize));
  // All is handed over, most of it not yet taken.
  ASSERT_TRUE(eventually([this] { return server->counters().bytes == kSize; }));
  server->serve({});
  EXPECT_FALSE(region_is_free());
  EXPECT_TRUE(std::ranges::equal(stream.receive(kSize), part(region, 0, kSize)));
  EXPECT_TRUE(eventually([this] { return region_is_free(); }));
}

TEST_F(TcpZeroCopyServer, SendsTheRestToAReaderThatHasHungUpItsOwnHalf) {
  listen(ZeroCopy::kAlways);
  const Stream stream = connect(4096);
  constexpr std::uint64_t kSize = 256U << 10;
  ASSERT_TRUE(request(stream, 0, kSize));
  ASSERT_TRUE(stream.end_of_requests());
  ASSERT_TRUE(eventually([this] { return server->counters().bytes == kSize; }));
  EXPECT_TRUE(std::ranges::equal(stream.receive(kSize), part(region, 0, kSize)));
  EXPECT_TRUE(stream.at_end());
  server->serve({});
  EXPECT_TRUE(eventually([this] { return region_is_free(); }));
}

TEST_F(TcpZeroCopyServer, FreesTheRegionWhenItIsClosedUnderAReader) {
  listen(ZeroCopy::kAlways);
  const Stream stream = connect(4096);
  ASSERT_TRUE(request(stream, 0, 8 * kMiB));
  ASSERT_TRUE(eventually([this] { return server->counters().bytes > 0; }));
  server->close();
  EXPECT_TRUE(region_is_free());
  EXPECT_LT(stream.receive(8 * kMiB).size(), 8 * kMiB);
}

/// No page may be pinned while this lives, by this thread and those that it starts.
class NoPinnedPages {
 public:
  NoPinnedPages() {
    (void)syscall(SYS_capget, &header_, capabilities_.data());
    auto fewer = capabilities_;
    fewer[0].effective &= ~(1U << CAP_IPC_LOCK);
    (void)syscall(SYS_capset, &header_, fewer.data());
    (void)getrlimit(RLIMIT_MEMLOCK, &limit_);
    const rlimit none{.rlim_cur = 0, .rlim_max = limit_.rlim_max};
    (void)setrlimit(RLIMIT_MEMLOCK, &none);
  }
  ~NoPinnedPages() {
    (void)setrlimit(RLIMIT_MEMLOCK, &limit_);
    (void)syscall(SYS_capset, &header_, capabilities_.data());
  }
  NoPinnedPages(const NoPinnedPages&) = delete;
  NoPinnedPages& operator=(const NoPinnedPages&) = delete;
  NoPinnedPages(NoPinnedPages&&) = delete;
  NoPinnedPages& operator=(NoPinnedPages&&) = delete;

 private:
  __user_cap_header_struct header_{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> capabilities_{};
  rlimit limit_{};
};

TEST_F(TcpZeroCopyServer, SendsPlainlyWhatTheKernelHasNoRoomFor) {
  const NoPinnedPages limit;
  listen(ZeroCopy::kAlways);
  const Stream stream = connect();
  expect_whole(stream, 5, 4 * kMiB);
  EXPECT_GT(server->counters().zero_copy_crowded, 0U);
  EXPECT_EQ(server->counters().zero_copy_bytes, 0U);
  EXPECT_EQ(server->counters().bytes, 4 * kMiB);
}

}  // namespace
}  // namespace weightcast::transport::tcp
