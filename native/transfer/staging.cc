#include "transfer/staging.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

namespace weightcast::transfer {
namespace {

/// More than any lane has under way; what is found by looking at all of them.
constexpr std::uint64_t kMostSlots = 1024;

std::uint64_t slots_of_lane(const Staging& staging, std::size_t lanes) {
  return std::min(staging.memory->size() / lanes / staging.slot_bytes, kMostSlots);
}

Status check(const Staging& staging, std::span<const memory::RegionPtr> regions, std::size_t lanes) {
  const memory::Region& memory = *staging.memory;
  if (!memory.safe_to_load() || !memory.writable()) {
    return Status::error(Code::kInvalidArgument, "staging memory must be writable memory of the host");
  }
  if (std::ranges::find(regions, staging.memory) != regions.end()) {
    return Status::error(Code::kInvalidArgument, "staging memory cannot be read into as well");
  }
  if (slots_of_lane(staging, lanes) >= kFewestSlots) return Status::success();
  return Status::error(Code::kInvalidArgument,
                       "staging memory of " + std::to_string(memory.size()) + " bytes is too small: " +
                           std::to_string(lanes) + " lanes need two slots of " + std::to_string(staging.slot_bytes) +
                           " bytes each, " + std::to_string(lanes * kFewestSlots * staging.slot_bytes) + " bytes");
}

}  // namespace

Result<Staging> make_staging(memory::RegionPtr memory, std::span<const memory::RegionPtr> regions, std::size_t lanes,
                             std::uint32_t slot_bytes) {
  Staging staging{.memory = std::move(memory), .slot_bytes = slot_bytes};
  if (Status status = check(staging, regions, std::max<std::size_t>(1, lanes)); !status.ok()) return status;
  // Memory that a driver has pinned is pinned for all of its devices, and no driver pins it twice.
  std::vector<memory::DeviceKind> pinned;
  for (const memory::RegionPtr& region : regions) {
    if (region->on_device() == nullptr) continue;
    memory::Device& device = *region->on_device()->device();
    if (std::ranges::find(pinned, device.kind()) != pinned.end()) continue;
    auto pin = device.pin(staging.memory->data(), staging.memory->size());
    if (!pin.ok()) return pin.status();
    staging.pins.push_back(std::move(pin.value()));
    pinned.push_back(device.kind());
  }
  return staging;
}

Result<std::unique_ptr<StagedFeed>> StagedFeed::open(transport::SliceFeed& inner, const Staging& staging,
                                                     std::span<const memory::RegionPtr> regions, std::uint32_t lane,
                                                     std::uint32_t lanes) {
  std::unique_ptr<StagedFeed> feed(new StagedFeed(inner));
  for (const memory::RegionPtr& region : regions) {
    feed->stream_of_.push_back(kNone);
    if (region->on_device() == nullptr) continue;
    const auto& device = region->on_device()->device();
    const auto known = std::ranges::find(feed->streams_, device.get(), &Stream::device);
    feed->stream_of_.back() = static_cast<std::uint32_t>(known - feed->streams_.begin());
    if (known != feed->streams_.end()) continue;
    auto copies = device->open_stream();
    if (!copies.ok()) return copies.status();
    feed->streams_.push_back({.device = device.get(), .copies = std::move(copies.value())});
  }
  const std::uint64_t slots = slots_of_lane(staging, lanes);
  for (std::uint64_t slot = 0; slot < slots; ++slot) {
    std::byte* at = staging.memory->data() + (lane * slots + slot) * staging.slot_bytes;
    feed->slots_.push_back({.address = at, .length = 0, .region = 0});
    feed->free_.push_back(static_cast<std::uint32_t>(slots - 1 - slot));
  }
  feed->slice_in_.assign(slots, kNone);
  feed->tickets_.assign(slots * feed->streams_.size(), 0);
  feed->copying_.resize(slots);
  return feed;
}

std::optional<std::uint32_t> StagedFeed::take() {
  reap(false);
  if (free_.empty() || stopping()) return std::nullopt;
  const auto index = inner_.take();
  if (!index) return std::nullopt;
  const std::uint32_t slot = free_.back();
  free_.pop_back();
  slots_[slot].length = inner_.slice(*index).length;
  slice_in_[slot] = *index;
  return index;
}

std::uint32_t StagedFeed::slot_of(std::uint32_t slice) const {
  return static_cast<std::uint32_t>(std::ranges::find(slice_in_, slice) - slice_in_.begin());
}

void StagedFeed::free_slot(std::uint32_t slot) {
  slice_in_[slot] = kNone;
  free_.push_back(slot);
}

std::span<const transport::Segment> StagedFeed::segments(std::uint32_t index) const {
  return std::span(slots_).subspan(slot_of(index), 1);
}

void StagedFeed::give_back(std::uint32_t index) {
  free_slot(slot_of(index));
  inner_.give_back(index);
}

void StagedFeed::landed(std::uint32_t index, std::uint32_t lane) {
  const std::uint32_t slot = slot_of(index);
  copying_[(oldest_ + copying_count_++) % copying_.size()] = {.slot = slot, .lane = lane};
  if (failed_) return;  // finish() gives it back
  if (Status status = start_copies(slot); !status.ok()) return fail(std::move(status));
  reap(false);
}

Status StagedFeed::start_copies(std::uint32_t slot) {
  constexpr std::uint64_t kAsked = 1;  // until there is a ticket
  const std::span tickets = tickets_of(slot);
  const std::byte* from = slots_[slot].address;
  for (const transport::Segment& segment : inner_.segments(slice_in_[slot])) {
    const std::uint32_t stream = stream_of_[segment.region];
    if (stream == kNone) {
      std::memcpy(segment.address, from, segment.length);
    } else {
      Status status = streams_[stream].copies->to_device(segment.address, from, segment.length);
      if (!status.ok()) return status;
      tickets[stream] = kAsked;
    }
    from += segment.length;
  }
  for (std::size_t stream = 0; stream < streams_.size(); ++stream) {
    if (tickets[stream] == 0) continue;
    auto ticket = streams_[stream].copies->mark();
    if (!ticket.ok()) return ticket.status();
    tickets[stream] = ticket.value();
  }
  return Status::success();
}

/// Takes the oldest out while they have been copied; waits for the first of them when asked to.
void StagedFeed::reap(bool wait) {
  while (copying_count_ > 0 && !failed_) {
    const Copying oldest = copying_[oldest_];
    if (!copied(oldest.slot, std::exchange(wait, false))) return;
    const std::uint32_t slice = slice_in_[oldest.slot];
    forget_oldest();
    inner_.landed(slice, oldest.lane);
  }
}

bool StagedFeed::copied(std::uint32_t slot, bool wait) {
  const std::span tickets = tickets_of(slot);
  for (std::size_t stream = 0; stream < streams_.size(); ++stream) {
    if (tickets[stream] == 0) continue;
    memory::CopyStream& copies = *streams_[stream].copies;
    Result<bool> reached = true;
    if (wait) {
      if (Status status = copies.wait(tickets[stream]); !status.ok()) reached = std::move(status);
    } else {
      reached = copies.reached(tickets[stream]);
    }
    if (!reached.ok()) fail(std::move(reached.status()));
    if (failed_ || !reached.value()) return false;
    tickets[stream] = 0;
  }
  return true;
}

void StagedFeed::forget_oldest() {
  free_slot(copying_[oldest_].slot);
  oldest_ = (oldest_ + 1) % copying_.size();
  --copying_count_;
}

void StagedFeed::fail(Status status) {
  failed_ = true;
  failure_ = std::move(status);
}

bool StagedFeed::wait_for_work() {
  if (stopping()) return false;
  if (copying_count_ == 0) return inner_.wait_for_work();
  reap(true);
  return !stopping();
}

Status StagedFeed::finish() {
  while (copying_count_ > 0 && !failed_) reap(true);
  streams_.clear();  // waits for what was asked of them
  while (copying_count_ > 0) {
    const std::uint32_t slice = slice_in_[copying_[oldest_].slot];
    forget_oldest();
    inner_.give_back(slice);
  }
  return failure_;
}

}  // namespace weightcast::transfer
