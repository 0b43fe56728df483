#include "accelerators/accelerators.h"

#include <unistd.h>

#include <array>
#include <utility>

#include "cuda/inventory.h"
#include "cuda/region.h"

namespace weightcast::accelerators {
namespace {

using memory::DeviceKind;

constexpr const char* kNoHip = "this version does not know AMD's accelerators";

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

Status without(DeviceKind kind) {
  return Status::error(Code::kDeviceUnavailable,
                       std::string("there is no ") + memory::device_kind_name(kind) + " device: " + kNoHip);
}

}  // namespace

Inventory list() {
  Inventory all;
  const cuda::Inventory nvidia = cuda::list();
  all.drivers.push_back(
      {.kind = DeviceKind::kCuda, .path = nvidia.path, .version = nvidia.version, .reason = nvidia.reason});
  for (const cuda::Gpu& gpu : nvidia.gpus) {
    all.accelerators.push_back({.kind = DeviceKind::kCuda,
                                .ordinal = gpu.ordinal,
                                .name = gpu.name,
                                .pci_address = gpu.pci_address,
                                .numa_node = gpu.numa_node,
                                .bytes = gpu.bytes,
                                .dmabuf = gpu.dmabuf,
                                .dmabuf_reason = gpu.dmabuf_reason});
  }
  all.drivers.push_back({.kind = DeviceKind::kHip, .path = "", .version = "", .reason = kNoHip});
  all.peer_memory = peer_memory_module();
  return all;
}

Result<memory::RegionPtr> allocate(DeviceKind kind, std::uint32_t ordinal, std::uint64_t bytes) {
  return kind == DeviceKind::kCuda ? cuda::allocate(ordinal, bytes) : Result<memory::RegionPtr>(without(kind));
}

Result<memory::RegionPtr> adopt(DeviceKind kind, std::uint64_t address, std::uint64_t bytes, bool writable) {
  return kind == DeviceKind::kCuda ? cuda::adopt(address, bytes, writable) : Result<memory::RegionPtr>(without(kind));
}

Result<Allocation> allocation(DeviceKind kind, std::uint64_t address) {
  if (kind != DeviceKind::kCuda) return without(kind);
  auto found = cuda::allocation_at(address);
  if (!found.ok()) return found.status();
  return Allocation{.base = found.value().base, .bytes = found.value().bytes, .ordinal = found.value().ordinal};
}

}  // namespace weightcast::accelerators
