#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/status.h"
#include "memory/device.h"

namespace weightcast::memory {

/// A CopyStream by a driver that has streams and events: a stream of its own, which does not wait for the default one,
/// so that an engine's kernels do not hold up a pull. Tickets are events, used again once they were reached.
///
/// `Api` is what differs between drivers: its types (`Device`, `Current`, `Stream`, `Event`, `Code`), `to_device` and
/// `to_host`, which only begin a copy, the flags of streams and events, and what the driver calls its functions.
template <typename Api>
class EventStream final : public CopyStream {
 public:
  using Device = typename Api::Device;

  /// kDevice, kOutOfMemory.
  static Result<std::unique_ptr<EventStream>> open(std::shared_ptr<const Device> device) {
    const Current current(*device);
    if (!current.status().ok()) return current.status();
    Stream stream = nullptr;
    const Code code = device->driver().stream_create(&stream, Api::kStreamFlags);
    if (code != Code::kSuccess)
      return device->driver().failed(code, Api::kStreamCreate, "cannot make a stream on " + device->name());
    return std::unique_ptr<EventStream>(new EventStream(std::move(device), stream));
  }

  EventStream(const EventStream&) = delete;
  EventStream& operator=(const EventStream&) = delete;
  ~EventStream() override {
    // These calls know where they belong by the handle: they are made even where the device cannot be made current any
    // more.
    const Current current(*device_);
    (void)device_->driver().stream_synchronize(stream_);
    (void)device_->driver().stream_destroy(stream_);
    for (const Marked& marked : marked_) (void)device_->driver().event_destroy(marked.event);
    for (Event event : idle_) (void)device_->driver().event_destroy(event);
  }

  Status to_device(std::byte* device, const std::byte* host, std::uint64_t length) override {
    return begin(Api::kToDevice, "to", length,
                 [&] { return Api::to_device(device_->driver(), device, host, length, stream_); });
  }
  Status to_host(std::byte* host, const std::byte* device, std::uint64_t length) override {
    return begin(Api::kToHost, "from", length,
                 [&] { return Api::to_host(device_->driver(), host, device, length, stream_); });
  }

  Result<std::uint64_t> mark() override {
    const Current current(*device_);
    if (!current.status().ok()) return current.status();
    auto event = idle_event();
    if (!event.ok()) return event.status();
    if (const Code code = device_->driver().event_record(event.value(), stream_); code != Code::kSuccess) {
      idle_.push_back(event.value());
      return failed(code, Api::kEventRecord, "cannot follow copies of ");
    }
    marked_.push_back({.ticket = ++last_, .event = event.value()});
    return last_;
  }

  Result<bool> reached(std::uint64_t ticket) override {
    if (ticket <= reached_) return true;
    const Current current(*device_);
    if (!current.status().ok()) return current.status();
    while (!marked_.empty() && reached_ < ticket) {
      const Code code = device_->driver().event_query(marked_.front().event);
      if (code == Code::kNotReady) return false;
      if (code != Code::kSuccess) return failed(code, Api::kEventQuery, "a copy failed on ");
      forget_oldest();
    }
    return ticket <= reached_;
  }

  Status wait(std::uint64_t ticket) override {
    if (ticket <= reached_) return Status::success();
    const Current current(*device_);
    if (!current.status().ok()) return current.status();
    while (!marked_.empty() && reached_ < ticket) {
      const Code code = device_->driver().event_synchronize(marked_.front().event);
      if (code != Code::kSuccess) return failed(code, Api::kEventSynchronize, "a copy failed on ");
      forget_oldest();
    }
    return Status::success();
  }

 private:
  using Current = typename Api::Current;
  using Stream = typename Api::Stream;
  using Event = typename Api::Event;
  using Code = typename Api::Code;

  struct Marked {
    std::uint64_t ticket;
    Event event;
  };

  EventStream(std::shared_ptr<const Device> device, Stream stream) : device_(std::move(device)), stream_(stream) {}

  template <typename Copy>
  Status begin(const char* call, const char* direction, std::uint64_t length, Copy copy) {
    const Current current(*device_);
    if (!current.status().ok()) return current.status();
    const Code code = copy();
    if (code == Code::kSuccess) return Status::success();
    return failed(code, call, "cannot copy " + std::to_string(length) + " bytes " + direction + " ");
  }

  Result<Event> idle_event() {
    if (!idle_.empty()) {
      Event event = idle_.back();
      idle_.pop_back();
      return event;
    }
    Event event = nullptr;
    const Code code = device_->driver().event_create(&event, Api::kEventFlags);
    if (code != Code::kSuccess) return failed(code, Api::kEventCreate, "cannot follow copies of ");
    return event;
  }

  void forget_oldest() {
    reached_ = marked_.front().ticket;
    idle_.push_back(marked_.front().event);
    marked_.pop_front();
  }

  [[nodiscard]] Status failed(Code code, const char* call, const std::string& doing) const {
    return device_->driver().failed(code, call, doing + device_->name());
  }

  std::shared_ptr<const Device> device_;
  Stream stream_;
  std::deque<Marked> marked_;  // not known to be reached, oldest first
  std::vector<Event> idle_;
  std::uint64_t last_ = 0;     // ticket that was given
  std::uint64_t reached_ = 0;  // highest that was reached
};

}  // namespace weightcast::memory
