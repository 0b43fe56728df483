#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/status.h"
#include "memory/device.h"
#include "memory/device_inventory.h"
#include "memory/exported_chunk.h"
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

/// What another process names an allocation of its own by, opaque: cudaIpcMemHandle_t.
using AllocationHandle = std::array<std::byte, 64>;

/// An allocation of another process on a CUDA GPU (other accelerators' engines lend nothing), mapped here until the
/// region goes. `bytes`: all of it. `lease` is dropped after it was unmapped. kInvalidArgument for a handle of this
/// very process and for more bytes than the allocation has; kDeviceUnavailable, kNotFound (no such ordinal),
/// kOutOfMemory, kDevice.
Result<memory::RegionPtr> import_allocation(std::uint32_t ordinal, const AllocationHandle& handle, std::uint64_t bytes,
                                            bool writable, std::shared_ptr<const void> lease);

/// The chunks of another process's virtual mapping on a CUDA GPU, one behind the other at new addresses, until the
/// region goes. `lease` as above. kInvalidArgument without chunks or with one of no bytes; kDeviceUnavailable,
/// kNotFound, kOutOfMemory, kDevice.
Result<memory::RegionPtr> import_chunks(std::uint32_t ordinal, std::span<const memory::ExportedChunk> chunks,
                                        bool writable, std::shared_ptr<const void> lease);

}  // namespace weightcast::accelerators
