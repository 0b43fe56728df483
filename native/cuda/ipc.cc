#include "cuda/ipc.h"

#include <numeric>
#include <string>
#include <utility>

namespace weightcast::cuda {
namespace {

Status refused(std::string why) { return Status::error(weightcast::Code::kInvalidArgument, std::move(why)); }

/// Opened by its handle. The driver gives the same address for the same handle again and counts how often.
class ForeignAllocation final : public CudaRegion {
 public:
  ForeignAllocation(std::shared_ptr<CudaDevice> device, DevicePointer base, std::uint64_t bytes, bool writable,
                    std::optional<std::uint64_t> buffer_id, std::shared_ptr<const void> lease)
      : CudaRegion(std::move(device), base, bytes, writable, Origin::kAllocation, buffer_id),
        lease_(std::move(lease)) {}
  ForeignAllocation(const ForeignAllocation&) = delete;
  ForeignAllocation& operator=(const ForeignAllocation&) = delete;
  ~ForeignAllocation() override {
    close_streams();
    const Current current(*cuda_device());
    if (current.status().ok()) (void)cuda_device()->driver().ipc_close_mem_handle(address());
  }

 private:
  std::shared_ptr<const void> lease_;
};

/// Addresses with chunks behind them; undone in reverse when destroyed.
class Mapping {
 public:
  explicit Mapping(std::shared_ptr<CudaDevice> device) : device_(std::move(device)) {}
  Mapping(Mapping&& other) noexcept
      : device_(std::move(other.device_)),
        base_(std::exchange(other.base_, 0)),
        reserved_(other.reserved_),
        mapped_(std::exchange(other.mapped_, {})) {}
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  Mapping& operator=(Mapping&&) = delete;
  ~Mapping() {
    if (base_ == 0) return;
    const Current current(*device_);
    if (!current.status().ok()) return;
    DevicePointer end = base_ + std::accumulate(mapped_.begin(), mapped_.end(), std::uint64_t{0});
    for (auto bytes = mapped_.rbegin(); bytes != mapped_.rend(); ++bytes) {
      end -= *bytes;
      (void)device_->driver().mem_unmap(end, *bytes);
    }
    (void)device_->driver().mem_address_free(base_, reserved_);
  }

  [[nodiscard]] DevicePointer base() const { return base_; }
  [[nodiscard]] const std::shared_ptr<CudaDevice>& device() const { return device_; }

  // Each with the device's context current.
  Status reserve(std::uint64_t bytes) {
    const Code code = device_->driver().mem_address_reserve(&base_, bytes, 0, 0, 0);
    reserved_ = bytes;
    if (code == Code::kSuccess) return Status::success();
    base_ = 0;
    return failed(code, "cuMemAddressReserve", "cannot reserve addresses for " + std::to_string(bytes) + " bytes");
  }
  Status add(const memory::ExportedChunk& chunk) {
    const Driver& driver = device_->driver();
    AllocationHandle handle = 0;
    // NOLINTNEXTLINE(performance-no-int-to-ptr): the number of the descriptor travels as the pointer
    void* posix = reinterpret_cast<void*>(static_cast<std::intptr_t>(chunk.descriptor.get()));
    if (const Code code =
            driver.mem_import_from_shareable_handle(&handle, posix, ShareableHandleType::kPosixFileDescriptor);
        code != Code::kSuccess) {
      return failed(code, "cuMemImportFromShareableHandle", "cannot import " + name());
    }
    const DevicePointer at = base_ + std::accumulate(mapped_.begin(), mapped_.end(), std::uint64_t{0});
    const Code code = driver.mem_map(at, chunk.bytes, 0, handle, 0);
    (void)driver.mem_release(handle);  // a mapping holds its memory
    if (code != Code::kSuccess)
      return failed(code, "cuMemMap", "cannot map " + name() + " of " + std::to_string(chunk.bytes) + " bytes");
    mapped_.push_back(chunk.bytes);
    return Status::success();
  }
  Status allow() {
    const AccessDescription access{
        .location = {.type = LocationType::kDevice, .id = static_cast<int>(device_->ordinal())},
        .flags = AccessFlags::kReadWrite};
    const Code code = device_->driver().mem_set_access(base_, reserved_, &access, 1);
    if (code == Code::kSuccess) return Status::success();
    return failed(code, "cuMemSetAccess", "cannot get access to the memory");
  }

