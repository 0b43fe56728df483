#pragma once

#include <sys/un.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>

namespace weightcast::transport::local {

/// What a seed's segment descriptor says of its socket. The target shows the first half, the seed answers with the
/// second: neither takes a stranger that happens to have the name for the other.
struct Token {
  std::array<std::byte, 16> challenge{};
  std::array<std::byte, 16> answer{};
  friend bool operator==(const Token&, const Token&) = default;
};

/// 64 hex digits.
std::optional<Token> parse_token(const std::string& hex);

inline constexpr std::array<char, 8> kMagic = {'W', 'C', 'l', 'o', 'c', 'a', 'l', '1'};

enum class Verdict : std::uint32_t { kServed, kOtherUser, kWrongToken, kBusy };

// Both ends run on one host: native byte order, and one message of a SOCK_SEQPACKET socket each.

struct Hello {
  std::array<char, 8> magic = kMagic;
  std::array<std::byte, 16> challenge{};
};

/// With kServed it carries descriptors (SCM_RIGHTS): first the table of rows, a sealed memfd, then those of the rows.
struct Reply {
  std::array<char, 8> magic = kMagic;
  Verdict verdict = Verdict::kServed;
  std::uint32_t memory_is_free = 1;  ///< 0: another target holds what Yama lets one process have
  std::array<std::byte, 16> answer{};
  std::uint64_t rows = 0;
};

/// One buffer of the seed.
struct Row {
  std::uint64_t address = 0;  ///< in the seed's process
  std::uint64_t length = 0;
  std::uint64_t offset = 0;      ///< in the descriptor
  std::int32_t descriptor = -1;  ///< index behind the table's; -1: to be read from the seed's memory
  std::uint32_t reserved = 0;
};
static_assert(sizeof(Row) == 32 && std::is_trivially_copyable_v<Row>);

/// SCM_MAX_FD of Linux, less the table's.
inline constexpr std::size_t kMostDescriptors = 252;
/// More than any peer's descriptor may list; a bound for what is read of a stranger.
inline constexpr std::uint64_t kMostRows = std::uint64_t{1} << 24U;

/// An address in the abstract namespace: it belongs to a network namespace, and is gone with its socket.
struct Address {
  sockaddr_un value{};
  std::uint32_t length = 0;
};
/// None when the name is empty or too long.
std::optional<Address> abstract_address(const std::string& name);

}  // namespace weightcast::transport::local
