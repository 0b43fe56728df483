#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "transfer/landing_log.h"
#include "transfer/plan.h"
#include "transport/transport.h"

namespace weightcast::transfer {

/// A region that is read into, in equal chunks: which of them have all their bytes, while others are still being read.
/// For who passes bytes on in pieces much larger than a slice, such as a file's writer. Bytes of the region that the
/// plan does not bring count as being there.
class LandedChunks {
 public:
  /// Of `size` bytes from `base`, which is region `region` of the plan; the last chunk may be shorter than
  /// `chunk_bytes` (not 0). Loads nothing from them.
  LandedChunks(const Plan& plan, std::uint32_t region, const std::byte* base, std::uint64_t size,
               std::uint32_t chunk_bytes);

  /// Lanes: the bytes of a slice are in local memory. Once for each slice; lock-free, never waits.
  void landed(std::span<const transport::Segment> segments);
  /// The next chunk that is whole, by its index, or nothing at the moment. Each is given once; any thread. What lanes
  /// wrote there is visible to the caller.
  std::optional<std::uint32_t> take() { return log_.take(); }

 private:
  /// The parts of a segment, chunk by chunk; `part` is called with the chunk's index and the bytes in it.
  template <typename Part>
  void split(const transport::Segment& segment, Part part) const;

  const std::uint32_t region_;
  const std::byte* const base_;
  const std::uint64_t chunk_bytes_;
  std::vector<std::atomic<std::uint32_t>> missing_;  // bytes, of each chunk
  LandingLog log_;                                   // of chunks
};

}  // namespace weightcast::transfer
