#include "verbs/gid.h"

#include <infiniband/verbs.h>

#include <algorithm>
#include <cstdio>
#include <fstream>

#include "verbs/context.h"

namespace weightcast::verbs {
namespace {

constexpr std::size_t kGidBytes = 16;
constexpr std::size_t kGidTextLength = kGidBytes * 3 - 1;
constexpr std::string_view kIpv4MappedPrefix = "00:00:00:00:00:00:00:00:00:00:ff:ff:";

int hex_digit(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);  // an entry without type or device fails with EINVAL: then the line stays empty
  return line;
}

bool is_link_local(std::string_view gid) {
  return gid.starts_with("fe:8") || gid.starts_with("fe:9") || gid.starts_with("fe:a") || gid.starts_with("fe:b");
}

/// Lower is better.
unsigned rank_of(const GidEntry& entry) {
  const unsigned version = entry.type == "IB/RoCE v1" ? 1 : 0;
  const unsigned address = entry.gid.starts_with(kIpv4MappedPrefix) ? 0 : is_link_local(entry.gid) ? 2 : 1;
  const unsigned device = entry.netdev.empty() ? 1 : 0;
  return version * 6 + address * 2 + device;
}

}  // namespace

std::string format_gid(const ibv_gid& gid) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(kGidTextLength);
  for (const std::uint8_t byte : gid.raw) {
    if (!text.empty()) text += ':';
    text += kDigits[byte >> 4U];
    text += kDigits[byte & 15U];
  }
  return text;
}

Result<ibv_gid> parse_gid(std::string_view text) {
  ibv_gid gid{};
  bool valid = text.size() == kGidTextLength;
  for (std::size_t i = 0; valid && i < kGidBytes; ++i) {
    const int high = hex_digit(text[i * 3]);
    const int low = hex_digit(text[i * 3 + 1]);
    valid = high >= 0 && low >= 0 && (i + 1 == kGidBytes || text[i * 3 + 2] == ':');
    gid.raw[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  if (valid) return gid;
  return Status::error(Code::kInvalidArgument,
                       "GID '" + std::string(text.substr(0, 64)) + "' is not 16 pairs of hex digits joined by ':'");
}

std::vector<GidEntry> read_gid_table(const Context& context, std::uint8_t port, int length) {
  const std::string base =
      "/sys/class/infiniband/" + context.device() + "/ports/" + std::to_string(port) + "/gid_attrs/";
  std::vector<GidEntry> table;
  for (int index = 0; index < std::min(length, 256); ++index) {  // modify_qp takes an index of 8 bits
    ibv_gid gid{};
    if (context.library().query_gid(context.get(), port, index, &gid) != 0) continue;
    if (std::ranges::all_of(gid.raw, [](std::uint8_t byte) { return byte == 0; })) continue;
    table.push_back({.index = static_cast<std::uint8_t>(index),
                     .gid = format_gid(gid),
                     .type = first_line(base + "types/" + std::to_string(index)),
                     .netdev = first_line(base + "ndevs/" + std::to_string(index))});
  }
  return table;
}

int choose_gid(std::span<const GidEntry> table, bool ethernet) {
  if (table.empty()) return -1;
  if (!ethernet) return table.front().index;
  return std::ranges::min_element(table, {}, rank_of)->index;  // the first of equals
}

}  // namespace weightcast::verbs
