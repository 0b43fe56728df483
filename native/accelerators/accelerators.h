#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/status.h"
#include "memory/device.h"
#include "memory/device_inventory.h"
#include "memory/region.h"

/// The accelerators of this machine, whoever made them: what `binding` knows of native/cuda and native/hip.
namespace weightcast::accelerators {

struct Accelerator {
  memory::DeviceKind kind;
  memory::DeviceInfo info;
};

struct Driver {
  memory::DeviceKind kind;
  std::string path;     ///< empty: not loaded
  std::string version;  ///< empty: not loaded
  std::string reason;   ///< why it has no device; empty: it has
};

struct Inventory {
  std::vector<Accelerator> accelerators;
  std::vector<Driver> drivers;
  std::string peer_memory;  ///< the kernel's module, for example "nvidia_peermem"; empty: none is loaded
};

/// Never fails: what is missing is said in `drivers`.
Inventory list();

/// New memory, freed with the region. kDeviceUnavailable, kNotFound (no such ordinal), kOutOfMemory, kDevice.
Result<memory::RegionPtr> allocate(memory::DeviceKind kind, std::uint32_t ordinal, std::uint64_t bytes);

/// Memory that somebody else in this process owns and keeps. kDeviceUnavailable, kInvalidArgument (not device memory,
/// managed memory, a range that leaves its allocation), kDevice.
Result<memory::RegionPtr> adopt(memory::DeviceKind kind, std::uint64_t address, std::uint64_t bytes, bool writable);

/// What may be registered as one.
struct Allocation {
  std::uint64_t base;
  std::uint64_t bytes;
  std::uint32_t ordinal;
};

/// The allocation that an address lies in. As `adopt`.
Result<Allocation> allocation(memory::DeviceKind kind, std::uint64_t address);

}  // namespace weightcast::accelerators
