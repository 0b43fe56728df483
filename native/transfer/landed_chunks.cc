#include "transfer/landed_chunks.h"

#include <algorithm>
#include <limits>

namespace weightcast::transfer {
namespace {

// Takers ask; nobody sleeps for a chunk.
constexpr std::uint64_t kNoWakeUps = std::numeric_limits<std::uint64_t>::max();

}  // namespace

LandedChunks::LandedChunks(const Plan& plan, std::uint32_t region, const std::byte* base, std::uint64_t size,
                           std::uint32_t chunk_bytes)
    : region_(region),
      base_(base),
      chunk_bytes_(chunk_bytes),
      missing_((size + chunk_bytes - 1) / chunk_bytes),
      log_(missing_.size(), kNoWakeUps) {
  for (const transport::Segment& segment : plan.segments) {
    split(segment, [this](std::size_t chunk, std::uint32_t bytes) {
      missing_[chunk].fetch_add(bytes, std::memory_order_relaxed);
    });
  }
  for (std::size_t chunk = 0; chunk < missing_.size(); ++chunk) {
    if (missing_[chunk].load(std::memory_order_relaxed) == 0) log_.landed(static_cast<std::uint32_t>(chunk));
  }
}

template <typename Part>
void LandedChunks::split(const transport::Segment& segment, Part part) const {
  if (segment.region != region_) return;
  auto begin = static_cast<std::uint64_t>(segment.address - base_);
  const std::uint64_t end = begin + segment.length;
  while (begin < end) {
    const std::uint64_t chunk = begin / chunk_bytes_;
    const std::uint64_t until = std::min(end, (chunk + 1) * chunk_bytes_);
    part(static_cast<std::size_t>(chunk), static_cast<std::uint32_t>(until - begin));
    begin = until;
  }
}

void LandedChunks::landed(std::span<const transport::Segment> segments) {
  for (const transport::Segment& segment : segments) {
    split(segment, [this](std::size_t chunk, std::uint32_t bytes) {
      // Acquires what other lanes wrote into the chunk, and releases it with the log's entry to who takes it.
      if (missing_[chunk].fetch_sub(bytes, std::memory_order_acq_rel) == bytes) {
        log_.landed(static_cast<std::uint32_t>(chunk));
      }
    });
  }
}

}  // namespace weightcast::transfer
