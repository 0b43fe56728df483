#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <thread>

#include "support/bytes.h"
#include "support/peers.h"
#include "transport/tcp/server.h"
#include "transport/tcp/wire.h"

namespace weightcast::test {

inline std::span<const std::byte> part(const memory::RegionPtr& region, std::uint64_t offset, std::uint64_t size) {
  return bytes_of(region).subspan(offset, size);
}

/// Whether `condition` comes true within seconds.
inline bool eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 1000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return false;
}

/// A server on 127.0.0.1 that offers 8 MiB of random bytes.
class ServerFixture : public testing::Test {
 protected:
  void SetUp() override { listen(2); }

  void listen(unsigned threads) {
    auto listening = transport::tcp::Server::listen("127.0.0.1", 0, threads);
    ASSERT_TRUE(listening.ok()) << listening.status().message;
    server = listening.value();
    server->serve({{region, region->address(), region->size()}});
  }

  [[nodiscard]] Stream connect(int receive_buffer = 0) const { return Stream::to(server->port(), receive_buffer); }

  [[nodiscard]] bool request(const Stream& stream, std::uint64_t offset, std::uint64_t size, bool with_status = false,
                             std::uint8_t opcode = transport::tcp::kOpcodeRead) const {
    return stream.send(transport::tcp::encode_request(
        {.size = size, .address = region->address() + offset, .opcode = opcode, .with_status = with_status}));
  }

  /// One whole answer of protocol 1 on a connection of its own: the proof that the server lives.
  [[nodiscard]] bool serves(std::uint64_t offset = 100, std::uint64_t size = 5000) const {
    const Stream stream = connect();
    return request(stream, offset, size) && std::ranges::equal(stream.receive(size), part(region, offset, size));
  }

  /// The status code of a protocol 2 answer.
  static std::optional<std::uint32_t> status_of(const Stream& stream) {
    const auto bytes = stream.receive(transport::tcp::kStatusBytes);
    if (bytes.size() < transport::tcp::kStatusBytes) return std::nullopt;
    return transport::tcp::decode_status(std::span<const std::byte, transport::tcp::kStatusBytes>(bytes));
  }

  void expect_refused(std::uint64_t offset, std::uint64_t size, std::uint8_t opcode = transport::tcp::kOpcodeRead) {
    const Stream old = connect();
    ASSERT_TRUE(request(old, offset, size, false, opcode));
    EXPECT_TRUE(old.at_end()) << offset << " " << size;
    const Stream current = connect();
    ASSERT_TRUE(request(current, offset, size, true, opcode));
    EXPECT_EQ(status_of(current), transport::tcp::kStatusRejected) << offset << " " << size;
    EXPECT_TRUE(current.at_end());
  }

  memory::RegionPtr region = random_region(8 << 20, 11);
  std::shared_ptr<transport::tcp::Server> server;
};

}  // namespace weightcast::test
