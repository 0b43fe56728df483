#include "hip/region.h"

#include <cinttypes>
#include <cstdio>
#include <optional>
#include <string>

#include "memory/mapping.h"

namespace weightcast::hip {
namespace {

// NOLINTNEXTLINE(performance-no-int-to-ptr): JavaScript and peers name addresses by number
void* as_pointer(std::uint64_t address) { return reinterpret_cast<void*>(address); }

std::string hex(std::uint64_t address) {
  char text[32];
  (void)std::snprintf(text, sizeof text, "0x%" PRIx64, address);
  return text;
}

Status refused(std::uint64_t address, const std::string& why) {
  return Status::error(weightcast::Code::kInvalidArgument, "cannot use the memory at " + hex(address) + ": " + why);
}

/// None where the runtime does not know it of this memory.
template <typename Value>
Result<std::optional<Value>> attribute(const Driver& driver, PointerAttribute which, std::uint64_t address) {
  Value value{};
  const Code code = driver.pointer_get_attribute(&value, which, as_pointer(address));
  if (code == Code::kSuccess) return std::optional<Value>(value);
  if (code == Code::kInvalidValue || code == Code::kNotSupported) return std::optional<Value>();
  return driver.failed(code, "hipPointerGetAttribute", "cannot ask what memory " + hex(address) + " is");
}

/// hipMalloc's, given back with it.
class OwnedRegion final : public HipRegion {
 public:
  using HipRegion::HipRegion;
  OwnedRegion(const OwnedRegion&) = delete;
  OwnedRegion& operator=(const OwnedRegion&) = delete;
  ~OwnedRegion() override {
    close_streams();
    const Current current(*hip_device());
    if (current.status().ok()) (void)hip_device()->driver().free(data());
  }
};

}  // namespace

HipRegion::HipRegion(std::shared_ptr<HipDevice> device, std::uint64_t address, std::uint64_t size, bool writable,
                     std::uint64_t buffer_id)
    : DriverRegion(device, address, size, writable), device_(std::move(device)), buffer_id_(buffer_id) {}

Result<memory::Dmabuf> HipRegion::make_dmabuf(std::uint64_t offset, std::uint64_t length) const {
  const Driver& driver = device_->driver();
  if (!driver.dmabuf_reason.empty()) {
    return Status::error(weightcast::Code::kDevice,
                         device_->name() + " does not export dma-bufs: " + driver.dmabuf_reason);
  }
  int descriptor = -1;
  std::uint64_t begins = 0;
  const int status = driver.export_dmabuf(data() + offset, length, &descriptor, &begins);
  if (status == 0 && descriptor >= 0) return memory::Dmabuf{.descriptor = Descriptor(descriptor), .offset = begins};
  return Status{.code = weightcast::Code::kDevice,
                .message = "cannot export " + std::to_string(length) + " bytes of " + device_->name() +
                           " as a dma-buf (hsa_amd_portable_export_dmabuf: status " + std::to_string(status) + ")",
                .call = "hsa_amd_portable_export_dmabuf"};
}

Status HipRegion::prepare_registration(std::uint64_t offset, std::uint64_t /*length*/) const {
  const Driver& driver = device_->driver();
  const std::uint64_t first = address() + offset;
  auto now = attribute<std::uint64_t>(driver, PointerAttribute::kBufferId, first);
  if (!now.ok()) return now.status();
  if (now.value() != buffer_id_) {
    return Status::error(weightcast::Code::kClosed,
                         "the memory of " + device_->name() +
                             " was freed while a region was using it; its address belongs to other "
                             "memory or to none");
  }
  const int on = 1;
  const Code code = driver.pointer_set_attribute(&on, PointerAttribute::kSyncMemops, as_pointer(first));
  if (code == Code::kSuccess) return Status::success();
  return driver.failed(code, "hipPointerSetAttribute",
                       "cannot make copies of " + device_->name() + " synchronous (SYNC_MEMOPS)");
}

Result<memory::RegionPtr> allocate(std::uint32_t ordinal, std::uint64_t bytes) {
  if (Status status = memory::check_size(bytes, "a region"); !status.ok()) return status;
  auto opened = HipDevice::open(ordinal);
  if (!opened.ok()) return opened.status();
  const std::shared_ptr<HipDevice>& device = opened.value();
  const Current current(*device);
  if (!current.status().ok()) return current.status();
  const Driver& driver = device->driver();
  void* pointer = nullptr;
  if (const Code code = driver.malloc(&pointer, bytes); code != Code::kSuccess)
    return driver.failed(code, "hipMalloc", "cannot allocate " + std::to_string(bytes) + " bytes on " + device->name());
  std::uint64_t id = 0;
  if (const Code code = driver.pointer_get_attribute(&id, PointerAttribute::kBufferId, pointer);
      code != Code::kSuccess) {
    (void)driver.free(pointer);
    return driver.failed(code, "hipPointerGetAttribute", "cannot ask for the id of memory of " + device->name());
  }
  return memory::RegionPtr(
      std::make_shared<OwnedRegion>(device, reinterpret_cast<std::uint64_t>(pointer), bytes, true, id));
}

Result<Allocation> allocation_at(std::uint64_t address) {
  auto loaded = load_driver();
  if (!loaded.ok()) return loaded.status();
  const Driver& driver = *loaded.value();
  const auto known = attribute<MemoryType>(driver, PointerAttribute::kMemoryType, address);
  if (!known.ok()) return known.status();
  const std::optional<MemoryType> type = known.value();
  if (!type.has_value() || *type == MemoryType::kUnregistered)
    return refused(address, "HIP does not know it; memory of the host needs Region.fromAddress");
  auto managed = attribute<bool>(driver, PointerAttribute::kIsManaged, address);
  if (!managed.ok()) return managed.status();
  if (*type == MemoryType::kManaged || managed.value().value_or(false)) {
    return refused(
        address,
        "it is managed memory (hipMallocManaged), whose pages move between host and device; copy it into memory "
        "of a device");
  }
  if (*type != MemoryType::kDevice)
    return refused(address, "it is memory of the host that HIP has pinned; use Region.fromAddress");
  auto ordinal = attribute<int>(driver, PointerAttribute::kDeviceOrdinal, address);
  if (!ordinal.ok()) return ordinal.status();
  if (!ordinal.value().has_value() || *ordinal.value() < 0)
    return refused(address, "HIP does not say which device it is of");
  auto device = HipDevice::open(static_cast<std::uint32_t>(*ordinal.value()));
  if (!device.ok()) return device.status();
  // Its own call: the attribute of the size has 32 bits.
  const Current current(*device.value());
  if (!current.status().ok()) return current.status();
  void* base = nullptr;
  std::size_t bytes = 0;
  const Code code = driver.mem_get_address_range(&base, &bytes, as_pointer(address));
  if (code == Code::kNotFound || code == Code::kInvalidValue)
    return refused(address, "HIP does not say which allocation it is of");
  if (code != Code::kSuccess)
    return driver.failed(code, "hipMemGetAddressRange", "cannot ask which allocation " + hex(address) + " is of");
  return Allocation{
      .base = reinterpret_cast<std::uint64_t>(base), .bytes = bytes, .ordinal = device.value()->ordinal()};
}

Result<memory::RegionPtr> adopt(std::uint64_t address, std::uint64_t bytes, bool writable) {
  if (bytes == 0 || address == 0 || address > UINT64_MAX - bytes)
    return refused(address, std::to_string(bytes) + " bytes of it are no range");
  auto found = allocation_at(address);
  if (!found.ok()) return found.status();
  const Allocation& allocation = found.value();
  if (address - allocation.base > allocation.bytes || bytes > allocation.bytes - (address - allocation.base)) {
    return refused(address, std::to_string(bytes) + " bytes of it leave their allocation of " +
                                std::to_string(allocation.bytes) + " bytes at " + hex(allocation.base));
  }
  auto device = HipDevice::open(allocation.ordinal);
  if (!device.ok()) return device.status();
  const auto numbered = attribute<std::uint64_t>(device.value()->driver(), PointerAttribute::kBufferId, address);
  if (!numbered.ok()) return numbered.status();
  const std::optional<std::uint64_t> id = numbered.value();
  if (!id.has_value()) return refused(address, "HIP has no id for it");
  return memory::RegionPtr(std::make_shared<HipRegion>(std::move(device.value()), address, bytes, writable, *id));
}

}  // namespace weightcast::hip
