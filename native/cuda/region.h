#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>

#include "common/status.h"
#include "cuda/device.h"
#include "memory/driver_region.h"

namespace weightcast::cuda {

/// What the driver knows of the memory at an address.
struct Allocation {
  DevicePointer base = 0;
  std::uint64_t bytes = 0;
  std::uint32_t ordinal = 0;
};

/// A range of a GPU's memory.
class CudaRegion : public memory::DriverRegion {
 public:
  /// How its pages got their addresses. Of virtual mappings an "allocation" is one physical chunk of many.
  enum class Origin : std::uint8_t { kAllocation, kVirtualMapping };

  /// What the driver calls the memory at an address: an id that is never given again, by the first address in the
  /// region that it holds for. An allocation has one, a virtual mapping one a chunk; none where the driver gives none.
  using BufferIds = std::map<DevicePointer, std::uint64_t>;

  CudaRegion(std::shared_ptr<CudaDevice> device, DevicePointer address, std::uint64_t size, bool writable,
             Origin origin, BufferIds buffer_ids);
  /// Of one allocation.
  CudaRegion(std::shared_ptr<CudaDevice> device, DevicePointer address, std::uint64_t size, bool writable,
             Origin origin, std::optional<std::uint64_t> buffer_id);
  ~CudaRegion() override;

  [[nodiscard]] const std::shared_ptr<CudaDevice>& cuda_device() const { return device_; }
  [[nodiscard]] Origin origin() const { return origin_; }
  Status prepare_registration(std::uint64_t offset, std::uint64_t length) const override;

 protected:
  Result<memory::Dmabuf> make_dmabuf(std::uint64_t offset, std::uint64_t length) const override;

 private:
  [[nodiscard]] Status same_memory(DevicePointer first, DevicePointer end) const;
  [[nodiscard]] Result<std::uint64_t> end_of_pages(DevicePointer first, std::uint64_t wanted) const;

  std::shared_ptr<CudaDevice> device_;
  Origin origin_;
  BufferIds buffer_ids_;
};

/// New memory of GPU `ordinal` (cuMemAlloc), freed with the region. kDeviceUnavailable, kNotFound, kOutOfMemory,
/// kDevice.
Result<memory::RegionPtr> allocate(std::uint32_t ordinal, std::uint64_t bytes);

/// Memory that somebody else in this process owns and keeps. kInvalidArgument when it is no device memory, managed (its
/// pages move), or leaves its allocation or the part of a virtual mapping that one device backs.
Result<memory::RegionPtr> adopt(DevicePointer address, std::uint64_t bytes, bool writable);

/// The allocation, or the chunk of a virtual mapping, that an address lies in. kInvalidArgument as `adopt`.
Result<Allocation> allocation_at(DevicePointer address);

/// What may be done with the memory at [address, address + bytes), as `adopt` finds it.
struct Adoptable {
  std::shared_ptr<CudaDevice> device;
  CudaRegion::Origin origin;
  CudaRegion::BufferIds buffer_ids;
};
Result<Adoptable> inspect(DevicePointer address, std::uint64_t bytes);

}  // namespace weightcast::cuda
