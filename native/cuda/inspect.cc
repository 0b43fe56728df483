// What the driver says of an address, before it becomes a region.
#include <cinttypes>
#include <cstdio>
#include <optional>
#include <string>
#include <utility>

#include "cuda/region.h"

namespace weightcast::cuda {
namespace {

std::string hex(DevicePointer address) {
  char text[32];
  (void)std::snprintf(text, sizeof text, "0x%" PRIx64, address);
  return text;
}

Status refused(DevicePointer address, const std::string& why) {
  return Status::error(weightcast::Code::kInvalidArgument, "cannot use the memory at " + hex(address) + ": " + why);
}

/// None where the driver does not know the address, or not this of it. kDevice where it does not answer.
template <typename Value>
Result<std::optional<Value>> attribute(const Driver& driver, PointerAttribute which, DevicePointer address) {
  // Larger than any attribute: some are written with more bytes than their type suggests.
  std::uint64_t room[2] = {};
  const Code code = driver.pointer_get_attribute(room, which, address);
  if (code == Code::kSuccess) return std::optional<Value>(static_cast<Value>(room[0]));
  if (code == Code::kInvalidValue || code == Code::kNotSupported) return std::optional<Value>();
  return driver.failed(code, "cuPointerGetAttribute", "cannot ask about the memory at " + hex(address));
}

/// Of attributes that say yes or no, whose first byte alone counts.
Result<bool> says(const Driver& driver, PointerAttribute which, DevicePointer address, bool if_unknown) {
  auto answer = attribute<unsigned>(driver, which, address);
  if (!answer.ok()) return std::move(answer.status());
  const std::optional<unsigned> number = answer.value();
  return number.has_value() ? *number % 256 != 0 : if_unknown;
}

Result<Allocation> range_at(const CudaDevice& device, DevicePointer address) {
  const Current current(device);
  if (!current.status().ok()) return current.status();
  Allocation found{.base = 0, .bytes = 0, .ordinal = device.ordinal()};
  std::size_t bytes = 0;
  const Code code = device.driver().mem_get_address_range(&found.base, &bytes, address);
  if (code == Code::kInvalidValue || code == Code::kNotFound) {
    return refused(address, "it is not mapped on " + device.name() +
                                " (cuMemGetAddressRange: " + device.driver().words(code) + ")");
  }
  if (code != Code::kSuccess) {
    return device.driver().failed(code, "cuMemGetAddressRange",
                                  "cannot ask for the allocation of the memory at " + hex(address));
  }
  found.bytes = bytes;
  return found;
}

Result<std::shared_ptr<CudaDevice>> owner_of(const Driver& driver, DevicePointer address) {
  const auto known = attribute<unsigned>(driver, PointerAttribute::kMemoryType, address);
  if (!known.ok()) return known.status();
  const std::optional<unsigned> type = known.value();
  if (!type.has_value()) return refused(address, "CUDA does not know it; memory of the host needs Region.fromAddress");
  const auto managed = says(driver, PointerAttribute::kIsManaged, address, false);
  if (!managed.ok()) return managed.status();
  if (managed.value()) {
    return refused(
        address,
        "it is managed memory (cudaMallocManaged), whose pages move between host and device; copy it into memory of "
        "a device");
  }
  if (static_cast<MemoryType>(*type) != MemoryType::kDevice)
    return refused(address, "it is memory of the host that CUDA has pinned; use Region.fromAddress");
  const auto owner = attribute<int>(driver, PointerAttribute::kDeviceOrdinal, address);
  if (!owner.ok()) return owner.status();
  const std::optional<int> ordinal = owner.value();
  if (!ordinal.has_value() || *ordinal < 0) return refused(address, "CUDA does not say which device it is of");
  return CudaDevice::open(static_cast<std::uint32_t>(*ordinal));
}

/// Whether a virtual mapping goes on at `next`: with memory of the same device that is no allocation of its own.
Status continues(const CudaDevice& device, DevicePointer next) {
  auto owner = owner_of(device.driver(), next);
  if (!owner.ok()) return std::move(owner.status());
  const auto legacy = says(device.driver(), PointerAttribute::kIsLegacyCudaIpcCapable, next, true);
  if (!legacy.ok()) return legacy.status();
  if (!legacy.value() && owner.value()->ordinal() == device.ordinal()) return Status::success();
  return refused(next, "the range goes on there with memory of " + owner.value()->name() +
                           " that does not belong to the same mapping on " + device.name());
}

}  // namespace

Result<Allocation> allocation_at(DevicePointer address) {
  auto driver = load_driver();
  if (!driver.ok()) return driver.status();
  auto device = owner_of(*driver.value(), address);
  if (!device.ok()) return device.status();
  return range_at(*device.value(), address);
}

Result<Adoptable> inspect(DevicePointer address, std::uint64_t bytes) {
  auto loaded = load_driver();
  if (!loaded.ok()) return loaded.status();
  const Driver& driver = *loaded.value();
  if (bytes == 0 || address == 0 || address > UINT64_MAX - bytes)
    return refused(address, std::to_string(bytes) + " bytes of it are no range");
  auto device = owner_of(driver, address);
  if (!device.ok()) return device.status();
  const auto legacy = says(driver, PointerAttribute::kIsLegacyCudaIpcCapable, address, true);
  if (!legacy.ok()) return legacy.status();
  CudaRegion::BufferIds ids;
  // A virtual mapping is as long as its chunks follow each other on one device; an allocation ends where it ends, also
  // if another one follows, because no NIC takes two of them as one range.
  for (DevicePointer next = address; next < address + bytes;) {
    if (next != address) {
      if (Status status = continues(*device.value(), next); !status.ok()) return status;
    }
    auto part = range_at(*device.value(), next);
    if (!part.ok()) return part.status();
    const DevicePointer end = part.value().base + part.value().bytes;
    if (legacy.value() && end < address + bytes) {
      return refused(address, std::to_string(bytes) + " bytes of it leave their allocation of " +
                                  std::to_string(part.value().bytes) + " bytes at " + hex(part.value().base));
    }
    const auto numbered = attribute<std::uint64_t>(driver, PointerAttribute::kBufferId, next);
    if (!numbered.ok()) return numbered.status();
    if (const std::optional<std::uint64_t> id = numbered.value(); id.has_value()) ids.emplace(next, *id);
    next = end;
  }
  return Adoptable{.device = std::move(device.value()),
                   .origin = legacy.value() ? CudaRegion::Origin::kAllocation : CudaRegion::Origin::kVirtualMapping,
                   .buffer_ids = std::move(ids)};
}

}  // namespace weightcast::cuda
