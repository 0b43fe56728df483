#include "memory/limits.h"

#include <linux/capability.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "memory/cgroup.h"

namespace weightcast::memory {
namespace {

std::optional<std::uint64_t> finite(rlim_t value) {
  if (value == RLIM_INFINITY) return std::nullopt;
  return value;
}

std::string read_text(const char* path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

/// The kernel asks for the capability in the first user namespace; root of a rootless container has it in its own only.
bool in_first_user_namespace() {
  std::ifstream file("/proc/self/uid_map");
  std::uint64_t inside = 0;
  std::uint64_t outside = 0;
  std::uint64_t count = 0;
  if (!(file >> inside >> outside >> count)) return true;
  return inside == 0 && outside == 0 && count == UINT32_MAX;
}

bool has_ipc_lock() {
  std::ifstream file("/proc/thread-self/status");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("CapEff:")) continue;
    const std::uint64_t effective = std::strtoull(line.c_str() + 7, nullptr, 16);
    return (effective >> unsigned{CAP_IPC_LOCK} & 1U) != 0 && in_first_user_namespace();
  }
  return false;
}

struct MemoryInfo {
  std::optional<std::uint64_t> available;
  std::uint64_t huge_page_size = 0, huge_free = 0, huge_reserved = 0;
};

MemoryInfo read_meminfo() {
  MemoryInfo info;
  std::ifstream file("/proc/meminfo");
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    std::string key;
    std::uint64_t value = 0;
    if (!(fields >> key >> value)) continue;
    if (key == "MemAvailable:") info.available = value * 1024;
    if (key == "Hugepagesize:") info.huge_page_size = value * 1024;
    if (key == "HugePages_Free:") info.huge_free = value;
    if (key == "HugePages_Rsvd:") info.huge_reserved = value;
  }
  return info;
}

std::string describe(const std::optional<std::uint64_t>& limit) {
  return limit ? std::to_string(*limit) + " bytes" : "unlimited";
}

}  // namespace

Limits read_limits() {
  Limits limits;
  rlimit memlock{};
  if (getrlimit(RLIMIT_MEMLOCK, &memlock) == 0) {
    limits.memlock_soft = finite(memlock.rlim_cur);
    limits.memlock_hard = finite(memlock.rlim_max);
  }
  limits.ipc_lock = has_ipc_lock();
  const MemoryInfo info = read_meminfo();
  limits.available = info.available;
  if (const auto group = cgroup_available(read_text("/proc/self/cgroup"), "/sys/fs/cgroup")) {
    limits.available = std::min(limits.available.value_or(UINT64_MAX), *group);
  }
  limits.huge_page_size = info.huge_page_size;
  // Free pages that another mapping has reserved are not to be had.
  limits.huge_pages_free = info.huge_free - std::min(info.huge_free, info.huge_reserved);
  return limits;
}

std::string memlock_advice(std::uint64_t asked_bytes) {
  const Limits limits = read_limits();
  return "pinning " + std::to_string(asked_bytes) + " bytes needs a larger RLIMIT_MEMLOCK: it is " +
         describe(limits.memlock_soft) + " (hard limit " + describe(limits.memlock_hard) +
         ") for all that this process pins, and CAP_IPC_LOCK is " + (limits.ipc_lock ? "held" : "not held") +
         "; run `ulimit -l unlimited` before starting, or set LimitMEMLOCK=infinity (systemd), --ulimit memlock=-1 "
         "(docker), a memlock line in /etc/security/limits.conf, or grant CAP_IPC_LOCK";
}

}  // namespace weightcast::memory
