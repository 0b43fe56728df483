#pragma once

#include <cstdint>
#include <memory>

#include "common/status.h"
#include "hip/device.h"
#include "memory/driver_region.h"

namespace weightcast::hip {

/// What the runtime knows of the memory at an address.
struct Allocation {
  std::uint64_t base = 0;
  std::uint64_t bytes = 0;
  std::uint32_t ordinal = 0;
};

/// A range of a GPU's memory.
class HipRegion : public memory::DriverRegion {
 public:
  HipRegion(std::shared_ptr<HipDevice> device, std::uint64_t address, std::uint64_t size, bool writable,
            std::uint64_t buffer_id);

  [[nodiscard]] const std::shared_ptr<HipDevice>& hip_device() const { return device_; }
  Status prepare_registration(std::uint64_t offset, std::uint64_t length) const override;

 protected:
  /// The HSA runtime says itself where in the dma-buf the range begins.
  Result<memory::Dmabuf> make_dmabuf(std::uint64_t offset, std::uint64_t length) const override;

 private:
  std::shared_ptr<HipDevice> device_;
  std::uint64_t buffer_id_;
};

/// New memory of GPU `ordinal` (hipMalloc), freed with the region. kDeviceUnavailable, kNotFound, kOutOfMemory,
/// kDevice.
Result<memory::RegionPtr> allocate(std::uint32_t ordinal, std::uint64_t bytes);

/// Memory that somebody else in this process owns and keeps. kInvalidArgument when it is no device memory, managed (its
/// pages move), or leaves its allocation.
Result<memory::RegionPtr> adopt(std::uint64_t address, std::uint64_t bytes, bool writable);

/// The allocation that an address lies in. kInvalidArgument as `adopt`.
Result<Allocation> allocation_at(std::uint64_t address);

}  // namespace weightcast::hip
