// What the driver says of an address, before it becomes a region.
#include <cinttypes>
#include <cstdio>
#include <string>

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

/// None where the driver does not know the attribute of this memory.
template <typename Value>
std::optional<Value> attribute(const Driver& driver, PointerAttribute which, DevicePointer address) {
  // Larger than any attribute: some are written with more bytes than their type suggests.
  std::uint64_t room[2] = {};
  if (driver.pointer_get_attribute(room, which, address) != Code::kSuccess) return std::nullopt;
  return static_cast<Value>(room[0]);
}

Result<Allocation> range_at(const CudaDevice& device, DevicePointer address) {
  const Current current(device);
  if (!current.status().ok()) return current.status();
  Allocation found{.base = 0, .bytes = 0, .ordinal = device.ordinal()};
  std::size_t bytes = 0;
  const Code code = device.driver().mem_get_address_range(&found.base, &bytes, address);
  if (code != Code::kSuccess) {
    return refused(address, "it is not mapped on " + device.name() +
                                " (cuMemGetAddressRange: " + device.driver().words(code) + ")");
  }
  found.bytes = bytes;
  return found;
}

Result<std::shared_ptr<CudaDevice>> owner_of(const Driver& driver, DevicePointer address) {
  const auto type = attribute<unsigned>(driver, PointerAttribute::kMemoryType, address);
  if (!type.has_value()) return refused(address, "CUDA does not know it; memory of the host needs Region.fromAddress");
  if (attribute<unsigned>(driver, PointerAttribute::kIsManaged, address).value_or(0) % 256 != 0) {
    return refused(
        address,
        "it is managed memory (cudaMallocManaged), whose pages move between host and device; copy it into memory of "
        "a device");
  }
  if (static_cast<MemoryType>(*type) != MemoryType::kDevice)
    return refused(address, "it is memory of the host that CUDA has pinned; use Region.fromAddress");
  const auto ordinal = attribute<int>(driver, PointerAttribute::kDeviceOrdinal, address);
  if (!ordinal.has_value() || *ordinal < 0) return refused(address, "CUDA does not say which device it is of");
  return CudaDevice::open(static_cast<std::uint32_t>(*ordinal));
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
  const bool legacy =
      attribute<unsigned>(driver, PointerAttribute::kIsLegacyCudaIpcCapable, address).value_or(1) % 256 != 0;
  // A virtual mapping is as long as its chunks follow each other; an allocation ends where it ends, also if another one
  // follows, because no NIC takes two of them as one range.
  for (DevicePointer next = address; next < address + bytes;) {
    auto part = range_at(*device.value(), next);
    if (!part.ok()) return part.status();
    const DevicePointer end = part.value().base + part.value().bytes;
    if (legacy && end < address + bytes) {
      return refused(address, std::to_string(bytes) + " bytes of it leave their allocation of " +
                                  std::to_string(part.value().bytes) + " bytes at " + hex(part.value().base));
    }
    next = end;
  }
  return Adoptable{.device = std::move(device.value()),
                   .origin = legacy ? CudaRegion::Origin::kAllocation : CudaRegion::Origin::kVirtualMapping,
                   .buffer_id = attribute<std::uint64_t>(driver, PointerAttribute::kBufferId, address)};
}

}  // namespace weightcast::cuda
