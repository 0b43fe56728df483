#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace weightcast::hip {

/// One GPU, for people and for choosing NICs.
struct Gpu {
  std::uint32_t ordinal = 0;
  std::string name{};
  std::string pci_address{};  ///< "0000:17:00.0"
  int numa_node = -1;         ///< -1: unknown
  std::uint64_t bytes = 0;
  bool dmabuf = false;
  std::string dmabuf_reason{};  ///< why not
};

struct Inventory {
  std::string path;     ///< of the driver's library; empty: not loaded
  std::string version;  ///< "6.2", of ROCm
  std::string reason;   ///< why there are no GPUs
  std::vector<Gpu> gpus;
};

/// Never fails.
Inventory list();

}  // namespace weightcast::hip
