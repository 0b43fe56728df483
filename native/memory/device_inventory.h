#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace weightcast::memory {

/// One accelerator, for people and for choosing NICs.
struct DeviceInfo {
  std::uint32_t ordinal = 0;
  std::string name{};
  std::string pci_address{};    ///< "0000:17:00.0"
  int numa_node = -1;           ///< -1: unknown
  std::uint64_t bytes = 0;      ///< all of its memory
  bool dmabuf = false;          ///< whether its driver exports dma-bufs
  std::string dmabuf_reason{};  ///< why not
};

/// What one kind of driver finds.
struct DeviceInventory {
  std::string path{};     ///< of the driver's library; empty: not loaded
  std::string version{};  ///< of what it speaks: "12.8" of CUDA, "6.2" of ROCm
  std::string reason{};   ///< why there are no devices
  std::vector<DeviceInfo> devices{};
};

/// Of a device on PCI, by sysfs; -1: unknown.
int numa_node_of(const std::string& pci_address);

}  // namespace weightcast::memory
