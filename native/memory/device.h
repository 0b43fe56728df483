#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "common/descriptor.h"
#include "common/status.h"
#include "memory/region.h"

namespace weightcast::memory {

/// Whose accelerator: which driver library owns the memory.
enum class DeviceKind : std::uint8_t { kCuda, kHip };

/// "cuda", "hip".
const char* device_kind_name(DeviceKind kind);

/// Copies between host memory and one device, in the order in which they were asked for and without waiting for them.
/// One thread at a time. The destructor waits for what is still under way, so that no byte moves afterwards.
class CopyStream {
 public:
  CopyStream() = default;
  CopyStream(const CopyStream&) = delete;
  CopyStream& operator=(const CopyStream&) = delete;
  virtual ~CopyStream() = default;

  /// Both ranges stay as they are until a later ticket was reached. kDevice with the driver's words.
  virtual Status to_device(std::byte* device, const std::byte* host, std::uint64_t length) = 0;
  virtual Status to_host(std::byte* host, const std::byte* device, std::uint64_t length) = 0;
  /// A number, rising from 1, that is reached once everything that was asked for before has been copied.
  virtual Result<std::uint64_t> mark() = 0;
  /// Does not wait.
  virtual Result<bool> reached(std::uint64_t ticket) = 0;
  virtual Status wait(std::uint64_t ticket) = 0;
};

/// Host memory that a driver may copy from and to without a bounce buffer of its own; undone when destroyed.
class PinnedHost {
 public:
  PinnedHost() = default;
  PinnedHost(const PinnedHost&) = delete;
  PinnedHost& operator=(const PinnedHost&) = delete;
  virtual ~PinnedHost() = default;
};

/// One accelerator, by its driver. Thread-safe; it lives as long as anything that was made of it.
class Device {
 public:
  Device() = default;
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  virtual ~Device() = default;

  [[nodiscard]] virtual DeviceKind kind() const = 0;
  [[nodiscard]] virtual std::uint32_t ordinal() const = 0;
  [[nodiscard]] virtual std::string pci_address() const = 0;  ///< "0000:17:00.0", lower case, as sysfs has it
  /// "cuda:0".
  [[nodiscard]] std::string name() const {
    return std::string(device_kind_name(kind())) + ":" + std::to_string(ordinal());
  }

  virtual Result<std::unique_ptr<CopyStream>> open_stream() = 0;
  /// Pins host memory for copies, for as long as what is returned lives; the memory is the caller's.
  virtual Result<std::unique_ptr<PinnedHost>> pin(std::byte* host, std::uint64_t length) = 0;
  /// Makes what NICs have written so far visible to work that already runs on the device. Work launched afterwards sees
  /// it anyway (NVIDIA, "Developing a Linux Kernel Module using GPUDirect RDMA", synchronization). Does nothing where
  /// the device orders such writes itself.
  virtual Status flush() = 0;
};

/// A dma-buf of device memory: the descriptor that NICs import, and where in it the range begins. All NICs import the
/// same one: each export takes a window of its own in the device's BAR.
struct Dmabuf {
  Descriptor descriptor;
  std::uint64_t offset;
};

/// Memory of an accelerator, which the processor cannot load from: `data()` is a number to give to drivers and NICs.
class DeviceRegion : public Region {
 public:
  [[nodiscard]] virtual const std::shared_ptr<Device>& device() const = 0;

  /// Exports [offset, offset + length). The same range gives the same export while somebody holds it.
  /// kDevice with the driver's words where the device, the driver or this kind of memory cannot.
  virtual Result<std::shared_ptr<const Dmabuf>> export_dmabuf(std::uint64_t offset, std::uint64_t length) const = 0;
  /// Before memory of the range is registered on a NIC, whichever way: makes the driver's own copies to and from it
  /// synchronous (SYNC_MEMOPS). kClosed when the address belongs to other memory than when the region was made (its
  /// buffer id changed).
  virtual Status prepare_registration(std::uint64_t offset, std::uint64_t length) const = 0;

  /// Reads through the device's driver; waits.
  [[nodiscard]] Status copy_out(std::uint64_t offset, std::span<std::byte> into) const override = 0;
  [[nodiscard]] bool safe_to_load() const final { return false; }
  [[nodiscard]] const DeviceRegion* on_device() const final { return this; }

 protected:
  DeviceRegion(std::byte* data, std::uint64_t size, std::uint64_t page_size, bool writable)
      : Region(RegionKind::kDevice, data, size, page_size, writable) {}
};

}  // namespace weightcast::memory
