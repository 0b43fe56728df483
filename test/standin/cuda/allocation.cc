// cuMemAlloc and what the driver says of pointers.
#include <sys/mman.h>

#include <map>
#include <string>

#include "context.h"
#include "ledger.h"
#include "memory.h"
#include "standin.h"

namespace cuda = weightcast::cuda;
using cuda::Code;
using cuda::DevicePointer;
using standin::AddressSpace;
using standin::kBlock;
using standin::Kind;
using standin::Ledger;
using standin::Range;

namespace {

constexpr std::size_t kAlignment = 512;  // of small allocations, which share blocks
constexpr std::size_t kLargest = std::size_t{16} << 30U;

/// A block of 2 MiB that small allocations are cut from.
struct Shared {
  DevicePointer base = 0;
  int device = 0;
  std::shared_ptr<standin::Physical> physical;
  std::size_t used = 0;
  int alive = 0;
};
std::map<DevicePointer, Shared> shared_blocks;  // guarded by the ledger's lock, as what follows
std::map<std::uintptr_t, std::size_t> pinned;

std::size_t rounded(std::size_t bytes, std::size_t unit) { return (bytes + unit - 1) & ~(unit - 1); }

Range* place_small(std::size_t bytes, int device, Kind kind) {
  AddressSpace& space = AddressSpace::get();
  Shared* block = nullptr;
  for (auto& [base, each] : shared_blocks) {
    if (each.device == device && each.used + rounded(bytes, kAlignment) <= kBlock) block = &each;
  }
  if (block == nullptr) {
    auto physical = standin::Physical::make(kBlock);
    if (physical == nullptr) return nullptr;
    const DevicePointer base = space.reserve(kBlock);
    block = &(shared_blocks[base] = Shared{.base = base, .device = device, .physical = std::move(physical)});
  }
  Range range{.base = block->base + block->used, .bytes = bytes, .kind = kind, .device = device};
  range.physical = block->physical;
  range.offset = block->used;
  block->used += rounded(bytes, kAlignment);
  ++block->alive;
  return &space.add(std::move(range));
}

Range* place_large(std::size_t bytes, int device, Kind kind) {
  AddressSpace& space = AddressSpace::get();
  Range range{.bytes = bytes, .kind = kind, .device = device};
  range.physical = standin::Physical::make(rounded(bytes, kBlock));
  if (range.physical == nullptr) return nullptr;
  range.base = space.reserve(range.physical->bytes());
  return &space.add(std::move(range));
}

Range* place(std::size_t bytes, int device, Kind kind) {
  Range* made = bytes <= kBlock / 2 ? place_small(bytes, device, kind) : place_large(bytes, device, kind);
  if (made != nullptr) ++Ledger::get().alive["allocations"];
  return made;
}

void remove(const Range& range) {
  AddressSpace& space = AddressSpace::get();
  const DevicePointer base = range.base;
  const DevicePointer block = base - range.offset;
  const std::size_t bytes = range.physical->bytes();
  const auto shared = shared_blocks.find(block);
  space.remove(base);
  if (shared == shared_blocks.end()) return space.give_back(block, bytes);
  if (--shared->second.alive > 0) return;
  shared_blocks.erase(shared);
  space.give_back(block, bytes);
}

}  // namespace

