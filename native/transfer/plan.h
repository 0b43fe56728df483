#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "common/status.h"
#include "transport/transport.h"

namespace weightcast::transfer {

/// One range that the caller wants: usually a tensor.
struct Want {
  std::uint64_t remote_address;
  std::uint64_t length;
  std::byte* local;
  std::uint32_t region;  ///< index of the local region that holds [local, local + length)
};

/// A range that the peer registered. A read must lie inside one of them.
struct RemoteBuffer {
  std::uint64_t address;
  std::uint64_t length;
};

struct PlanOptions {
  std::uint32_t slice_bytes =
      1U << 20;                    ///< largest read; dataplane §2.2 shows 1 MiB saturates 400 Gb/s at 16 in flight
  std::uint32_t max_segments = 1;  ///< scatter elements of one read; 1 for TCP would be wrong: sockets scatter too
  bool merge = true;               ///< false reads want by want, for measuring what merging brings
  bool trace = false;              ///< also tell which slices bring which want, in `Plan::order`
};

/// The reads that bring all wants: neighbours in remote memory are merged, gathered up to max_segments local runs, cut
/// at buffer edges and at slice_bytes.
struct Plan {
  std::vector<transport::Slice> slices;
  std::vector<transport::Segment> segments;
  std::uint64_t bytes = 0;
  /// With `trace`: the wants that are not empty, one after the other as the slices bring them. Their bytes are those of
  /// the slices, one after the other: by index, or by `rank` where that is not empty.
  std::vector<std::uint32_t> order;
  std::vector<std::uint32_t> rank;  ///< of each slice; only where wants alias remotely
};

/// kOutOfRange names the want's index when its range is not covered by remote buffers; kInvalidArgument on overflow.
/// Wants of length 0 are skipped. Wants may alias remotely (tied weights), never locally.
Result<Plan> make_plan(std::span<const Want> wants, std::span<const RemoteBuffer> buffers, const PlanOptions& options);

}  // namespace weightcast::transfer
