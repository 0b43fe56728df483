#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"

union ibv_gid;

namespace weightcast::verbs {

class Context;

/// An entry of a port's GID table.
struct GidEntry {
  std::uint8_t index = 0;
  std::string gid;     ///< 16 hex pairs joined by ':'
  std::string type;    ///< "RoCE v2", "IB/RoCE v1"; empty when sysfs does not say
  std::string netdev;  ///< empty when none
};

/// Mooncake's text form: 16 pairs of lower-case hex digits joined by ':'.
std::string format_gid(const ibv_gid& gid);
/// The reverse, digits of either case. kInvalidArgument on anything else.
Result<ibv_gid> parse_gid(std::string_view text);

/// The non-null entries among the first `length` of a port's table: the GIDs from the driver, types and network devices
/// from sysfs.
std::vector<GidEntry> read_gid_table(const Context& context, std::uint8_t port, int length);

/// The entry that peers can best reach, by its `index`; -1 when there is none. On Ethernet RoCE v2 before v1, then an
/// IPv4-mapped address before other routable ones before a link-local one (which may not even be the interface's), then
/// one that has a network device; the lowest index of equals. On InfiniBand the first entry.
int choose_gid(std::span<const GidEntry> table, bool ethernet);

}  // namespace weightcast::verbs
