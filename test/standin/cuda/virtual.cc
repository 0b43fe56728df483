// Virtual mappings: addresses reserved apart from the memory that is mapped there, chunk by chunk; what PyTorch's
// expandable segments use.
#include <fcntl.h>
#include <sys/stat.h>

#include <map>
#include <string>

#include "context.h"
#include "ledger.h"
#include "memory.h"

namespace cuda = weightcast::cuda;
using cuda::AllocationHandle;
using cuda::Code;
using cuda::DevicePointer;
using standin::AddressSpace;
using standin::kBlock;
using standin::Kind;
using standin::Ledger;
using standin::Physical;
using standin::Range;

namespace {

/// Guarded by the ledger's lock, as all here.
struct Handle {
  std::shared_ptr<Physical> physical;
  int device = 0;
  int references = 1;
};
std::map<AllocationHandle, Handle> handles;
std::map<DevicePointer, std::size_t> reservations;
AllocationHandle last_handle = 0;

AllocationHandle add_handle(std::shared_ptr<Physical> physical, int device) {
  handles[++last_handle] = Handle{.physical = std::move(physical), .device = device};
  ++Ledger::get().alive["allocation handles"];
  return last_handle;
}

bool is_reserved(DevicePointer address, std::size_t bytes) {
  auto after = reservations.upper_bound(address);
  if (after == reservations.begin()) return false;
  const auto& [start, length] = *std::prev(after);
  return address >= start && bytes <= start + length - address;
}

Code wrong(const std::string& what) { return Ledger::get().fault(Code::kInvalidValue, what); }

}  // namespace

