// The local transport: its socket, what is passed over it, and reading by it. Server and readers are one process here;
// what needs two is in test/integration/local.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <future>
#include <string>
#include <vector>

#include "memory/region.h"
#include "support/bytes.h"
#include "support/fake_device.h"
#include "transfer/operation.h"
#include "transfer/plan.h"
#include "transport/local/lane.h"
#include "transport/local/peer.h"
#include "transport/local/server.h"

namespace weightcast::transport::local {
namespace {

using test::bytes_of;
using test::device_region;
using test::empty_region;
using test::random_region;

constexpr std::uint64_t kBytes = (std::uint64_t{3} << 20U) + 12'345;

std::string unique_name() {
  static int count = 0;
  return "weightcast-test-" + std::to_string(getpid()) + "-" + std::to_string(++count);
}

Token token_of(char digit) { return *parse_token(std::string(64, digit)); }

/// A shared memory region whose name is gone already.
memory::RegionPtr shared_region(std::uint64_t size, std::uint64_t seed) {
  const std::string name = unique_name();
  auto region = memory::create_shared(name, size);
  if (!region.ok()) std::abort();
  (void)shm_unlink(("/" + name).c_str());
  test::fill_random(bytes_of(region.value()), seed);
  return region.value();
}

tcp::ServedRange all_of(const memory::RegionPtr& region) {
  return {.region = region, .address = region->address(), .length = region->size()};
}

class Local : public testing::Test {
 protected:
  void serve(std::vector<tcp::ServedRange> ranges) { ASSERT_TRUE(server_->serve(std::move(ranges)).ok()); }
  Result<std::shared_ptr<const Peer>> connect(char digit = 'a') const {
    return Peer::connect({.name = name_, .token = token_of(digit)});
  }
  /// A connected socket that has said nothing yet.
  [[nodiscard]] tcp::Fd raw() const {
    tcp::Fd fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    const auto address = *abstract_address(name_);
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address.value), address.length), 0);
    return fd;
  }

  std::string name_ = unique_name();
  std::shared_ptr<Server> server_ = Server::listen({.name = name_, .token = token_of('a')}).value();
};

/// Reads all rows of `peer` into new regions over `lanes` lanes.
std::pair<transfer::Outcome, std::vector<memory::RegionPtr>> read_all(const std::shared_ptr<const Peer>& peer,
                                                                      int lanes) {
  std::vector<transfer::Want> wants;
  std::vector<transfer::RemoteBuffer> buffers;
  std::vector<memory::RegionPtr> into;
  for (const Row& row : peer->rows()) {
    into.push_back(empty_region(row.length));
    wants.push_back({row.address, row.length, into.back()->data(), static_cast<std::uint32_t>(into.size() - 1)});
    buffers.push_back({row.address, row.length});
  }
  std::vector<std::shared_ptr<Lane>> all;
  for (int i = 0; i < lanes; ++i) all.push_back(make_lane("local #" + std::to_string(i), peer));
  auto plan = transfer::make_plan(wants, buffers, {.max_segments = 1024});
  auto operation = transfer::Operation::create(std::move(plan.value()), into, all);
  std::promise<transfer::Outcome> done;
  operation->start([&done](const transfer::Outcome& outcome) { done.set_value(outcome); });
  return {done.get_future().get(), into};
}

TEST_F(Local, ReadsByDescriptorAndFromMemory) {
  const auto shared = shared_region(kBytes, 1);
  const auto own = random_region(kBytes, 2);
  serve({all_of(shared), all_of(own)});
  auto peer = connect();
  ASSERT_TRUE(peer.ok()) << peer.status().message;
  ASSERT_EQ(peer.value()->rows().size(), 2U);
  EXPECT_EQ(peer.value()->rows()[0].descriptor, 0);
  EXPECT_EQ(peer.value()->rows()[1].descriptor, -1);
  const auto [outcome, into] = read_all(peer.value(), 3);
  ASSERT_TRUE(outcome.status.ok()) << outcome.status.message;
  EXPECT_EQ(outcome.bytes, 2 * kBytes);
  EXPECT_TRUE(std::ranges::equal(bytes_of(into[0]), bytes_of(shared)));
  EXPECT_TRUE(std::ranges::equal(bytes_of(into[1]), bytes_of(own)));
}

