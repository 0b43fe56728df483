#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "common/status.h"
#include "memory/device.h"
#include "memory/region.h"
#include "transport/transport.h"

namespace weightcast::transfer {

/// Host memory that slices land in first, in slots, to be copied on to where they belong: for lanes that cannot write
/// into an accelerator's memory. Divided evenly among the lanes of an operation.
struct Staging {
  memory::RegionPtr memory;
  std::uint32_t slot_bytes = 0;  ///< of the largest slice
  /// Of `memory`, by the drivers that copy from it.
  std::vector<std::unique_ptr<memory::PinnedHost>> pins{};
};

/// Slots of each lane: one is copied on while another is read into.
inline constexpr std::uint64_t kFewestSlots = 2;

/// Host memory for `lanes` lanes, pinned by the driver of every accelerator that `regions` are of. kInvalidArgument
/// when it is an accelerator's, read-only, one of `regions` or too small (the message says what is needed), kDevice,
/// kOutOfMemory.
Result<Staging> make_staging(memory::RegionPtr memory, std::span<const memory::RegionPtr> regions, std::size_t lanes,
                             std::uint32_t slot_bytes);

/// What one lane sees of an operation with staging: every slice has one segment, a slot (of region 0: the staging
/// memory). The operation hears that a slice has landed when it has been copied on. Nothing of it is allocated or
/// locked for a slice. The lane's thread only, `stopping` excepted.
class StagedFeed final : public transport::SliceFeed {
 public:
  /// The part of lane `lane` of `lanes`. `inner` and `regions`, which its segments point into, outlive it. kDevice.
  static Result<std::unique_ptr<StagedFeed>> open(transport::SliceFeed& inner, const Staging& staging,
                                                  std::span<const memory::RegionPtr> regions, std::uint32_t lane,
                                                  std::uint32_t lanes);

  std::optional<std::uint32_t> take() override;
  [[nodiscard]] const transport::Slice& slice(std::uint32_t index) const override { return inner_.slice(index); }
  [[nodiscard]] std::span<const transport::Segment> segments(std::uint32_t index) const override;
  void landed(std::uint32_t index, std::uint32_t lane) override;
  void give_back(std::uint32_t index) override;
  bool wait_for_work() override;
  void heard(std::chrono::steady_clock::time_point when) override { inner_.heard(when); }
  void fell_silent(std::uint32_t index, std::chrono::milliseconds time) override { inner_.fell_silent(index, time); }
  [[nodiscard]] bool stopping() const override { return failed_ || inner_.stopping(); }

  /// Once the lane has returned: waits for what is still being copied. No byte moves afterwards. The reason of the copy
  /// that failed, if one did: what was not copied was given back.
  Status finish();

 private:
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};

  struct Stream {
    const memory::Device* device;
    std::unique_ptr<memory::CopyStream> copies;
  };
  /// A slot that is being copied on.
  struct Copying {
    std::uint32_t slot;
    std::uint32_t lane;
  };

  explicit StagedFeed(transport::SliceFeed& inner) : inner_(inner) {}
  [[nodiscard]] std::uint32_t slot_of(std::uint32_t slice) const;
  [[nodiscard]] std::span<std::uint64_t> tickets_of(std::uint32_t slot) {
    return std::span(tickets_).subspan(slot * streams_.size(), streams_.size());
  }
  void free_slot(std::uint32_t slot);
  Status start_copies(std::uint32_t slot);
  void reap(bool wait);
  bool copied(std::uint32_t slot, bool wait);
  void forget_oldest();
  void fail(Status status);

  transport::SliceFeed& inner_;
  std::vector<Stream> streams_;            // of each device once
  std::vector<std::uint32_t> stream_of_;   // of each region: index into streams_, kNone of the host's
  std::vector<transport::Segment> slots_;  // a slot is a segment
  std::vector<std::uint32_t> slice_in_;    // of each slot; kNone
  std::vector<std::uint64_t> tickets_;     // of each slot, of each stream; 0: nothing to wait for
  std::vector<std::uint32_t> free_;        // slots; the last is the one that the cache still has
  std::vector<Copying> copying_;           // a ring, in the order in which the copies were asked for
  std::size_t oldest_ = 0;                 // in copying_
  std::size_t copying_count_ = 0;
  bool failed_ = false;
  Status failure_;
};

}  // namespace weightcast::transfer
