#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace weightcast::memory {

/// What this process may pin and what the host has. Bytes; `nullopt` stands for unlimited or unknown.
struct Limits {
  std::optional<std::uint64_t> memlock_soft;  ///< RLIMIT_MEMLOCK, soft
  std::optional<std::uint64_t> memlock_hard;
  bool ipc_lock = false;                   ///< CAP_IPC_LOCK in the effective set: RLIMIT_MEMLOCK does not apply
  std::optional<std::uint64_t> available;  ///< MemAvailable, lowered by the cgroup's limit if there is one
  std::uint64_t huge_page_size = 0;        ///< default huge page size; 0 when the kernel has none
  std::uint64_t huge_pages_free = 0;       ///< count in that pool
};
Limits read_limits();

/// The sentence that goes into every kMemlockLimit error: the limit now, what was asked, and how to raise it.
std::string memlock_advice(std::uint64_t asked_bytes);

}  // namespace weightcast::memory
