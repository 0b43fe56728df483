#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "common/status.h"
#include "cuda/api.h"
#include "cuda/driver.h"
#include "memory/device.h"

namespace weightcast::cuda {

/// A GPU, through its primary context, which is the one that engines of this process use as well. It is retained for as
/// long as the object lives, and current on a thread only while something of ours runs there (`Current`).
class CudaDevice final : public memory::Device, public std::enable_shared_from_this<CudaDevice> {
 public:
  /// The process's object of GPU `ordinal`. kDeviceUnavailable, kNotFound (no such GPU), kDevice.
  static Result<std::shared_ptr<CudaDevice>> open(std::uint32_t ordinal);
  CudaDevice(const CudaDevice&) = delete;
  CudaDevice& operator=(const CudaDevice&) = delete;
  ~CudaDevice() override;

  [[nodiscard]] memory::DeviceKind kind() const override { return memory::DeviceKind::kCuda; }
  [[nodiscard]] std::uint32_t ordinal() const override { return ordinal_; }
  [[nodiscard]] std::string pci_address() const override { return pci_address_; }
  Result<std::unique_ptr<memory::CopyStream>> open_stream() override;
  Result<std::unique_ptr<memory::PinnedHost>> pin(std::byte* host, std::uint64_t length) override;
  /// cuFlushGPUDirectRDMAWrites to the owner, unless the device orders such writes itself. Where it has no flush by the
  /// host, only work that is launched afterwards sees what was written.
  Status flush() override;

  [[nodiscard]] const Driver& driver() const { return *driver_; }
  /// 0 where the driver is too old to know the attribute. kDevice where it does not answer.
  [[nodiscard]] Result<int> attribute(DeviceAttribute attribute) const;
  /// Makes the driver's copies from and to memory of virtual mappings synchronous: the attribute of single pointers
  /// does not exist for them. Drivers before 12.1 cannot.
  Status synchronise_copies() const;

 private:
  CudaDevice(DriverPtr driver, std::uint32_t ordinal, DeviceNumber number, Context context, std::string pci_address)
      : driver_(std::move(driver)),
        ordinal_(ordinal),
        number_(number),
        context_(context),
        pci_address_(std::move(pci_address)) {}
  friend class Current;

  DriverPtr driver_;
  std::uint32_t ordinal_;
  DeviceNumber number_;
  Context context_;
  std::string pci_address_;
};

/// A device's context is current on this thread while it lives.
class Current {
 public:
  explicit Current(const CudaDevice& device);
  ~Current();
  Current(const Current&) = delete;
  Current& operator=(const Current&) = delete;
  /// Whether it is.
  [[nodiscard]] const Status& status() const { return status_; }

 private:
  const CudaDevice& device_;
  Status status_;
};

/// "0000:17:00.0" of a GPU, as sysfs has it.
Result<std::string> pci_address_of(const Driver& driver, DeviceNumber number);

}  // namespace weightcast::cuda
