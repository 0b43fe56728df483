#include "cuda/region.h"

#include <algorithm>
#include <string>

#include "memory/mapping.h"

namespace weightcast::cuda {
namespace {

/// cuMemAlloc's, given back with it.
class OwnedRegion final : public CudaRegion {
 public:
  using CudaRegion::CudaRegion;
  OwnedRegion(const OwnedRegion&) = delete;
  OwnedRegion& operator=(const OwnedRegion&) = delete;
  ~OwnedRegion() override {
    close_streams();
    const Current current(*cuda_device());
    if (current.status().ok()) (void)cuda_device()->driver().mem_free(address());
  }
};

}  // namespace

CudaRegion::CudaRegion(std::shared_ptr<CudaDevice> device, DevicePointer address, std::uint64_t size, bool writable,
                       Origin origin, BufferIds buffer_ids)
    : DriverRegion(device, address, size, writable),
      device_(std::move(device)),
      origin_(origin),
      buffer_ids_(std::move(buffer_ids)) {}

CudaRegion::CudaRegion(std::shared_ptr<CudaDevice> device, DevicePointer address, std::uint64_t size, bool writable,
                       Origin origin, std::optional<std::uint64_t> buffer_id)
    : CudaRegion(std::move(device), address, size, writable, origin,
                 buffer_id.has_value() ? BufferIds{{address, *buffer_id}} : BufferIds{}) {}

CudaRegion::~CudaRegion() = default;

Result<std::uint64_t> CudaRegion::end_of_pages(DevicePointer first, std::uint64_t wanted) const {
  if (origin_ == Origin::kAllocation) return wanted;  // the driver maps allocations in units of 2 MiB
  const Current current(*device_);
  if (!current.status().ok()) return current.status();
  DevicePointer base = 0;
  std::size_t bytes = 0;
  const DevicePointer last = address() + size() - 1;
  const Code code = device_->driver().mem_get_address_range(&base, &bytes, last);
  if (code != Code::kSuccess) {
    return device_->driver().failed(code, "cuMemGetAddressRange",
                                    "the memory of " + device_->name() + " is not mapped any more");
  }
  return std::min<std::uint64_t>(wanted, base + bytes - first);
}

Result<memory::Dmabuf> CudaRegion::make_dmabuf(std::uint64_t offset, std::uint64_t length) const {
  const Driver& driver = device_->driver();
  if (driver.mem_get_handle_for_address_range == nullptr) {
    return Status::error(weightcast::Code::kDevice,
                         "its driver is too old to export dma-bufs: CUDA 11.7 or later is needed");
  }
  auto supported = device_->attribute(DeviceAttribute::kDmaBufSupported);
  if (!supported.ok()) return supported.status();
  if (supported.value() == 0) {
    return Status::error(weightcast::Code::kDevice,
                         device_->name() + " does not export dma-bufs: the open kernel modules of NVIDIA's driver " +
                             "(515 or later) and Linux 5.12 or later are needed");
  }
  // Of the requested range, not of its allocation: of a virtual mapping the driver would name one chunk. Both ends lie
  // on pages of the host.
  const std::uint64_t page = memory::base_page_size();
  const DevicePointer wanted = address() + offset;
  const DevicePointer first = wanted & ~(page - 1);
  auto bytes = end_of_pages(first, memory::round_up(wanted - first + length, page));
  if (!bytes.ok()) return bytes.status();
  const Current current(*device_);
  if (!current.status().ok()) return current.status();
  int descriptor = -1;
  const Code code =
      driver.mem_get_handle_for_address_range(&descriptor, first, bytes.value(), RangeHandleType::kDmabufDescriptor, 0);
  if (code != Code::kSuccess) {
    return driver.failed(
        code, "cuMemGetHandleForAddressRange",
        "cannot export " + std::to_string(bytes.value()) + " bytes of " + device_->name() + " as a dma-buf");
  }
  return memory::Dmabuf{.descriptor = Descriptor(descriptor), .offset = wanted - first};
}

Status CudaRegion::same_memory(DevicePointer first, DevicePointer end) const {
  // From the part that `first` lies in.
  auto part = buffer_ids_.upper_bound(first);
  if (part != buffer_ids_.begin()) --part;
  for (; part != buffer_ids_.end() && part->first < end; ++part) {
    std::uint64_t now = 0;
    const Code code = device_->driver().pointer_get_attribute(&now, PointerAttribute::kBufferId, part->first);
    if (code != Code::kSuccess && code != Code::kInvalidValue) {
      return device_->driver().failed(code, "cuPointerGetAttribute",
                                      "cannot ask whether memory of " + device_->name() + " is what it was");
    }
    if (code == Code::kInvalidValue || now != part->second) {
      return Status::error(
          weightcast::Code::kClosed,
          "the memory of " + device_->name() +
              " was freed while a region was using it; its address belongs to other memory or to none");
    }
  }
  return Status::success();
}

Status CudaRegion::prepare_registration(std::uint64_t offset, std::uint64_t length) const {
  const Driver& driver = device_->driver();
  const Current current(*device_);
  if (!current.status().ok()) return current.status();
  const DevicePointer first = address() + offset;
  if (Status status = same_memory(first, first + length); !status.ok()) return status;
  if (origin_ == Origin::kVirtualMapping) return device_->synchronise_copies();
  const unsigned on = 1;
  const Code code = driver.pointer_set_attribute(&on, PointerAttribute::kSyncMemops, first);
  if (code == Code::kSuccess) return Status::success();
  return driver.failed(code, "cuPointerSetAttribute",
                       "cannot make copies of " + device_->name() + " synchronous (SYNC_MEMOPS)");
}

Result<memory::RegionPtr> allocate(std::uint32_t ordinal, std::uint64_t bytes) {
  if (Status status = memory::check_size(bytes, "a region"); !status.ok()) return status;
  auto opened = CudaDevice::open(ordinal);
  if (!opened.ok()) return opened.status();
  const std::shared_ptr<CudaDevice>& device = opened.value();
  DevicePointer address = 0;
  std::uint64_t buffer_id = 0;
  {
    const Current current(*device);
    if (!current.status().ok()) return current.status();
    const Driver& driver = device->driver();
    if (const Code code = driver.mem_alloc(&address, bytes); code != Code::kSuccess) {
      return driver.failed(code, "cuMemAlloc",
                           "cannot allocate " + std::to_string(bytes) + " bytes on " + device->name());
    }
    if (const Code code = driver.pointer_get_attribute(&buffer_id, PointerAttribute::kBufferId, address);
        code != Code::kSuccess) {
      (void)driver.mem_free(address);
      return driver.failed(code, "cuPointerGetAttribute", "cannot ask for the id of memory of " + device->name());
    }
  }
  return memory::RegionPtr(std::make_shared<OwnedRegion>(device, address, bytes, true, CudaRegion::Origin::kAllocation,
                                                         CudaRegion::BufferIds{{address, buffer_id}}));
}

Result<memory::RegionPtr> adopt(DevicePointer address, std::uint64_t bytes, bool writable) {
  auto found = inspect(address, bytes);
  if (!found.ok()) return found.status();
  return memory::RegionPtr(std::make_shared<CudaRegion>(std::move(found.value().device), address, bytes, writable,
                                                        found.value().origin, std::move(found.value().buffer_ids)));
}

}  // namespace weightcast::cuda
