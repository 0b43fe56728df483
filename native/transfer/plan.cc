#include "transfer/plan.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <optional>
#include <string>
#include <utility>

#include "transfer/address_order.h"

namespace weightcast::transfer {
namespace {

using transport::Segment;
using transport::Slice;

constexpr std::uint64_t kIndexLimit = std::numeric_limits<std::uint32_t>::max();
// 1 TiB in slices of 1 MiB; a hint for the allocator and no bound.
constexpr std::uint64_t kReserveLimit = 1U << 20;
// So many wants are planned in less than a load from memory takes: 16 measured slower, for a million.
constexpr std::size_t kLookAhead = 48;

/// Ends are kept as last bytes, since the end of a range at the top of the address space is 2^64.
struct Extent {
  std::uint64_t first;
  std::uint64_t last;
  std::uint32_t buffer;
};

bool wraps(std::uint64_t address, std::uint64_t length) {
  return length > 0 && length - 1 > std::numeric_limits<std::uint64_t>::max() - address;
}

Status invalid(std::string message) { return Status::error(Code::kInvalidArgument, std::move(message)); }

/// The remote buffers, ordered for lookup.
class Cover {
 public:
  explicit Cover(std::span<const RemoteBuffer> buffers) {
    for (std::uint32_t i = 0; i < buffers.size(); ++i) {
      const RemoteBuffer& buffer = buffers[i];
      if (buffer.length > 0) extents_.push_back({buffer.address, buffer.address + (buffer.length - 1), i});
    }
    std::sort(extents_.begin(), extents_.end(), [](const Extent& a, const Extent& b) { return a.first < b.first; });
    furthest_.reserve(extents_.size());
    for (const Extent& extent : extents_) {
      const bool further = furthest_.empty() || extent.last >= furthest_.back().last;
      furthest_.push_back(further ? extent : furthest_.back());
    }
  }

  /// Of the buffers that hold `address`, the one that reaches furthest: buffers may overlap. Nothing: none holds it.
  [[nodiscard]] std::optional<Extent> at(std::uint64_t address) const {
    const auto above = std::upper_bound(extents_.begin(), extents_.end(), address,
                                        [](std::uint64_t value, const Extent& extent) { return value < extent.first; });
    if (above == extents_.begin()) return std::nullopt;
    const Extent& extent = furthest_[static_cast<std::size_t>(above - extents_.begin()) - 1];
    if (extent.last < address) return std::nullopt;
    return extent;
  }

 private:
  std::vector<Extent> extents_;   // by first byte
  std::vector<Extent> furthest_;  // of extents [0, i], the one that ends last
};

/// A part of a want that lies in one remote buffer.
struct Piece {
  std::uint64_t remote;
  std::uint64_t length;
  std::byte* local;
  std::uint32_t region;
  std::uint32_t buffer;
};

/// Appends pieces, in address order, to the slice that is open, or opens the next one.
class Slicer {
 public:
  explicit Slicer(const PlanOptions& options) : options_(options) {}

  void reserve(std::size_t wants, std::uint64_t bytes) {
    const auto full = static_cast<std::size_t>(std::min(bytes / options_.slice_bytes, kReserveLimit));
    plan_.segments.reserve(wants + full);
    plan_.slices.reserve(full + (options_.merge ? 0 : wants));
  }

  void append(Piece piece) {
    plan_.bytes += piece.length;
    while (piece.length > 0) {
      const bool new_slice = !open_ || !extends_slice(piece);
      const bool new_segment = new_slice || !extends_segment(piece);
      if (new_slice || (new_segment && plan_.slices.back().segment_count == options_.max_segments)) {
        open_slice(piece);
        add_segment(piece);
      } else if (new_segment) {
        add_segment(piece);
      }
      Slice& slice = plan_.slices.back();
      const auto taken =
          static_cast<std::uint32_t>(std::min<std::uint64_t>(piece.length, options_.slice_bytes - slice.length));
      slice.length += taken;
      plan_.segments.back().length += taken;
      piece.remote += taken;
      piece.local += taken;
      piece.length -= taken;
    }
  }

  /// False when more slices or segments exist than 32-bit indices can name.
  [[nodiscard]] bool countable() const {
    return plan_.slices.size() <= kIndexLimit && plan_.segments.size() <= kIndexLimit;
  }

  void end_want() {
    if (!options_.merge) open_ = false;
  }

  Plan finish() {
    const auto by_address = [](const Slice& a, const Slice& b) { return a.remote_address < b.remote_address; };
    // Only wants that alias remotely go back in memory.
    if (!std::is_sorted(plan_.slices.begin(), plan_.slices.end(), by_address)) {
      if (options_.trace) rank();
      std::stable_sort(plan_.slices.begin(), plan_.slices.end(), by_address);
    }
    return std::move(plan_);
  }

  void trace(const std::vector<Position>& positions) {
    if (!options_.trace) return;
    plan_.order.reserve(positions.size());
    for (const Position& position : positions) plan_.order.push_back(position.want);
  }

 private:
  [[nodiscard]] bool extends_slice(const Piece& piece) const {
    const Slice& slice = plan_.slices.back();
    return slice.remote_buffer == piece.buffer && slice.length < options_.slice_bytes &&
           piece.remote >= slice.remote_address && piece.remote - slice.remote_address == slice.length;
  }

