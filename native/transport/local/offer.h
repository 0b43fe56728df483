#pragma once

#include <memory>
#include <vector>

#include "common/status.h"
#include "transport/local/wire.h"
#include "transport/tcp/server.h"
#include "transport/tcp/socket.h"

namespace weightcast::transport::local {

/// What a seed hands to each target: a table of its buffers, and the descriptors by which they can be read. Immutable.
class Offer {
 public:
  /// Ranges of regions that can be shared have a descriptor, up to 252 different ones; the others are read from memory.
  static Result<std::shared_ptr<const Offer>> make(std::vector<tcp::ServedRange> ranges);

  [[nodiscard]] std::uint64_t rows() const { return rows_; }
  /// The table's first. They belong to this object and to the regions that it keeps.
  [[nodiscard]] const std::vector<int>& descriptors() const { return descriptors_; }
  /// Whether a row has no descriptor.
  [[nodiscard]] bool needs_memory() const { return needs_memory_; }

 private:
  std::vector<tcp::ServedRange> ranges_;  // keep the regions
  tcp::Fd table_;
  std::vector<int> descriptors_;
  std::uint64_t rows_ = 0;
  bool needs_memory_ = false;
};

}  // namespace weightcast::transport::local
