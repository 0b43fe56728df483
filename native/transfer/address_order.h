#pragma once

#include <cstdint>
#include <vector>

namespace weightcast::transfer {

/// Where a want begins, apart from the want: sorting these moves 16 bytes an element and keeps the input as it is.
struct Position {
  std::uint64_t address;
  std::uint32_t want;
};

/// Sorts by address; those of one address stay in the order in which they came. Takes as much memory again while it
/// runs, and the same time an element for a million as for a thousand.
void sort_by_address(std::vector<Position>& positions);

}  // namespace weightcast::transfer