extern "C" {

Code cuMemGetAllocationGranularity(std::size_t* bytes, const cuda::AllocationProperties* properties,
                                   cuda::Granularity /*which*/) {
  STANDIN_ENTER("cuMemGetAllocationGranularity");
  if (properties->location.type != cuda::LocationType::kDevice) return Code::kInvalidValue;
  *bytes = kBlock;
  return Code::kSuccess;
}

Code cuMemCreate(AllocationHandle* handle, std::size_t bytes, const cuda::AllocationProperties* properties,
                 std::uint64_t flags) {
  STANDIN_ENTER("cuMemCreate");
  if (bytes == 0 || bytes % kBlock != 0 || flags != 0)
    return wrong("cuMemCreate of " + std::to_string(bytes) + " bytes");
  auto physical = Physical::make(bytes);
  if (physical == nullptr) return Code::kOutOfMemory;
  *handle = add_handle(std::move(physical), properties->location.id);
  return Code::kSuccess;
}

Code cuMemRelease(AllocationHandle handle) {
  STANDIN_ENTER("cuMemRelease");
  const auto found = handles.find(handle);
  if (found == handles.end()) return wrong("an allocation handle was released that is none");
  if (--found->second.references > 0) return Code::kSuccess;
  handles.erase(found);
  --Ledger::get().alive["allocation handles"];
  return Code::kSuccess;
}

Code cuMemAddressReserve(DevicePointer* address, std::size_t bytes, std::size_t /*alignment*/, DevicePointer /*wanted*/,
                         std::uint64_t flags) {
  STANDIN_ENTER("cuMemAddressReserve");
  if (bytes == 0 || bytes % kBlock != 0 || flags != 0)
    return wrong("cuMemAddressReserve of " + std::to_string(bytes) + " bytes");
  *address = AddressSpace::get().reserve(bytes);
  reservations[*address] = bytes;
  ++Ledger::get().alive["reservations"];
  return Code::kSuccess;
}

Code cuMemAddressFree(DevicePointer address, std::size_t bytes) {
  STANDIN_ENTER("cuMemAddressFree");
  const auto found = reservations.find(address);
  if (found == reservations.end() || found->second != bytes) return wrong("a reservation was given back that is none");
  for (DevicePointer at = address; at < address + bytes; at += kBlock) {
    if (AddressSpace::get().find(at) != nullptr) return wrong("a reservation was given back that is mapped still");
  }
  reservations.erase(found);
  AddressSpace::get().give_back(address, bytes);
  --Ledger::get().alive["reservations"];
  return Code::kSuccess;
}

Code cuMemMap(DevicePointer address, std::size_t bytes, std::size_t offset, AllocationHandle handle,
              std::uint64_t flags) {
  STANDIN_ENTER("cuMemMap");
  const auto found = handles.find(handle);
  if (found == handles.end() || flags != 0 || offset != 0)
    return wrong("cuMemMap of a handle that is none, or at an offset");
  if (bytes != found->second.physical->bytes() || !is_reserved(address, bytes))
    return wrong("cuMemMap of other bytes than the handle's");
  if (AddressSpace::get().find(address) != nullptr) return wrong("cuMemMap of an address that is mapped already");
  Range range{.base = address, .bytes = bytes, .kind = Kind::kVirtual, .device = found->second.device};
  range.physical = found->second.physical;
  range.accessible = false;
  AddressSpace::get().add(std::move(range));
  ++Ledger::get().alive["mapped chunks"];
  return Code::kSuccess;
}

Code cuMemUnmap(DevicePointer address, std::size_t bytes) {
  STANDIN_ENTER("cuMemUnmap");
  AddressSpace& space = AddressSpace::get();
  for (DevicePointer at = address; at < address + bytes;) {
    const Range* range = space.find(at);
    if (range == nullptr || range->kind != Kind::kVirtual || range->base != at)
      return wrong("cuMemUnmap of what is not mapped");
    if (range->registrations > 0)
      (void)Ledger::get().fault(Code::kSuccess, "memory was unmapped that a NIC has registered");
    at += range->bytes;
    space.remove(range->base);
    --Ledger::get().alive["mapped chunks"];
  }
  return Code::kSuccess;
}

Code cuMemSetAccess(DevicePointer address, std::size_t bytes, const cuda::AccessDescription* access,
                    std::size_t count) {
  STANDIN_ENTER("cuMemSetAccess");
  if (count == 0) return wrong("cuMemSetAccess for nobody");
  for (DevicePointer at = address; at < address + bytes;) {
    Range* range = AddressSpace::get().find(at);
    if (range == nullptr || range->kind != Kind::kVirtual) return wrong("cuMemSetAccess of what is not mapped");
    range->accessible = access[0].flags != cuda::AccessFlags::kNone;
    at = range->base + range->bytes;
  }
  return Code::kSuccess;
}

Code cuMemRetainAllocationHandle(AllocationHandle* handle, void* address) {
  STANDIN_ENTER("cuMemRetainAllocationHandle");
  const Range* range = AddressSpace::get().find(reinterpret_cast<DevicePointer>(address));
  if (range == nullptr || range->kind != Kind::kVirtual) return Code::kInvalidValue;
  for (auto& [number, each] : handles) {
    if (each.physical != range->physical) continue;
    ++each.references;
    *handle = number;
    return Code::kSuccess;
  }
  *handle = add_handle(range->physical, range->device);
  return Code::kSuccess;
}

Code cuMemExportToShareableHandle(void* shareable, AllocationHandle handle, cuda::ShareableHandleType type,
                                  std::uint64_t flags) {
  STANDIN_ENTER("cuMemExportToShareableHandle");
  const auto found = handles.find(handle);
  if (found == handles.end() || flags != 0) return wrong("an allocation handle was exported that is none");
  if (type != cuda::ShareableHandleType::kPosixFileDescriptor) return Code::kNotSupported;
  const int descriptor = fcntl(found->second.physical->descriptor(), F_DUPFD_CLOEXEC, 0);
  if (descriptor < 0) return Code::kUnknown;
  standin::note_export(descriptor);
  *static_cast<int*>(shareable) = descriptor;
  return Code::kSuccess;
}

Code cuMemImportFromShareableHandle(AllocationHandle* handle, void* shareable, cuda::ShareableHandleType type) {
  STANDIN_ENTER("cuMemImportFromShareableHandle");
  STANDIN_NEED_CONTEXT(device);
  if (type != cuda::ShareableHandleType::kPosixFileDescriptor) return Code::kNotSupported;
  const int given = static_cast<int>(reinterpret_cast<std::intptr_t>(shareable));
  struct stat status{};
  if (fstat(given, &status) != 0 || status.st_size == 0) return Code::kInvalidValue;
  auto physical = Physical::adopt(fcntl(given, F_DUPFD_CLOEXEC, 0), static_cast<std::size_t>(status.st_size));
  if (physical == nullptr) return Code::kInvalidValue;
  *handle = add_handle(std::move(physical), device);
  return Code::kSuccess;
}
}
