#include "memory/cgroup.h"

#include <algorithm>
#include <fstream>

namespace weightcast::memory {
namespace {

/// Version 1 writes its largest multiple of a page for "no limit".
constexpr std::uint64_t kUnlimited = std::uint64_t{1} << 62U;

struct Files {
  std::string_view limit, usage;
  std::string_view inactive_key, active_key;  ///< of memory.stat: file cache, which the kernel gives back when pressed
};
constexpr Files kVersion2{"memory.max", "memory.current", "inactive_file", "active_file"};
constexpr Files kVersion1{"memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file", "total_active_file"};

std::optional<std::uint64_t> read_number(const std::string& path) {
  std::ifstream file(path);
  std::uint64_t value = 0;
  if (file >> value) return value;
  return std::nullopt;  // not there, or "max"
}

std::uint64_t read_reclaimable(const std::string& path, const Files& files) {
  std::ifstream file(path);
  std::string key;
  std::uint64_t value = 0;
  std::uint64_t sum = 0;
  while (file >> key >> value) {
    if (key == files.inactive_key || key == files.active_key) sum += value;
  }
  return sum;
}

std::optional<std::uint64_t> group_available(const std::string& group, const Files& files) {
  const auto limit = read_number(group + "/" + std::string(files.limit));
  const auto usage = read_number(group + "/" + std::string(files.usage));
  if (!limit || !usage || *limit >= kUnlimited) return std::nullopt;
  const std::uint64_t reclaimable = std::min(*usage, read_reclaimable(group + "/memory.stat", files));
  const std::uint64_t used = *usage - reclaimable;
  return *limit > used ? *limit - used : 0;
}

/// The least of what `path` and every group above it allow, the mount's root included.
std::optional<std::uint64_t> least_available(const std::string& mount, std::string path, const Files& files) {
  std::optional<std::uint64_t> least;
  while (true) {
    if (path == "/") path.clear();
    const auto available = group_available(mount + path, files);
    if (available) least = std::min(least.value_or(UINT64_MAX), *available);
    if (path.empty()) return least;
    path.erase(path.rfind('/'));
  }
}

}  // namespace

std::optional<std::uint64_t> cgroup_available(std::string_view membership, const std::string& mount) {
  std::optional<std::uint64_t> least;
  while (!membership.empty()) {
    const std::size_t end = std::min(membership.find('\n'), membership.size());
    const std::string_view line = membership.substr(0, end);
    membership.remove_prefix(std::min(end + 1, membership.size()));
    // hierarchy-ID:controllers:path
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos || line.substr(second + 1, 1) != "/") continue;
    const std::string controllers = "," + std::string(line.substr(first + 1, second - first - 1)) + ",";
    const std::string path(line.substr(second + 1));
    std::optional<std::uint64_t> available;
    if (controllers == ",,") available = least_available(mount, path, kVersion2);
    if (controllers.find(",memory,") != std::string::npos)
      available = least_available(mount + "/memory", path, kVersion1);
    if (available) least = std::min(least.value_or(UINT64_MAX), *available);
  }
  return least;
}

}  // namespace weightcast::memory
