#include "transport/tcp/ranges.h"

#include <algorithm>
#include <utility>

namespace weightcast::transport::tcp {
namespace {

// Ends are compared as last bytes: an end of 2^64 does not fit 64 bits, the byte before it does.
std::uint64_t last_byte(const ServedRange& range) { return range.address + (range.length - 1); }

bool can_be_served(const ServedRange& range) {
  if (!range.region || range.region->on_device() != nullptr || range.length == 0 ||
      range.address < range.region->address())
    return false;
  const std::uint64_t offset = range.address - range.region->address();
  return offset <= range.region->size() && range.length <= range.region->size() - offset;
}

}  // namespace

RangeTable::RangeTable(std::vector<ServedRange> ranges) : ranges_(std::move(ranges)) {
  std::erase_if(ranges_, [](const ServedRange& range) { return !can_be_served(range); });
  std::sort(ranges_.begin(), ranges_.end(),
            [](const ServedRange& a, const ServedRange& b) { return a.address < b.address; });
  furthest_.reserve(ranges_.size());
  for (std::uint32_t i = 0; i < ranges_.size(); ++i) {
    const bool further = i == 0 || last_byte(ranges_[i]) >= last_byte(ranges_[furthest_.back()]);
    furthest_.push_back(further ? i : furthest_.back());
  }
}

const ServedRange* RangeTable::find(std::uint64_t address, std::uint64_t size) const {
  if (size == 0) return nullptr;
  const auto above =
      std::upper_bound(ranges_.begin(), ranges_.end(), address,
                       [](std::uint64_t value, const ServedRange& range) { return value < range.address; });
  if (above == ranges_.begin()) return nullptr;
  // Every range before `above` starts early enough; the one that ends last holds the request if any does.
  const ServedRange& range = ranges_[furthest_[static_cast<std::size_t>(above - ranges_.begin()) - 1]];
  const std::uint64_t offset = address - range.address;
  if (offset >= range.length || size > range.length - offset) return nullptr;
  return &range;
}

std::shared_ptr<const RangeTable> RangeStore::load() const {
  const std::lock_guard lock(mutex_);
  return table_;
}

void RangeStore::store(std::shared_ptr<const RangeTable> table) {
  {
    const std::lock_guard lock(mutex_);
    table_.swap(table);
  }
  // The old table, and with it perhaps the last reference to a region, goes here: outside of the lock.
}

}  // namespace weightcast::transport::tcp