TEST_F(Local, ScattersIntoMoreSegmentsThanOneCallTakes) {
  const auto own = random_region(4096, 3);
  serve({all_of(own)});
  auto peer = connect();
  ASSERT_TRUE(peer.ok()) << peer.status().message;
  const auto into = empty_region(8192);
  std::vector<Segment> segments;
  for (std::uint32_t i = 0; i < 600; ++i) segments.push_back({into->data() + 8 * i, 5, 0});
  std::uint64_t calls = 0;
  ASSERT_TRUE(peer.value()->read(0, own->address() + 7, segments, calls).ok());
  EXPECT_EQ(calls, 3U);
  for (std::size_t i = 0; i < 3000; ++i) ASSERT_EQ(into->data()[8 * (i / 5) + i % 5], own->data()[7 + i]) << i;
}

TEST_F(Local, RefusesRangesOutsideOfABuffer) {
  const auto own = random_region(4096, 4);
  serve({all_of(own)});
  auto peer = connect();
  ASSERT_TRUE(peer.ok());
  const auto into = empty_region(4096);
  std::uint64_t calls = 0;
  const std::vector<Segment> page{{into->data(), 4096, 0}};
  EXPECT_EQ(peer.value()->read(0, own->address() + 1, page, calls).code, Code::kOutOfRange);
  EXPECT_EQ(peer.value()->read(0, own->address() - 1, page, calls).code, Code::kOutOfRange);
  EXPECT_EQ(peer.value()->read(1, own->address(), page, calls).code, Code::kOutOfRange);
  EXPECT_EQ(calls, 0U);
}

TEST_F(Local, MapsWhatIsSharedReadOnlyAndForAsLongAsItIsHeld) {
  auto shared = shared_region(kBytes, 5);
  const std::vector<std::byte> copy(shared->data(), shared->data() + kBytes);
  serve({{.region = shared, .address = shared->address() + 100, .length = kBytes - 100}, all_of(random_region(10, 6))});
  auto peer = connect();
  ASSERT_TRUE(peer.ok());
  EXPECT_EQ(peer.value()->map(1).status().code, Code::kInvalidArgument);
  auto mapped = peer.value()->map(0);
  ASSERT_TRUE(mapped.ok()) << mapped.status().message;
  EXPECT_FALSE(mapped.value()->writable());
  const auto share = mapped.value()->share();
  ASSERT_TRUE(share.has_value());
  EXPECT_EQ(fcntl(share->descriptor, F_GETFL) & O_ACCMODE, O_RDONLY);
  EXPECT_EQ(mmap(nullptr, 4096, PROT_WRITE, MAP_SHARED, share->descriptor, 0), MAP_FAILED);
  peer.value().reset();
  server_->close();
  shared.reset();
  std::vector<std::byte> out(kBytes - 100);
  ASSERT_TRUE(mapped.value()->copy_out(0, out).ok());
  EXPECT_TRUE(std::equal(out.begin(), out.end(), copy.begin() + 100));
}

TEST_F(Local, ReadersOfMemoryFailOnceTheServerCloses) {
  serve({all_of(random_region(kBytes, 7))});
  auto peer = connect();
  ASSERT_TRUE(peer.ok());
  server_->close();
  EXPECT_EQ(read_all(peer.value(), 2).first.status.code, Code::kPeerLost);
}

TEST_F(Local, AFileThatWasCutShortIsTheSeedsFault) {
  std::string path = "/tmp/weightcast-local-XXXXXX";
  const tcp::Fd file(mkstemp(path.data()));
  ASSERT_EQ(ftruncate(file.get(), kBytes), 0);
  const auto mapped = memory::map_file(path, 0, kBytes);
  ASSERT_TRUE(mapped.ok());
  (void)unlink(path.c_str());
  serve({all_of(mapped.value())});
  auto peer = connect();
  ASSERT_TRUE(peer.ok());
  ASSERT_EQ(ftruncate(file.get(), 1000), 0);
  EXPECT_EQ(read_all(peer.value(), 2).first.status.code, Code::kRemoteAccess);
}

