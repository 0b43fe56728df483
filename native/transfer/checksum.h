#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "common/status.h"
#include "memory/region.h"

namespace weightcast::transfer {

struct ChecksumRange {
  std::uint32_t region;  ///< index into the regions given
  std::uint64_t offset;
  std::uint64_t length;
};

/// XXH3-64 (seed 0) of each range, with `threads` threads that take ranges as they get free, largest first.
/// `done_bytes` counts up meanwhile; `cancel` ends it early with kCancelled. kIo when a mapped file was cut short.
Result<std::vector<std::uint64_t>> checksum(std::span<const memory::RegionPtr> regions,
                                            std::span<const ChecksumRange> ranges, unsigned threads,
                                            std::atomic<std::uint64_t>& done_bytes, const std::atomic<bool>& cancel);

}  // namespace weightcast::transfer
