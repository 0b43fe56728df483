#pragma once

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "memory/device.h"
#include "support/bytes.h"

namespace weightcast::test {

/// What a FakeDevice does otherwise than well.
struct DeviceFaults {
  std::chrono::microseconds per_copy{0};  ///< so much later than asked
  int copies_before_refusal = -1;         ///< to_device and to_host of all streams; -1: never refused
  int copies_before_breaking = -1;        ///< accepted, but never done: later tickets are failures
  bool refuses_streams = false;
  bool refuses_pins = false;
  bool changed_owner = false;  ///< prepare_registration: kClosed
};

/// An accelerator whose memory is the host's, for tests of what is behind `memory::Device`. Copies are done by a thread
/// of the stream, later: whoever uses a range before its ticket was reached gets other bytes.
class FakeDevice final : public memory::Device, public std::enable_shared_from_this<FakeDevice> {
 public:
  explicit FakeDevice(DeviceFaults faults = {}, std::uint32_t ordinal = 0) : faults_(faults), ordinal_(ordinal) {}
  FakeDevice(const FakeDevice&) = delete;
  FakeDevice& operator=(const FakeDevice&) = delete;
  FakeDevice(FakeDevice&&) = delete;
  FakeDevice& operator=(FakeDevice&&) = delete;
  ~FakeDevice() override { EXPECT_TRUE(pinned_.empty()); }

  [[nodiscard]] memory::DeviceKind kind() const override { return memory::DeviceKind::kCuda; }
  [[nodiscard]] std::uint32_t ordinal() const override { return ordinal_; }
  [[nodiscard]] std::string pci_address() const override { return "0000:17:00.0"; }

  Result<std::unique_ptr<memory::CopyStream>> open_stream() override;
  Result<std::unique_ptr<memory::PinnedHost>> pin(std::byte* host, std::uint64_t length) override;
  Status flush() override {
    ++flushes;
    return Status::success();
  }

  /// Nothing is copied from now on, until `go_on`.
  void hold() {
    const std::lock_guard lock(mutex_);
    held_ = true;
  }
  void go_on() {
    const std::lock_guard lock(mutex_);
    held_ = false;
    changed_.notify_all();
  }

  std::atomic<int> flushes = 0;
  std::atomic<int> copies = 0;    ///< asked for
  std::atomic<int> unpinned = 0;  ///< of those, with host memory that is not pinned
  std::atomic<int> under_way = 0;
  std::atomic<int> most_under_way = 0;
  std::atomic<int> streams = 0;  ///< open now

 private:
  class Stream;
  class Pin;

  const DeviceFaults faults_;
  const std::uint32_t ordinal_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool held_ = false;
  std::vector<std::pair<const std::byte*, std::uint64_t>> pinned_;
};

class FakeDevice::Pin final : public memory::PinnedHost {
 public:
  Pin(std::shared_ptr<FakeDevice> device, const std::byte* host) : device_(std::move(device)), host_(host) {}
  Pin(const Pin&) = delete;
  Pin& operator=(const Pin&) = delete;
  Pin(Pin&&) = delete;
  Pin& operator=(Pin&&) = delete;
  ~Pin() override {
    const std::lock_guard lock(device_->mutex_);
    std::erase_if(device_->pinned_, [this](const auto& range) { return range.first == host_; });
  }

