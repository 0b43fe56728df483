#include "hip/stream.h"

#include <string>

namespace weightcast::hip {

Result<std::unique_ptr<HipStream>> HipStream::open(std::shared_ptr<const HipDevice> device) {
  const Current current(*device);
  if (!current.status().ok()) return current.status();
  Stream stream = nullptr;
  const Code code = device->driver().stream_create(&stream, kStreamNonBlocking);
  if (code != Code::kSuccess)
    return device->driver().failed(code, "hipStreamCreateWithFlags", "cannot make a stream on " + device->name());
  return std::unique_ptr<HipStream>(new HipStream(std::move(device), stream));
}

HipStream::~HipStream() {
  const Current current(*device_);
  if (!current.status().ok()) return;
  const Driver& driver = device_->driver();
  (void)driver.stream_synchronize(stream_);
  for (const Marked& marked : marked_) (void)driver.event_destroy(marked.event);
  for (Event event : idle_) (void)driver.event_destroy(event);
  (void)driver.stream_destroy(stream_);
}

Status HipStream::to_device(std::byte* device, const std::byte* host, std::uint64_t length) {
  const Current current(*device_);
  if (!current.status().ok()) return current.status();
  const Code code = device_->driver().memcpy_async(device, host, length, CopyKind::kHostToDevice, stream_);
  if (code == Code::kSuccess) return Status::success();
  return device_->driver().failed(code, "hipMemcpyAsync",
                                  "cannot copy " + std::to_string(length) + " bytes to " + device_->name());
}

Status HipStream::to_host(std::byte* host, const std::byte* device, std::uint64_t length) {
  const Current current(*device_);
  if (!current.status().ok()) return current.status();
  const Code code = device_->driver().memcpy_async(host, device, length, CopyKind::kDeviceToHost, stream_);
  if (code == Code::kSuccess) return Status::success();
  return device_->driver().failed(code, "hipMemcpyAsync",
                                  "cannot copy " + std::to_string(length) + " bytes from " + device_->name());
}

Result<std::uint64_t> HipStream::mark() {
  const Current current(*device_);
  if (!current.status().ok()) return current.status();
  auto event = idle_event();
  if (!event.ok()) return event.status();
  if (const Code code = device_->driver().event_record(event.value(), stream_); code != Code::kSuccess) {
    idle_.push_back(event.value());
    return device_->driver().failed(code, "hipEventRecord", "cannot follow copies of " + device_->name());
  }
  marked_.push_back({.ticket = ++last_, .event = event.value()});
  return last_;
}

Result<bool> HipStream::reached(std::uint64_t ticket) {
  if (ticket <= reached_) return true;
  const Current current(*device_);
  if (!current.status().ok()) return current.status();
  while (!marked_.empty() && reached_ < ticket) {
    const Code code = device_->driver().event_query(marked_.front().event);
    if (code == Code::kNotReady) return false;
    if (code != Code::kSuccess)
      return device_->driver().failed(code, "hipEventQuery", "a copy of " + device_->name() + " failed");
    forget_oldest();
  }
  return ticket <= reached_;
}

Status HipStream::wait(std::uint64_t ticket) {
  if (ticket <= reached_) return Status::success();
  const Current current(*device_);
  if (!current.status().ok()) return current.status();
  while (!marked_.empty() && reached_ < ticket) {
    const Code code = device_->driver().event_synchronize(marked_.front().event);
    if (code != Code::kSuccess)
      return device_->driver().failed(code, "hipEventSynchronize", "a copy of " + device_->name() + " failed");
    forget_oldest();
  }
  return Status::success();
}

Result<Event> HipStream::idle_event() {
  if (!idle_.empty()) {
    Event event = idle_.back();
    idle_.pop_back();
    return event;
  }
  Event event = nullptr;
  // Who waits for one sleeps: the processor is the lanes'.
  const Code code = device_->driver().event_create(&event, kEventDisableTiming | kEventBlockingSync);
  if (code != Code::kSuccess)
    return device_->driver().failed(code, "hipEventCreateWithFlags", "cannot follow copies of " + device_->name());
  return event;
}

void HipStream::forget_oldest() {
  reached_ = marked_.front().ticket;
  idle_.push_back(marked_.front().event);
  marked_.pop_front();
}

}  // namespace weightcast::hip
