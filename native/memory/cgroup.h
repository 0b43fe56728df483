#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace weightcast::memory {

/// Bytes that this process's memory cgroup, and all above it, still allow: limit - usage + reclaimable file cache, the
/// least of them. `nullopt` when none sets a limit or none can be read. Knows versions 1 and 2.
///
/// @param membership the text of /proc/self/cgroup
/// @param mount where cgroups are mounted, /sys/fs/cgroup. In a container the group's path may be the host's and not be
///   there; the mount's root is then the container's own group.
std::optional<std::uint64_t> cgroup_available(std::string_view membership, const std::string& mount);

}  // namespace weightcast::memory
