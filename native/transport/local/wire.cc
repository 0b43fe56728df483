#include "transport/local/wire.h"

#include <sys/socket.h>

#include <algorithm>
#include <charconv>

namespace weightcast::transport::local {

std::optional<Token> parse_token(const std::string& hex) {
  std::array<std::byte, 32> bytes{};
  if (hex.size() != 2 * bytes.size()) return std::nullopt;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    unsigned value = 0;
    const char* digits = hex.data() + 2 * i;
    const auto [end, error] = std::from_chars(digits, digits + 2, value, 16);
    if (error != std::errc{} || end != digits + 2) return std::nullopt;
    bytes[i] = static_cast<std::byte>(value);
  }
  Token token;
  std::copy_n(bytes.begin(), 16, token.challenge.begin());
  std::copy_n(bytes.begin() + 16, 16, token.answer.begin());
  return token;
}

std::optional<Address> abstract_address(const std::string& name) {
  Address address;
  address.value.sun_family = AF_UNIX;
  if (name.empty() || name.size() >= sizeof(address.value.sun_path)) return std::nullopt;
  std::copy(name.begin(), name.end(), address.value.sun_path + 1);
  address.length = static_cast<std::uint32_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  return address;
}

}  // namespace weightcast::transport::local
