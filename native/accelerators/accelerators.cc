#include "accelerators/accelerators.h"

#include <unistd.h>

#include <array>
#include <bit>
#include <utility>

#include "cuda/inventory.h"
#include "cuda/ipc.h"
#include "cuda/region.h"
#include "hip/inventory.h"
#include "hip/region.h"

namespace weightcast::accelerators {
namespace {

using memory::DeviceKind;

/// By what these modules leave in sysfs (docs/gpu.md).
std::string peer_memory_module() {
  constexpr std::array<std::pair<const char*, const char*>, 4> kTraces{{
      {"/sys/kernel/mm/memory_peers/nv_mem/version", "nv_peer_mem"},
      {"/sys/module/nvidia_peermem/version", "nvidia_peermem"},
      {"/sys/module/nv_peer_mem/version", "nv_peer_mem"},
      {"/sys/kernel/mm/memory_peers/amdkfd/version", "amdkfd"},
  }};
  for (const auto& [path, name] : kTraces) {
    if (access(path, F_OK) == 0) return name;
  }
  return "";
}

void add(Inventory& all, DeviceKind kind, const memory::DeviceInventory& found) {
  all.drivers.push_back({.kind = kind, .path = found.path, .version = found.version, .reason = found.reason});
  for (const memory::DeviceInfo& info : found.devices) all.accelerators.push_back({.kind = kind, .info = info});
}

/// Of native/cuda or native/hip.
template <typename Found>
Result<Allocation> as_ours(const Result<Found>& found) {
  if (!found.ok()) return found.status();
  return Allocation{.base = found.value().base, .bytes = found.value().bytes, .ordinal = found.value().ordinal};
}

}  // namespace

Inventory list() {
  Inventory all;
  add(all, DeviceKind::kCuda, cuda::list());
  add(all, DeviceKind::kHip, hip::list());
  all.peer_memory = peer_memory_module();
  return all;
}

Result<memory::RegionPtr> allocate(DeviceKind kind, std::uint32_t ordinal, std::uint64_t bytes) {
  return kind == DeviceKind::kHip ? hip::allocate(ordinal, bytes) : cuda::allocate(ordinal, bytes);
}

Result<memory::RegionPtr> adopt(DeviceKind kind, std::uint64_t address, std::uint64_t bytes, bool writable) {
  return kind == DeviceKind::kHip ? hip::adopt(address, bytes, writable) : cuda::adopt(address, bytes, writable);
}

Result<Allocation> allocation(DeviceKind kind, std::uint64_t address) {
  return kind == DeviceKind::kHip ? as_ours(hip::allocation_at(address)) : as_ours(cuda::allocation_at(address));
}

Result<memory::RegionPtr> import_allocation(std::uint32_t ordinal, const AllocationHandle& handle, std::uint64_t bytes,
                                            bool writable, std::shared_ptr<const void> lease) {
  return cuda::import_allocation(ordinal, std::bit_cast<cuda::IpcMemHandle>(handle), bytes, writable, std::move(lease));
}

Result<memory::RegionPtr> import_chunks(std::uint32_t ordinal, std::span<const memory::ExportedChunk> chunks,
                                        bool writable, std::shared_ptr<const void> lease) {
  return cuda::import_chunks(ordinal, chunks, writable, std::move(lease));
}

}  // namespace weightcast::accelerators
