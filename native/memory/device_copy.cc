#include "memory/device_copy.h"

#include <cstring>
#include <span>
#include <utility>

namespace weightcast::memory {
namespace {

Status open_stream(const Region& region, std::unique_ptr<CopyStream>& stream) {
  if (region.on_device() == nullptr) return Status::success();
  auto opened = region.on_device()->device()->open_stream();
  if (!opened.ok()) return opened.status();
  stream = std::move(opened.value());
  return Status::success();
}

Status wait(CopyStream* stream, std::uint64_t ticket) {
  return stream == nullptr || ticket == 0 ? Status::success() : stream->wait(ticket);
}

/// A ticket for all that was asked of `stream` before.
Status mark(CopyStream& stream, std::uint64_t& ticket) {
  auto marked = stream.mark();
  if (!marked.ok()) return marked.status();
  ticket = marked.value();
  return Status::success();
}

}  // namespace

DeviceCopy::DeviceCopy(const Region& from, const Region& into) : from_(from), into_(into) {}

DeviceCopy::~DeviceCopy() = default;

Status DeviceCopy::open() {
  auto memory = allocate(kSlots * kPieceBytes, HugePages::kAuto);
  if (!memory.ok()) return memory.status();
  memory_ = std::move(memory.value());
  for (std::size_t i = 0; i < kSlots; ++i) slots_.at(i).bytes = memory_->data() + i * kPieceBytes;
  const DeviceRegion& device = *(from_.on_device() != nullptr ? from_ : into_).on_device();
  auto pin = device.device()->pin(memory_->data(), memory_->size());
  if (!pin.ok()) return pin.status();
  pin_ = std::move(pin.value());
  if (Status status = open_stream(from_, from_stream_); !status.ok()) return status;
  return open_stream(into_, into_stream_);
}

Status DeviceCopy::begin(std::uint64_t offset, std::uint64_t length) {
  Slot& slot = slots_.at(begun_ % kSlots);
  if (Status status = wait(into_stream_.get(), slot.emptied); !status.ok()) return status;
  slot.offset = offset;
  slot.length = length;
  if (Status status = fill(slot); !status.ok()) return status;
  if (++begun_ - emptying_ <= kFilling) return Status::success();
  return empty(slots_.at(emptying_++ % kSlots));
}

Status DeviceCopy::finish() {
  while (emptying_ < begun_) {
    if (Status status = empty(slots_.at(emptying_++ % kSlots)); !status.ok()) return status;
  }
  for (const Slot& slot : slots_) {
    if (Status status = wait(into_stream_.get(), slot.emptied); !status.ok()) return status;
  }
  return Status::success();
}

Status DeviceCopy::fill(Slot& slot) {
  if (from_stream_ == nullptr) return from_.copy_out(slot.offset, std::span(slot.bytes, slot.length));
  if (Status status = from_stream_->to_host(slot.bytes, from_.data() + slot.offset, slot.length); !status.ok()) {
    return status;
  }
  return mark(*from_stream_, slot.filled);
}

Status DeviceCopy::empty(Slot& slot) {
  if (Status status = wait(from_stream_.get(), slot.filled); !status.ok()) return status;
  if (into_stream_ == nullptr) {
    std::memcpy(into_.data() + slot.offset, slot.bytes, slot.length);
    return Status::success();
  }
  if (Status status = into_stream_->to_device(into_.data() + slot.offset, slot.bytes, slot.length); !status.ok()) {
    return status;
  }
  return mark(*into_stream_, slot.emptied);
}

}  // namespace weightcast::memory