 private:
  [[nodiscard]] std::string name() const { return "chunk " + std::to_string(mapped_.size()) + " of the memory"; }
  [[nodiscard]] Status failed(Code code, const char* call, const std::string& doing) const {
    return device_->driver().failed(code, call, doing + " of another process on " + device_->name());
  }

  std::shared_ptr<CudaDevice> device_;
  DevicePointer base_ = 0;
  std::uint64_t reserved_ = 0;
  std::vector<std::uint64_t> mapped_;  // bytes of each chunk
};

class ForeignMapping final : public CudaRegion {
 public:
  ForeignMapping(Mapping mapping, std::uint64_t bytes, bool writable, std::shared_ptr<const void> lease)
      : CudaRegion(mapping.device(), mapping.base(), bytes, writable, Origin::kVirtualMapping, std::nullopt),
        lease_(std::move(lease)),
        mapping_(std::move(mapping)) {}
  ForeignMapping(const ForeignMapping&) = delete;
  ForeignMapping& operator=(const ForeignMapping&) = delete;
  ~ForeignMapping() override { close_streams(); }

 private:
  std::shared_ptr<const void> lease_;
  Mapping mapping_;  // goes before the lease
};

/// kInvalidArgument when the allocation is smaller; a driver that does not say of foreign memory leaves it open.
Status check_size(const CudaDevice& device, DevicePointer base, std::uint64_t bytes) {
  DevicePointer start = 0;
  std::size_t there = 0;
  if (device.driver().mem_get_address_range(&start, &there, base) != Code::kSuccess || bytes <= there)
    return Status::success();
  return refused("the engine's allocation on " + device.name() + " has " + std::to_string(there) + " bytes, not " +
                 std::to_string(bytes));
}

Status no_virtual_memory(const CudaDevice& device) {
  return Status::error(weightcast::Code::kDevice, "the driver of " + device.name() +
                                                      " is too old for virtual memory: CUDA 11.0 or later is needed");
}

bool has_virtual_memory(const Driver& driver) {
  return driver.mem_import_from_shareable_handle != nullptr && driver.mem_address_reserve != nullptr &&
         driver.mem_address_free != nullptr && driver.mem_map != nullptr && driver.mem_unmap != nullptr &&
         driver.mem_set_access != nullptr && driver.mem_release != nullptr &&
         driver.mem_export_to_shareable_handle != nullptr && driver.mem_retain_allocation_handle != nullptr;
}

/// Of the chunk at `at`. With the device's context current.
Result<memory::ExportedChunk> export_chunk(const CudaDevice& device, DevicePointer at, std::uint64_t bytes) {
  const Driver& driver = device.driver();
  AllocationHandle handle = 0;
  // NOLINTNEXTLINE(performance-no-int-to-ptr): the driver itself counts addresses as numbers, but not in this call
  if (const Code code = driver.mem_retain_allocation_handle(&handle, reinterpret_cast<void*>(at));
      code != Code::kSuccess) {
    return driver.failed(code, "cuMemRetainAllocationHandle", "cannot share memory of " + device.name());
  }
  int descriptor = -1;
  const Code code =
      driver.mem_export_to_shareable_handle(&descriptor, handle, ShareableHandleType::kPosixFileDescriptor, 0);
  (void)driver.mem_release(handle);
  if (code != Code::kSuccess) {
    return driver.failed(code, "cuMemExportToShareableHandle",
                         "cannot share memory of " + device.name() + "; it must be made to be shared as a descriptor");
  }
  return memory::ExportedChunk{.descriptor = Descriptor(descriptor), .bytes = bytes};
}

Result<Exported> export_chunks(const CudaRegion& region) {
  const CudaDevice& device = *region.cuda_device();
  if (!has_virtual_memory(device.driver())) return no_virtual_memory(device);
  Exported exported{.handle = std::nullopt, .chunks = {}, .bytes = 0, .offset = 0};
  const DevicePointer end = region.address() + region.size();
  for (DevicePointer at = region.address(); at < end;) {
    DevicePointer base = 0;
    std::size_t bytes = 0;
    if (const Code code = device.driver().mem_get_address_range(&base, &bytes, at); code != Code::kSuccess)
      return device.driver().failed(code, "cuMemGetAddressRange", "the memory of " + device.name() + " is not mapped");
    if (at == region.address()) exported.offset = at - base;
    auto chunk = export_chunk(device, base, bytes);
    if (!chunk.ok()) return chunk.status();
    exported.chunks.push_back(std::move(chunk.value()));
    exported.bytes += bytes;
    at = base + bytes;
  }
  return exported;
}

}  // namespace

Result<memory::RegionPtr> import_allocation(std::uint32_t ordinal, const IpcMemHandle& handle, std::uint64_t bytes,
                                            bool writable, std::shared_ptr<const void> lease) {
  if (bytes == 0) return refused("an allocation of 0 bytes is none");
  auto opened = CudaDevice::open(ordinal);
  if (!opened.ok()) return opened.status();
  const std::shared_ptr<CudaDevice>& device = opened.value();
  const Driver& driver = device->driver();
  const Current current(*device);
  if (!current.status().ok()) return current.status();
  DevicePointer base = 0;
  const Code code = driver.ipc_open_mem_handle(&base, handle, kIpcLazyEnablePeerAccess);
  if (code == Code::kInvalidContext) {
    return refused("the handle is of memory of this very process, which CUDA does not open here (cuIpcOpenMemHandle: " +
                   driver.words(code) + "); give its address instead");
  }
  if (code != Code::kSuccess) {
    return driver.failed(code, "cuIpcOpenMemHandle",
                         "cannot open the memory of another process on " + device->name() +
                             "; is it alive, is it that GPU, and do both see it (CUDA_VISIBLE_DEVICES, --ipc of "
                             "containers)?");
  }
  if (Status status = check_size(*device, base, bytes); !status.ok()) {
    (void)driver.ipc_close_mem_handle(base);
    return status;
  }
  std::optional<std::uint64_t> buffer_id;
  if (std::uint64_t id = 0; driver.pointer_get_attribute(&id, PointerAttribute::kBufferId, base) == Code::kSuccess)
    buffer_id = id;
  return memory::RegionPtr(
      std::make_shared<ForeignAllocation>(device, base, bytes, writable, buffer_id, std::move(lease)));
}

Result<memory::RegionPtr> import_chunks(std::uint32_t ordinal, std::span<const memory::ExportedChunk> chunks,
                                        bool writable, std::shared_ptr<const void> lease) {
  std::uint64_t bytes = 0;
  for (const memory::ExportedChunk& chunk : chunks) {
    if (chunk.bytes == 0 || chunk.bytes > UINT64_MAX - bytes) return refused("a chunk of memory has no size");
    bytes += chunk.bytes;
  }
  if (chunks.empty()) return refused("memory without chunks is none");
  auto opened = CudaDevice::open(ordinal);
  if (!opened.ok()) return opened.status();
  const std::shared_ptr<CudaDevice>& device = opened.value();
  if (!has_virtual_memory(device->driver())) return no_virtual_memory(*device);
  const Current current(*device);
  if (!current.status().ok()) return current.status();
  Mapping mapping(device);
  if (Status status = mapping.reserve(bytes); !status.ok()) return status;
  for (const memory::ExportedChunk& chunk : chunks) {
    if (Status status = mapping.add(chunk); !status.ok()) return status;
  }
  if (Status status = mapping.allow(); !status.ok()) return status;
  return memory::RegionPtr(std::make_shared<ForeignMapping>(std::move(mapping), bytes, writable, std::move(lease)));
}

Result<Exported> export_memory(const CudaRegion& region) {
  const CudaDevice& device = *region.cuda_device();
  const Driver& driver = device.driver();
  const Current current(device);
  if (!current.status().ok()) return current.status();
  if (region.origin() == CudaRegion::Origin::kVirtualMapping) return export_chunks(region);
  DevicePointer base = 0;
  std::size_t bytes = 0;
  if (const Code code = driver.mem_get_address_range(&base, &bytes, region.address()); code != Code::kSuccess)
    return driver.failed(code, "cuMemGetAddressRange", "the memory of " + device.name() + " is not mapped");
  IpcMemHandle handle{};
  if (const Code code = driver.ipc_get_mem_handle(&handle, base); code != Code::kSuccess)
    return driver.failed(code, "cuIpcGetMemHandle", "cannot share memory of " + device.name());
  return Exported{.handle = handle, .chunks = {}, .bytes = bytes, .offset = region.address() - base};
}

}  // namespace weightcast::cuda
