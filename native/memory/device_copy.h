#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "common/status.h"
#include "memory/device.h"
#include "memory/region.h"

namespace weightcast::memory {

/// Copies between two regions of which at least one is an accelerator's, piece by piece through a few slots of pinned
/// host memory: while one slot is filled, others are emptied. One thread.
class DeviceCopy {
 public:
  static constexpr std::uint64_t kPieceBytes = std::uint64_t{4} << 20U;

  DeviceCopy(const Region& from, const Region& into);
  DeviceCopy(const DeviceCopy&) = delete;
  DeviceCopy& operator=(const DeviceCopy&) = delete;
  /// Waits for what is under way.
  ~DeviceCopy();

  /// Pins the slots and opens the streams. kOutOfMemory, kDevice.
  Status open();
  /// Starts to copy [offset, offset + length), at most kPieceBytes, and finishes an earlier piece when no slot is free.
  Status begin(std::uint64_t offset, std::uint64_t length);
  /// Finishes all pieces.
  Status finish();

 private:
  static constexpr std::size_t kSlots = 4;
  /// Pieces that are being filled before the oldest of them is emptied; the rest of the slots are being emptied.
  static constexpr std::size_t kFilling = kSlots / 2;

  struct Slot {
    std::byte* bytes = nullptr;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    std::uint64_t filled = 0;   // ticket of from_stream_; 0: nothing to wait for
    std::uint64_t emptied = 0;  // ticket of into_stream_
  };

  Status fill(Slot& slot);
  Status empty(Slot& slot);

  const Region& from_;
  const Region& into_;
  RegionPtr memory_;  // the slots'; outlives pin_, and that the streams
  std::unique_ptr<PinnedHost> pin_;
  std::array<Slot, kSlots> slots_;
  std::uint64_t begun_ = 0;                  // pieces
  std::uint64_t emptying_ = 0;               // of those, pieces that empty() was called for
  std::unique_ptr<CopyStream> from_stream_;  // none: host memory
  std::unique_ptr<CopyStream> into_stream_;
};

}  // namespace weightcast::memory
