#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "transport/tcp/server.h"

namespace weightcast::transport::tcp {

/// The served ranges, ordered for lookup. Immutable, so that workers share it without a lock.
class RangeTable {
 public:
  /// Ranges that leave their region, wrap or are empty are left out: what is not there is not served. So are those of
  /// accelerators' memory, which a socket cannot send from.
  explicit RangeTable(std::vector<ServedRange> ranges);
  /// The range that holds all of [address, address + size), or nullptr. Size 0 is in no range.
  [[nodiscard]] const ServedRange* find(std::uint64_t address, std::uint64_t size) const;

 private:
  std::vector<ServedRange> ranges_;      // by address
  std::vector<std::uint32_t> furthest_;  // of ranges [0, i], the one that ends last: ranges may overlap
};

/// The table of the moment. A request takes a snapshot; `store` never disturbs those that run.
class RangeStore {
 public:
  [[nodiscard]] std::shared_ptr<const RangeTable> load() const;
  void store(std::shared_ptr<const RangeTable> table);

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const RangeTable> table_ = std::make_shared<const RangeTable>(std::vector<ServedRange>{});
};

}  // namespace weightcast::transport::tcp
