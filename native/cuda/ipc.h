#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "common/status.h"
#include "cuda/api.h"
#include "cuda/region.h"
#include "memory/exported_chunk.h"
#include "memory/region.h"

/// Memory of a GPU that belongs to another process of this host.
namespace weightcast::cuda {

/// The whole of an allocation of another process's cuMemAlloc (`bytes`, from its base, to which handles refer),
/// mapped here until the region goes. `lease` is dropped after it was unmapped. kInvalidArgument for a handle of this
/// very process and for more bytes than the allocation has; kDeviceUnavailable, kNotFound (no such GPU), kOutOfMemory,
/// kDevice.
Result<memory::RegionPtr> import_allocation(std::uint32_t ordinal, const IpcMemHandle& handle, std::uint64_t bytes,
                                            bool writable, std::shared_ptr<const void> lease);

/// The chunks (cuMemCreate) of another process's virtual mapping, one behind the other at new addresses, until the
/// region goes. `lease` as above. kInvalidArgument without chunks or with one of no bytes; kDeviceUnavailable,
/// kNotFound, kOutOfMemory, kDevice.
Result<memory::RegionPtr> import_chunks(std::uint32_t ordinal, std::span<const memory::ExportedChunk> chunks,
                                        bool writable, std::shared_ptr<const void> lease);

/// What another process imports a region by: a handle, or chunks.
struct Exported {
  std::optional<IpcMemHandle> handle;
  std::vector<memory::ExportedChunk> chunks;
  std::uint64_t bytes;   ///< of the allocation, or of all chunks
  std::uint64_t offset;  ///< of the region's first byte in it
};

/// The region must outlive its imports. kDevice where the driver shares no such memory: made without a shareable handle
/// type (cuMemCreate), or by an allocator of its own (cudaMallocAsync).
Result<Exported> export_memory(const CudaRegion& region);

}  // namespace weightcast::cuda