  [[nodiscard]] bool extends_segment(const Piece& piece) const {
    const Segment& segment = plan_.segments.back();
    return segment.region == piece.region && segment.address + segment.length == piece.local;
  }

  void open_slice(const Piece& piece) {
    plan_.slices.push_back({.remote_address = piece.remote,
                            .length = 0,
                            .remote_buffer = piece.buffer,
                            .first_segment = static_cast<std::uint32_t>(plan_.segments.size()),
                            .segment_count = 0});
    open_ = true;
  }

  void add_segment(const Piece& piece) {
    plan_.segments.push_back({.address = piece.local, .length = 0, .region = piece.region});
    ++plan_.slices.back().segment_count;
  }

  /// Where each slice is now, in the order in which they will be.
  void rank() {
    plan_.rank.resize(plan_.slices.size());
    std::iota(plan_.rank.begin(), plan_.rank.end(), 0U);
    std::stable_sort(plan_.rank.begin(), plan_.rank.end(), [this](std::uint32_t a, std::uint32_t b) {
      return plan_.slices[a].remote_address < plan_.slices[b].remote_address;
    });
  }

  PlanOptions options_;
  Plan plan_;
  bool open_ = false;
};

Status check_options(const PlanOptions& options, std::span<const Want> wants, std::span<const RemoteBuffer> buffers) {
  if (options.slice_bytes == 0)
    return invalid("Slices of 0 bytes cannot move anything; give slice_bytes of at least 1");
  if (options.max_segments == 0) return invalid("A read needs at least 1 segment; give max_segments of at least 1");
  if (wants.size() > kIndexLimit) return invalid(std::to_string(wants.size()) + " wants are more than 2^32 - 1");
  if (buffers.size() > kIndexLimit) return invalid(std::to_string(buffers.size()) + " buffers are more than 2^32 - 1");
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    if (wraps(buffers[i].address, buffers[i].length)) {
      return invalid("Remote buffer " + std::to_string(i) + " ends beyond 2^64");
    }
  }
  return Status::success();
}

/// The wants that are not empty, by remote address, and the sum of their lengths.
Result<std::vector<Position>> order(std::span<const Want> wants, std::uint64_t& bytes) {
  std::vector<Position> positions;
  positions.reserve(wants.size());
  bytes = 0;
  for (std::uint32_t i = 0; i < wants.size(); ++i) {
    const Want& want = wants[i];
    if (want.length == 0) continue;
    if (wraps(want.remote_address, want.length)) return invalid("Want " + std::to_string(i) + " ends beyond 2^64");
    if (wraps(reinterpret_cast<std::uint64_t>(want.local), want.length)) {
      return invalid("The destination of want " + std::to_string(i) + " ends beyond 2^64");
    }
    if (__builtin_add_overflow(bytes, want.length, &bytes)) {
      return invalid("The wants up to " + std::to_string(i) + " add up to more than 2^64 bytes");
    }
    positions.push_back({want.remote_address, i});
  }
  sort_by_address(positions);
  return positions;
}

Status uncovered(std::uint32_t index, std::uint64_t offset) {
  return Status::error(Code::kOutOfRange, "Want " + std::to_string(index) + " lies outside of every buffer that the " +
                                              "peer registered from its byte " + std::to_string(offset) +
                                              " on; fetch the peer's metadata again");
}

Status too_many(std::uint64_t bytes, const PlanOptions& options) {
  return invalid(std::to_string(bytes) + " bytes in slices of " + std::to_string(options.slice_bytes) +
                 " are more than 2^32 - 1 reads; raise slice_bytes");
}

}  // namespace

Result<Plan> make_plan(std::span<const Want> wants, std::span<const RemoteBuffer> buffers, const PlanOptions& options) {
  Status status = check_options(options, wants, buffers);
  if (!status.ok()) return status;
  std::uint64_t bytes = 0;
  Result<std::vector<Position>> positions = order(wants, bytes);
  if (!positions.ok()) return positions.status();
  if (bytes / options.slice_bytes > kIndexLimit) return too_many(bytes, options);

  const Cover cover(buffers);
  Slicer slicer(options);
  slicer.reserve(positions.value().size(), bytes);
  for (std::size_t i = 0; i < positions.value().size(); ++i) {
    const Position& position = positions.value()[i];
    // Wants of another order than the peer's are all over memory.
    if (i + kLookAhead < positions.value().size()) __builtin_prefetch(&wants[positions.value()[i + kLookAhead].want]);
    const Want& want = wants[position.want];
    for (std::uint64_t done = 0; done < want.length;) {
      const std::uint64_t address = want.remote_address + done;
      const std::optional<Extent> extent = cover.at(address);
      if (!extent) return uncovered(position.want, done);
      const std::uint64_t rest = want.length - done;
      const std::uint64_t reach = extent->last - address;  // bytes after this one
      const std::uint64_t length = rest - 1 <= reach ? rest : reach + 1;
      slicer.append({address, length, want.local + done, want.region, extent->buffer});
      done += length;
    }
    if (!slicer.countable()) return too_many(bytes, options);
    slicer.end_want();
  }
  slicer.trace(positions.value());
  return slicer.finish();
}

}  // namespace weightcast::transfer
