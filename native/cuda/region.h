#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "common/status.h"
#include "cuda/device.h"
#include "memory/device.h"

namespace weightcast::cuda {

/// What the driver knows of the memory at an address.
struct Allocation {
  DevicePointer base = 0;
  std::uint64_t bytes = 0;
  std::uint32_t ordinal = 0;
};

/// A range of a GPU's memory.
class CudaRegion : public memory::DeviceRegion {
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

  [[nodiscard]] const std::shared_ptr<memory::Device>& device() const override { return as_device_; }
  [[nodiscard]] const std::shared_ptr<CudaDevice>& cuda_device() const { return device_; }
  [[nodiscard]] Origin origin() const { return origin_; }
  Result<std::shared_ptr<const memory::Dmabuf>> export_dmabuf(std::uint64_t offset,
                                                              std::uint64_t length) const override;
  Status prepare_registration(std::uint64_t offset, std::uint64_t length) const override;
  [[nodiscard]] Status copy_out(std::uint64_t offset, std::span<std::byte> into) const override;

 protected:
  /// Before a derived class gives the memory back.
  void close_streams();

 private:
  using Range = std::pair<std::uint64_t, std::uint64_t>;

  [[nodiscard]] Status same_memory(DevicePointer first, DevicePointer end) const;
  [[nodiscard]] Result<std::uint64_t> end_of_pages(DevicePointer first, std::uint64_t wanted) const;
  [[nodiscard]] Result<std::unique_ptr<memory::CopyStream>> borrow_stream() const;

  std::shared_ptr<CudaDevice> device_;
  std::shared_ptr<memory::Device> as_device_;
  Origin origin_;
  BufferIds buffer_ids_;
  mutable std::mutex mutex_;
  mutable std::map<Range, std::weak_ptr<const memory::Dmabuf>> exports_;   // guarded by mutex_
  mutable std::vector<std::unique_ptr<memory::CopyStream>> idle_streams_;  // guarded by mutex_
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
