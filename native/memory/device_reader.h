#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "common/status.h"
#include "memory/device.h"
#include "memory/region.h"

namespace weightcast::memory {

/// Reads an accelerator's memory in order, for somebody who looks at each byte once: pieces are copied into a few slots
/// of pinned host memory while earlier ones are looked at. One thread.
class DeviceReader {
 public:
  using Take = std::function<Status(std::span<const std::byte>)>;

  /// kOutOfMemory, kDevice.
  static Result<std::unique_ptr<DeviceReader>> open(std::shared_ptr<Device> device);
  DeviceReader(const DeviceReader&) = delete;
  DeviceReader& operator=(const DeviceReader&) = delete;
  ~DeviceReader() = default;

  [[nodiscard]] const Device* device() const { return device_.get(); }

  /// Gives `take` the bytes of [offset, offset + length) of a region of that device, until all are through or it
  /// returns an error, which is then the outcome. kDevice.
  Status read(const Region& region, std::uint64_t offset, std::uint64_t length, const Take& take);

 private:
  static constexpr std::size_t kSlots = 4;
  static constexpr std::uint64_t kPieceBytes = std::uint64_t{1} << 20U;

  explicit DeviceReader(std::shared_ptr<Device> device) : device_(std::move(device)) {}
  Status ask(std::size_t slot, const std::byte* from, std::uint64_t length);

  std::shared_ptr<Device> device_;
  RegionPtr memory_;  // the slots'
  std::unique_ptr<PinnedHost> pin_;
  std::array<std::uint64_t, kSlots> tickets_{};
  std::unique_ptr<CopyStream> stream_;  // goes first, and waits for what is under way
};

}  // namespace weightcast::memory