extern "C" {

Code cuMemAlloc_v2(DevicePointer* pointer, std::size_t bytes) {
  STANDIN_ENTER("cuMemAlloc");
  STANDIN_NEED_CONTEXT(device);
  if (bytes == 0) return Code::kInvalidValue;
  if (bytes > kLargest) return Code::kOutOfMemory;
  const Range* made = place(bytes, device, Kind::kAllocation);
  if (made == nullptr) return Code::kOutOfMemory;
  *pointer = made->base;
  return Code::kSuccess;
}

Code cuMemFree_v2(DevicePointer pointer) {
  STANDIN_ENTER("cuMemFree");
  STANDIN_NEED_CONTEXT(device);
  (void)device;
  const Range* range = AddressSpace::get().find(pointer);
  if (range == nullptr || range->base != pointer || (range->kind != Kind::kAllocation && range->kind != Kind::kManaged))
    return Ledger::get().fault(Code::kInvalidValue,
                               "cuMemFree of " + standin::hex(pointer) + ", which is no allocation");
  if (range->registrations > 0) (void)Ledger::get().fault(Code::kSuccess, "memory was freed that a NIC has registered");
  remove(*range);
  --Ledger::get().alive["allocations"];
  return Code::kSuccess;
}

Code cuMemGetAddressRange_v2(DevicePointer* base, std::size_t* bytes, DevicePointer pointer) {
  STANDIN_ENTER("cuMemGetAddressRange");
  STANDIN_NEED_CONTEXT(device);
  (void)device;
  const Range* range = AddressSpace::get().find(pointer);
  if (range == nullptr) return Code::kNotFound;
  *base = range->base;
  *bytes = range->bytes;
  return Code::kSuccess;
}

Code cuMemHostRegister_v2(void* host, std::size_t bytes, unsigned /*flags*/) {
  STANDIN_ENTER("cuMemHostRegister");
  STANDIN_NEED_CONTEXT(device);
  (void)device;
  const auto address = reinterpret_cast<std::uintptr_t>(host);
  for (const auto& [start, length] : pinned) {
    if (address < start + length && start < address + bytes) return Code::kHostMemoryAlreadyRegistered;
  }
  pinned[address] = bytes;
  ++Ledger::get().alive["pinned ranges"];
  return Code::kSuccess;
}

Code cuMemHostUnregister(void* host) {
  STANDIN_ENTER("cuMemHostUnregister");
  STANDIN_NEED_CONTEXT(device);
  (void)device;
  if (pinned.erase(reinterpret_cast<std::uintptr_t>(host)) == 0)
    return Ledger::get().fault(Code::kHostMemoryNotRegistered, "host memory was unpinned that is not pinned");
  --Ledger::get().alive["pinned ranges"];
  return Code::kSuccess;
}

Code cuPointerGetAttribute(void* value, cuda::PointerAttribute attribute, DevicePointer pointer) {
  STANDIN_ENTER("cuPointerGetAttribute");
  const Range* range = AddressSpace::get().find(pointer);
  if (range == nullptr) return Code::kInvalidValue;
  using Attribute = cuda::PointerAttribute;
  switch (attribute) {
    case Attribute::kMemoryType:
      *static_cast<cuda::MemoryType*>(value) = cuda::MemoryType::kDevice;
      return Code::kSuccess;
    case Attribute::kBufferId:
      *static_cast<std::uint64_t*>(value) = range->buffer_id;
      return Code::kSuccess;
    case Attribute::kIsManaged:
      *static_cast<bool*>(value) = range->kind == Kind::kManaged;
      return Code::kSuccess;
    case Attribute::kDeviceOrdinal:
      *static_cast<int*>(value) = range->device;
      return Code::kSuccess;
    case Attribute::kIsLegacyCudaIpcCapable:
      *static_cast<bool*>(value) = range->kind == Kind::kAllocation && Ledger::get().mode("legacy_ipc") != 0;
      return Code::kSuccess;
    default:
      return Code::kInvalidValue;
  }
}

Code cuPointerSetAttribute(const void* value, cuda::PointerAttribute attribute, DevicePointer pointer) {
  STANDIN_ENTER("cuPointerSetAttribute");
  STANDIN_NEED_CONTEXT(device);
  (void)device;
  Range* range = AddressSpace::get().find(pointer);
  if (range == nullptr || attribute != cuda::PointerAttribute::kSyncMemops) return Code::kInvalidValue;
  if (range->kind == Kind::kVirtual) return Code::kNotSupported;
  range->synchronous = *static_cast<const unsigned*>(value) != 0;
  return Code::kSuccess;
}

std::uint64_t standin_managed(std::size_t bytes) {
  const std::lock_guard lock(Ledger::get().mutex);
  const Range* made = place(bytes, 0, Kind::kManaged);
  return made == nullptr ? 0 : made->base;
}

int standin_is_synchronous(std::uint64_t address) {
  const std::lock_guard lock(Ledger::get().mutex);
  const Range* range = AddressSpace::get().find(address);
  return range != nullptr && range->synchronous ? 1 : 0;
}

int standin_kind_of(std::uint64_t address) {
  const std::lock_guard lock(Ledger::get().mutex);
  const Range* range = AddressSpace::get().find(address);
  return range == nullptr ? 0 : static_cast<int>(range->kind);
}

void* standin_map_range(std::uint64_t address, std::size_t bytes) {
  const std::lock_guard lock(Ledger::get().mutex);
  const std::uint64_t first = address & ~std::uint64_t{4095};
  const std::size_t skip = address - first;
  void* mapped = standin::map_pieces(AddressSpace::get().block_pieces(first, rounded(skip + bytes, 4096)));
  return mapped;
}
}
