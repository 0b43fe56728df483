#include "transport/rdma/pacing.h"

#include <algorithm>
#include <bit>

namespace weightcast::transport::rdma {
namespace {

/// From here on a read gains nothing by being larger: beyond it there is only "as the plan has them".
constexpr std::uint64_t kLargestCut = 1U << 20U;
/// Losses that are so many reads apart cost little, and reads of a few to a loss mostly come through.
constexpr std::uint64_t kReadsThatBearLoss = 64;
constexpr std::uint64_t kReadsToALoss = 4;
/// Clean reads before the next size is tried: twice what would have borne the loss.
constexpr std::uint64_t kReadsToStepUp = 128;
/// Twice the 0.1 s that bytes may wait: a path whose round trips are shorter still finds room to become faster.
constexpr double kWindowSeconds = 0.2;
constexpr double kLossyWindowSeconds = 0.08;
constexpr std::uint64_t kReadsInWindow = 4;
constexpr std::uint64_t kReadsToSpread = 2;
/// Weight of the newest observation in the rate.
constexpr double kNewest = 0.25;

}  // namespace

void Pacing::observe(std::chrono::nanoseconds time, std::uint64_t bytes, std::uint64_t retransmits) {
  retransmits_ += retransmits;
  if (retransmits > 0) {
    lost(bytes / retransmits);
  } else {
    clean(bytes);
  }
  waited_ += time;
  if (bytes == 0) return;  // a read can take longer than from one look to the next
  const double rate = static_cast<double>(bytes) / std::chrono::duration<double>(waited_).count();
  waited_ = {};
  rate_ = rate_ == 0 ? rate : rate_ + kNewest * (rate - rate_);
}

void Pacing::lost(std::uint64_t distance) {
  clean_bytes_ = 0;
  const std::uint64_t now = std::min(loss_limit_, kLargestCut);
  if (distance >= kReadsThatBearLoss * now) return;
  const std::uint64_t fitting = std::bit_floor(distance / kReadsToALoss);
  loss_limit_ = std::max(std::min(now / 2, fitting), kLeastRead);
}

void Pacing::clean(std::uint64_t bytes) {
  if (!lossy()) return;
  clean_bytes_ += bytes;
  if (clean_bytes_ < kReadsToStepUp * loss_limit_) return;
  clean_bytes_ = 0;
  loss_limit_ = loss_limit_ < kLargestCut ? loss_limit_ * 2 : kUnlimited;
}

std::uint64_t Pacing::window_bytes() const {
  if (rate_ == 0) return kUnlimited;
  const double bytes = rate_ * (lossy() ? kLossyWindowSeconds : kWindowSeconds);
  return std::max(static_cast<std::uint64_t>(bytes), kReadsInWindow * kLeastRead);
}

std::uint64_t Pacing::read_bytes() const {
  const std::uint64_t share = window_bytes() / kReadsInWindow;
  return share >= kLargestCut ? loss_limit_ : std::min(loss_limit_, std::max(std::bit_floor(share), kLeastRead));
}

bool Pacing::spread(std::uint32_t queue_pairs) const {
  return lossy() && window_bytes() / kReadsToSpread / queue_pairs >= kLeastRead;
}

}  // namespace weightcast::transport::rdma