 private:
  std::shared_ptr<FakeDevice> device_;
  const std::byte* host_;
};

class FakeDevice::Stream final : public memory::CopyStream {
 public:
  explicit Stream(std::shared_ptr<FakeDevice> device) : device_(std::move(device)) {
    ++device_->streams;
    thread_ = std::thread([this] { run(); });
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  Stream(Stream&&) = delete;
  Stream& operator=(Stream&&) = delete;
  ~Stream() override {
    {
      const std::lock_guard lock(device_->mutex_);
      ending_ = true;
      device_->changed_.notify_all();
    }
    thread_.join();
    --device_->streams;
  }

  Status to_device(std::byte* device, const std::byte* host, std::uint64_t length) override {
    return ask(device, host, length, host);
  }
  Status to_host(std::byte* host, const std::byte* device, std::uint64_t length) override {
    return ask(host, device, length, host);
  }
  Result<std::uint64_t> mark() override {
    const std::lock_guard lock(device_->mutex_);
    marks_.push_back(asked_);
    return static_cast<std::uint64_t>(marks_.size());
  }
  Result<bool> reached(std::uint64_t ticket) override {
    const std::lock_guard lock(device_->mutex_);
    if (broken_) return broken();
    return done_ >= marks_.at(ticket - 1);
  }
  Status wait(std::uint64_t ticket) override {
    std::unique_lock lock(device_->mutex_);
    device_->changed_.wait(lock, [&] { return broken_ || done_ >= marks_.at(ticket - 1); });
    return broken_ ? broken() : Status::success();
  }

 private:
  struct Copy {
    std::byte* into;
    const std::byte* from;
    std::uint64_t length;
  };

  static Status broken() { return Status::error(Code::kDevice, "the fake device broke (cuEventQuery)"); }

  Status ask(std::byte* into, const std::byte* from, std::uint64_t length, const std::byte* host) {
    const int number = device_->copies++;
    if (device_->faults_.copies_before_refusal >= 0 && number >= device_->faults_.copies_before_refusal) {
      return Status::error(Code::kDevice, "the fake device refused a copy (cuMemcpyAsync)");
    }
    const std::lock_guard lock(device_->mutex_);
    const bool pinned = std::ranges::any_of(device_->pinned_, [&](const auto& range) {
      return host >= range.first && host + length <= range.first + range.second;
    });
    if (!pinned) ++device_->unpinned;
    breaks_ =
        breaks_ || (device_->faults_.copies_before_breaking >= 0 && number >= device_->faults_.copies_before_breaking);
    queue_.push_back({into, from, length});
    ++asked_;
    device_->most_under_way = std::max(device_->most_under_way.load(), ++device_->under_way);
    device_->changed_.notify_all();
    return Status::success();
  }

  void run() {
    std::unique_lock lock(device_->mutex_);
    while (true) {
      device_->changed_.wait(lock, [&] { return (!queue_.empty() && (!device_->held_ || ending_)) || ending_; });
      if (queue_.empty()) return;
      const Copy copy = queue_.front();
      queue_.pop_front();
      broken_ = broken_ || breaks_;
      if (!broken_) {
        lock.unlock();
        if (device_->faults_.per_copy.count() > 0) std::this_thread::sleep_for(device_->faults_.per_copy);
        std::memcpy(copy.into, copy.from, copy.length);
        lock.lock();
      }
      ++done_;
      --device_->under_way;
      device_->changed_.notify_all();
    }
  }

  std::shared_ptr<FakeDevice> device_;
  std::thread thread_;
  // Guarded by the device's mutex.
  std::deque<Copy> queue_;
  std::deque<std::uint64_t> marks_;
  std::uint64_t asked_ = 0;
  std::uint64_t done_ = 0;
  bool breaks_ = false;
  bool broken_ = false;
  bool ending_ = false;
};

inline Result<std::unique_ptr<memory::CopyStream>> FakeDevice::open_stream() {
  if (faults_.refuses_streams) return Status::error(Code::kDevice, "the fake device has no stream (cuStreamCreate)");
  return std::unique_ptr<memory::CopyStream>(new Stream(shared_from_this()));
}

inline Result<std::unique_ptr<memory::PinnedHost>> FakeDevice::pin(std::byte* host, std::uint64_t length) {
  if (faults_.refuses_pins) return Status::error(Code::kDevice, "the fake device pins nothing (cuMemHostRegister)");
  const std::lock_guard lock(mutex_);
  pinned_.emplace_back(host, length);
  return std::unique_ptr<memory::PinnedHost>(new Pin(shared_from_this(), host));
}

/// Memory of a FakeDevice.
class FakeDeviceRegion final : public memory::DeviceRegion {
 public:
  FakeDeviceRegion(std::shared_ptr<FakeDevice> device, memory::RegionPtr memory, DeviceFaults faults = {})
      : DeviceRegion(memory->data(), memory->size(), memory->page_size(), true),
        device_(std::move(device)),
        memory_(std::move(memory)),
        faults_(faults) {}

  [[nodiscard]] const std::shared_ptr<memory::Device>& device() const override { return device_; }
  Result<std::shared_ptr<const memory::Dmabuf>> export_dmabuf(std::uint64_t, std::uint64_t) const override {
    ++exports;
    return Status::error(Code::kDevice, "the fake device exports nothing (cuMemGetHandleForAddressRange)");
  }
  Status prepare_registration(std::uint64_t, std::uint64_t) const override {
    ++preparations;
    if (faults_.changed_owner) return Status::error(Code::kClosed, "the address is other memory's by now");
    return Status::success();
  }
  [[nodiscard]] Status copy_out(std::uint64_t offset, std::span<std::byte> into) const override {
    return memory_->copy_out(offset, into);
  }

  mutable std::atomic<int> exports = 0;
  mutable std::atomic<int> preparations = 0;

 private:
  std::shared_ptr<memory::Device> device_;
  memory::RegionPtr memory_;
  DeviceFaults faults_;
};

/// `size` bytes of a device, random for a `seed` that is not 0.
inline std::shared_ptr<const FakeDeviceRegion> device_region(const std::shared_ptr<FakeDevice>& device,
                                                             std::uint64_t size, std::uint64_t seed = 0,
                                                             DeviceFaults faults = {}) {
  return std::make_shared<const FakeDeviceRegion>(device, seed == 0 ? empty_region(size) : random_region(size, seed),
                                                  faults);
}

/// What a fake device's memory holds: a test may look where a program may not.
inline std::span<std::byte> bytes_on(const std::shared_ptr<const FakeDeviceRegion>& region) {
  return {region->data(), region->size()};
}

}  // namespace weightcast::test
