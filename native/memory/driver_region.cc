#include "memory/driver_region.h"

#include <string>

#include "memory/mapping.h"

namespace weightcast::memory {

DriverRegion::DriverRegion(std::shared_ptr<Device> device, std::uint64_t address, std::uint64_t size, bool writable)
    // NOLINTNEXTLINE(performance-no-int-to-ptr): drivers count addresses as numbers
    : DeviceRegion(reinterpret_cast<std::byte*>(address), size, base_page_size(), writable),
      device_(std::move(device)) {}

void DriverRegion::close_streams() {
  const std::lock_guard lock(mutex_);
  idle_streams_.clear();
}

Result<std::shared_ptr<const Dmabuf>> DriverRegion::export_dmabuf(std::uint64_t offset, std::uint64_t length) const {
  const std::lock_guard lock(mutex_);
  std::weak_ptr<const Dmabuf>& known = exports_[{offset, length}];
  if (auto exported = known.lock()) return exported;
  auto made = make_dmabuf(offset, length);
  if (!made.ok()) return made.status();
  const auto exported = std::make_shared<const Dmabuf>(std::move(made.value()));
  known = exported;
  return exported;
}

Result<std::unique_ptr<CopyStream>> DriverRegion::borrow_stream() const {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_streams_.empty()) {
      auto stream = std::move(idle_streams_.back());
      idle_streams_.pop_back();
      return stream;
    }
  }
  return device_->open_stream();
}

Status DriverRegion::copy_out(std::uint64_t offset, std::span<std::byte> into) const {
  if (offset > size() || into.size() > size() - offset) {
    return Status::error(Code::kOutOfRange, "cannot read " + std::to_string(into.size()) + " bytes at offset " +
                                                std::to_string(offset) + " of a region of " + std::to_string(size()) +
                                                " bytes");
  }
  if (into.empty()) return Status::success();
  auto borrowed = borrow_stream();
  if (!borrowed.ok()) return borrowed.status();
  CopyStream& stream = *borrowed.value();
  if (Status status = stream.to_host(into.data(), data() + offset, into.size()); !status.ok()) return status;
  auto ticket = stream.mark();
  if (!ticket.ok()) return ticket.status();
  // One that failed is not used again.
  if (Status status = stream.wait(ticket.value()); !status.ok()) return status;
  const std::lock_guard lock(mutex_);
  idle_streams_.push_back(std::move(borrowed.value()));
  return Status::success();
}

}  // namespace weightcast::memory
