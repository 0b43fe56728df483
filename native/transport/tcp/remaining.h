#pragma once

#include <sys/uio.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "transport/transport.h"

namespace weightcast::transport::tcp {

/// The part of a slice's segments that has not arrived yet.
class Remaining {
 public:
  explicit Remaining(std::span<const Segment> segments) : segments_(segments) {}

  /// Fills `vectors` with as much of the rest as fits; the count.
  std::size_t scatter(std::span<iovec> vectors) const {
    const std::size_t count = std::min(vectors.size(), segments_.size());
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint32_t skip = i == 0 ? offset_ : 0;
      vectors[i] = {.iov_base = segments_[i].address + skip, .iov_len = segments_[i].length - skip};
    }
    return count;
  }

  void advance(std::uint64_t bytes) {
    while (bytes > 0) {
      const std::uint64_t left = segments_.front().length - offset_;
      if (bytes < left) {
        offset_ += static_cast<std::uint32_t>(bytes);
        return;
      }
      bytes -= left;
      segments_ = segments_.subspan(1);
      offset_ = 0;
    }
  }

 private:
  std::span<const Segment> segments_;
  std::uint32_t offset_ = 0;  // into the first
};

}  // namespace weightcast::transport::tcp
