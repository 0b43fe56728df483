#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "transport/tcp/wire.h"

namespace weightcast::transport::tcp {
namespace {

std::vector<std::byte> hex(const char* text) {
  std::vector<std::byte> bytes;
  unsigned value = 0;
  int used = 0;
  while (std::sscanf(text, "%2x%n", &value, &used) == 1) {
    bytes.push_back(static_cast<std::byte>(value));
    text += used;
  }
  return bytes;
}

TEST(Wire, EncodesARequestOfProtocol1) {
  const auto bytes = encode_request({.size = 4096, .address = 0x7f1234567000});
  EXPECT_TRUE(
      std::ranges::equal(bytes, hex("00 10 00 00 00 00 00 00 00 70 56 34 12 7f 00 00 00 00 00 00 00 00 00 00")));
}

TEST(Wire, EncodesARequestOfProtocol2) {
  const auto bytes = encode_request({.size = 4096, .address = 0x7f1234567000, .with_status = true});
  EXPECT_TRUE(
      std::ranges::equal(bytes, hex("00 10 00 00 00 00 00 00 00 70 56 34 12 7f 00 00 80 00 00 00 00 00 00 00")));
}

TEST(Wire, DecodesWhateverThePaddingHolds) {
  const auto bytes = hex("00 10 00 00 00 00 00 00 00 70 56 34 12 7f 00 00 81 de ad be ef 01 02 03");
  const Request request = decode_request(std::span<const std::byte, kRequestBytes>(bytes));
  EXPECT_EQ(request.size, 4096U);
  EXPECT_EQ(request.address, 0x7f1234567000U);
  EXPECT_EQ(request.opcode, kOpcodeWrite);
  EXPECT_TRUE(request.with_status);
}

TEST(Wire, RoundTripsTheLargestValues) {
  const auto bytes = encode_request({.size = ~0ULL, .address = ~0ULL - 1, .opcode = 0x7f, .with_status = true});
  const Request request = decode_request(bytes);
  EXPECT_EQ(request.size, ~0ULL);
  EXPECT_EQ(request.address, ~0ULL - 1);
  EXPECT_EQ(request.opcode, 0x7f);
  EXPECT_TRUE(request.with_status);
}

TEST(Wire, StatusesAreTheirGoldenBytes) {
  EXPECT_TRUE(std::ranges::equal(encode_status(kStatusOk), hex("00 00 00 00 56 54 43 4d")));
  EXPECT_TRUE(std::ranges::equal(encode_status(kStatusRejected), hex("01 00 00 00 56 54 43 4d")));
  EXPECT_EQ(decode_status(encode_status(kStatusRejected)), kStatusRejected);
  EXPECT_EQ(decode_status(encode_status(77)), 77U);
}

TEST(Wire, TensorBytesAreNoStatus) {
  const auto bytes = hex("00 00 00 00 56 54 43 4e");
  EXPECT_FALSE(decode_status(std::span<const std::byte, kStatusBytes>(bytes)).has_value());
}

}  // namespace
}  // namespace weightcast::transport::tcp
