#include "memory/device_reader.h"

#include <algorithm>
#include <utility>

namespace weightcast::memory {

Result<std::unique_ptr<DeviceReader>> DeviceReader::open(std::shared_ptr<Device> device) {
  std::unique_ptr<DeviceReader> reader(new DeviceReader(std::move(device)));
  auto memory = allocate(kSlots * kPieceBytes, HugePages::kNever);
  if (!memory.ok()) return memory.status();
  reader->memory_ = std::move(memory.value());
  auto pin = reader->device_->pin(reader->memory_->data(), reader->memory_->size());
  if (!pin.ok()) return pin.status();
  reader->pin_ = std::move(pin.value());
  auto stream = reader->device_->open_stream();
  if (!stream.ok()) return stream.status();
  reader->stream_ = std::move(stream.value());
  return reader;
}

Status DeviceReader::ask(std::size_t slot, const std::byte* from, std::uint64_t length) {
  Status status = stream_->to_host(memory_->data() + slot * kPieceBytes, from, length);
  if (!status.ok()) return status;
  auto ticket = stream_->mark();
  if (!ticket.ok()) return ticket.status();
  tickets_.at(slot) = ticket.value();
  return Status::success();
}

Status DeviceReader::read(const Region& region, std::uint64_t offset, std::uint64_t length, const Take& take) {
  const std::byte* from = region.data() + offset;
  const std::uint64_t pieces = (length + kPieceBytes - 1) / kPieceBytes;
  const auto length_of = [&](std::uint64_t piece) { return std::min(kPieceBytes, length - piece * kPieceBytes); };
  std::uint64_t asked = 0;
  for (std::uint64_t taken = 0; taken < pieces; ++taken) {
    for (; asked < pieces && asked - taken < kSlots; ++asked) {
      // What an earlier call left under way when it ended early comes first on the stream, and is overwritten.
      Status status = ask(asked % kSlots, from + asked * kPieceBytes, length_of(asked));
      if (!status.ok()) return status;
    }
    const std::size_t slot = taken % kSlots;
    if (Status status = stream_->wait(tickets_.at(slot)); !status.ok()) return status;
    Status status = take(std::span(memory_->data() + slot * kPieceBytes, length_of(taken)));
    if (!status.ok()) return status;
  }
  return Status::success();
}

}  // namespace weightcast::memory
