#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace weightcast::transport::tcp {

constexpr std::size_t kRequestBytes = 24;
constexpr std::size_t kStatusBytes = 8;

constexpr std::uint8_t kOpcodeRead = 0;
constexpr std::uint8_t kOpcodeWrite = 1;

constexpr std::uint32_t kStatusOk = 0;
constexpr std::uint32_t kStatusRejected = 1;

/// What a reader sends before each answer: u64 size, u64 address (little endian), u8 opcode, 7 bytes of padding that
/// Mooncake leaves uninitialised. Bit 0x80 of the opcode asks for protocol v2: an 8-byte status before the bytes.
struct Request {
  std::uint64_t size = 0;
  std::uint64_t address = 0;
  std::uint8_t opcode = kOpcodeRead;  ///< without the version bit
  bool with_status = false;           ///< protocol v2
};

std::array<std::byte, kRequestBytes> encode_request(const Request& request);
/// Every 24 bytes are some request; whether it makes sense is the range check's business.
Request decode_request(std::span<const std::byte, kRequestBytes> bytes);

/// A v2 status: u64 little endian, magic "MCTV" in the high half, the code in the low half.
std::array<std::byte, kStatusBytes> encode_status(std::uint32_t code);
/// The code; nothing when the magic is wrong, which means that the peer speaks v1 and sent tensor bytes.
std::optional<std::uint32_t> decode_status(std::span<const std::byte, kStatusBytes> bytes);

}  // namespace weightcast::transport::tcp
