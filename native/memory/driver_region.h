#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include "common/status.h"
#include "memory/device.h"

namespace weightcast::memory {

/// What regions of accelerators have in common, whoever made these: copies for the processor go over streams that are
/// kept for the next one, and a range is exported once for all who ask while one of them holds it.
class DriverRegion : public DeviceRegion {
 public:
  DriverRegion(std::shared_ptr<Device> device, std::uint64_t address, std::uint64_t size, bool writable);

  [[nodiscard]] const std::shared_ptr<Device>& device() const final { return device_; }
  Result<std::shared_ptr<const Dmabuf>> export_dmabuf(std::uint64_t offset, std::uint64_t length) const final;
  [[nodiscard]] Status copy_out(std::uint64_t offset, std::span<std::byte> into) const final;

 protected:
  /// Exports it anew.
  virtual Result<Dmabuf> make_dmabuf(std::uint64_t offset, std::uint64_t length) const = 0;
  /// Before a derived class gives the memory back.
  void close_streams();

 private:
  using Range = std::pair<std::uint64_t, std::uint64_t>;

  [[nodiscard]] Result<std::unique_ptr<CopyStream>> borrow_stream() const;

  std::shared_ptr<Device> device_;
  mutable std::mutex mutex_;
  mutable std::map<Range, std::weak_ptr<const Dmabuf>> exports_;   // guarded by mutex_
  mutable std::vector<std::unique_ptr<CopyStream>> idle_streams_;  // guarded by mutex_
};

}  // namespace weightcast::memory
