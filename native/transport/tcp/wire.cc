#include "transport/tcp/wire.h"

namespace weightcast::transport::tcp {
namespace {

constexpr std::uint8_t kVersion2Bit = 0x80;
constexpr std::uint32_t kStatusMagic = 0x4D435456;

// Shifts instead of memcpy: the wire is little endian whatever the host is.
void put_u64(std::byte* at, std::uint64_t value) {
  for (unsigned i = 0; i < 8; ++i) at[i] = static_cast<std::byte>(value >> (8 * i));
}

std::uint64_t get_u64(const std::byte* at) {
  std::uint64_t value = 0;
  for (unsigned i = 0; i < 8; ++i) value |= std::to_integer<std::uint64_t>(at[i]) << (8 * i);
  return value;
}

}  // namespace

std::array<std::byte, kRequestBytes> encode_request(const Request& request) {
  std::array<std::byte, kRequestBytes> bytes{};
  put_u64(bytes.data(), request.size);
  put_u64(bytes.data() + 8, request.address);
  bytes[16] = static_cast<std::byte>(request.opcode | (request.with_status ? kVersion2Bit : 0));
  return bytes;
}

Request decode_request(std::span<const std::byte, kRequestBytes> bytes) {
  const auto opcode = std::to_integer<std::uint8_t>(bytes[16]);
  return {.size = get_u64(bytes.data()),
          .address = get_u64(bytes.data() + 8),
          .opcode = static_cast<std::uint8_t>(opcode & ~kVersion2Bit),
          .with_status = (opcode & kVersion2Bit) != 0};
}

std::array<std::byte, kStatusBytes> encode_status(std::uint32_t code) {
  std::array<std::byte, kStatusBytes> bytes{};
  put_u64(bytes.data(), (std::uint64_t{kStatusMagic} << 32) | code);
  return bytes;
}

std::optional<std::uint32_t> decode_status(std::span<const std::byte, kStatusBytes> bytes) {
  const std::uint64_t value = get_u64(bytes.data());
  if (value >> 32 != kStatusMagic) return std::nullopt;
  return static_cast<std::uint32_t>(value);
}

}  // namespace weightcast::transport::tcp
