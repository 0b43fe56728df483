#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "topology/kernel.h"

namespace weightcast::memory {

/// On which NUMA nodes a region's pages are to come from.
struct Placement {
  topology::Numbers nodes{};  ///< each once; none where it was refused
  std::string refusal{};      ///< what the kernel said against it; "" when nothing
  [[nodiscard]] bool asked_for() const { return !nodes.empty() || !refusal.empty(); }
};

/// Pages for NICs of several nodes: `nodes` has one entry a NIC, so that the node of three has three times as much as
/// the node of one.
using NodeOfEach = std::vector<int>;

/// Before the first touch of [base, base + length), a mapping of its own with pages of `page_size`. In turns of pieces
/// that are few, since each is an area of its own to the kernel, and no smaller than a huge page. The first refusal
/// ends it; what was placed by then stays.
Placement place(std::byte* base, std::uint64_t length, std::uint64_t page_size, NodeOfEach nodes,
                topology::Kernel& kernel);

/// What `place` takes turns by.
std::uint64_t piece_bytes(std::uint64_t length, std::uint64_t page_size);

}  // namespace weightcast::memory