TEST_F(Local, SaysWhoIsNotServed) {
  EXPECT_EQ(connect('b').status().code, Code::kRemoteAccess);
  EXPECT_EQ(Peer::connect({.name = name_ + "x", .token = token_of('a')}).status().code, Code::kNotFound);
  EXPECT_EQ(Peer::connect({.name = std::string(200, 'x'), .token = token_of('a')}).status().code, Code::kProtocol);
  EXPECT_FALSE(Server::listen({.name = name_, .token = token_of('a')}).ok()) << "the name is taken";
  EXPECT_EQ(server_->counters().refused, 1U);
}

TEST_F(Local, AnotherUserIsTurnedAwayBeforeItSaysAWord) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  const pid_t child = fork();
  if (child == 0) {
    const bool changed = setresuid(65534, 65534, 65534) == 0;
    auto peer = connect();
    _exit(changed && !peer.ok() && peer.status().message.find("own user") != std::string::npos ? 0 : 1);
  }
  int status = 1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(server_->counters().refused, 1U);
}

TEST_F(Local, GarbageAndSilenceCostTheirOwnConnectionOnly) {
  serve({all_of(shared_region(kBytes, 8))});
  const tcp::Fd silent = raw();
  for (const std::size_t size : {std::size_t{1}, sizeof(Hello), std::size_t{60'000}}) {
    const tcp::Fd garbage = raw();
    const std::vector<std::byte> bytes(size, std::byte{0x5a});
    ASSERT_EQ(send(garbage.get(), bytes.data(), size, MSG_NOSIGNAL), static_cast<ssize_t>(size));
    std::byte answer{};
    EXPECT_EQ(recv(garbage.get(), &answer, 1, 0), 0) << "closed without a word";
  }
  auto peer = connect();
  ASSERT_TRUE(peer.ok()) << peer.status().message;
  EXPECT_TRUE(read_all(peer.value(), 2).first.status.ok());
  std::byte answer{};
  EXPECT_EQ(recv(silent.get(), &answer, 1, 0), 0) << "closed when its time was over";
}

/// What a stranger that has the name says in place of a seed.
TEST(LocalStranger, IsNotBelieved) {
  const std::string name = unique_name();
  const auto address = *abstract_address(name);
  const tcp::Fd listener(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  ASSERT_EQ(bind(listener.get(), reinterpret_cast<const sockaddr*>(&address.value), address.length), 0);
  ASSERT_EQ(listen(listener.get(), 8), 0);
  Reply without_token;
  Reply without_table;
  without_table.answer = token_of('a').answer;
  for (const Reply& reply : {without_token, without_table}) {
    auto result = std::async([&] { return Peer::connect({.name = name, .token = token_of('a')}).status().code; });
    const tcp::Fd accepted(accept(listener.get(), nullptr, nullptr));
    ASSERT_EQ(send(accepted.get(), &reply, sizeof(reply), MSG_NOSIGNAL), static_cast<ssize_t>(sizeof(reply)));
    EXPECT_EQ(result.get(), Code::kProtocol);
  }
  const PeerOptions hurried{.name = name, .token = token_of('a'), .timeout = std::chrono::milliseconds(50)};
  EXPECT_EQ(Peer::connect(hurried).status().code, Code::kPeerLost) << "it says nothing";
}

TEST(LocalWire, TokensAreSixtyFourDigits) {
  EXPECT_TRUE(parse_token(std::string(64, '0')).has_value());
  EXPECT_FALSE(parse_token(std::string(63, '0')).has_value());
  EXPECT_FALSE(parse_token(std::string(64, 'g')).has_value());
  EXPECT_FALSE(parse_token("").has_value());
}

TEST_F(Local, AnAcceleratorsMemoryIsNotOffered) {
  const auto region = device_region(std::make_shared<test::FakeDevice>(), 4096);
  const Status status = server_->serve({all_of(region)});
  EXPECT_EQ(status.code, Code::kInvalidArgument);
  EXPECT_NE(status.message.find("host memory"), std::string::npos) << status.message;
}

}  // namespace
}  // namespace weightcast::transport::local
