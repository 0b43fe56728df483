#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "common/status.h"
#include "topology/numbers.h"

namespace weightcast::topology {

/// What is asked of the kernel about where this process may run and have memory; a seam for tests, since a container
/// may refuse each of these calls.
class Kernel {
 public:
  Kernel() = default;
  Kernel(const Kernel&) = delete;
  Kernel& operator=(const Kernel&) = delete;
  virtual ~Kernel() = default;

  /// Processors that the process's first thread may run on: what its user and its cpuset leave it.
  virtual Result<Numbers> allowed_processors() = 0;
  /// Nodes whose memory the cpuset lets the process have; `nullopt` when the kernel does not say.
  virtual std::optional<Numbers> allowed_nodes() = 0;
  /// Whether its user gave it a memory policy (`numactl --membind`, set_mempolicy); false also when it may not ask.
  virtual bool has_memory_policy() = 0;
  /// Pages of [base, base + length) that are not there yet come from `node`, or from another one when it has none left.
  virtual Status prefer(std::byte* base, std::uint64_t length, int node) = 0;
  /// Keeps the calling thread on these processors.
  virtual Status run_on(const Numbers& processors) = 0;
};

/// The machine's own.
Kernel& system_kernel();

}  // namespace weightcast::topology
