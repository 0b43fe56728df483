#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "common/status.h"
#include "hip/api.h"
#include "hip/driver.h"
#include "memory/device.h"

namespace weightcast::hip {

/// A GPU. It is the thread's current one only while something of ours runs there (`Current`).
class HipDevice final : public memory::Device, public std::enable_shared_from_this<HipDevice> {
 public:
  /// The process's object of GPU `ordinal`. kDeviceUnavailable, kNotFound (no such GPU), kDevice.
  static Result<std::shared_ptr<HipDevice>> open(std::uint32_t ordinal);

  [[nodiscard]] memory::DeviceKind kind() const override { return memory::DeviceKind::kHip; }
  [[nodiscard]] std::uint32_t ordinal() const override { return ordinal_; }
  [[nodiscard]] std::string pci_address() const override { return pci_address_; }
  Result<std::unique_ptr<memory::CopyStream>> open_stream() override;
  Result<std::unique_ptr<memory::PinnedHost>> pin(std::byte* host, std::uint64_t length) override;
  /// Writes the register that empties the device's host data path (HDP), which older GPUs keep what came over PCI in.
  /// Where there is none, there is nothing to empty. Waits for no kernel.
  Status flush() override;

  [[nodiscard]] const Driver& driver() const { return *driver_; }

 private:
  HipDevice(DriverPtr driver, std::uint32_t ordinal, std::string pci_address)
      : driver_(std::move(driver)), ordinal_(ordinal), pci_address_(std::move(pci_address)) {}

  DriverPtr driver_;
  std::uint32_t ordinal_;
  std::string pci_address_;
};

/// A device is this thread's current one while it lives; then the one from before is again.
class Current {
 public:
  explicit Current(const HipDevice& device);
  ~Current();
  Current(const Current&) = delete;
  Current& operator=(const Current&) = delete;
  /// Whether it is.
  [[nodiscard]] const Status& status() const { return status_; }

 private:
  const HipDevice& device_;
  int before_ = -1;
  Status status_;
};

/// "0000:c3:00.0" of a GPU, as sysfs has it.
Result<std::string> pci_address_of(const Driver& driver, int ordinal);

}  // namespace weightcast::hip
