#include "transfer/address_order.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <utility>

namespace weightcast::transfer {
namespace {

// A pass writes to 256 places at a time, whose lines and pages the cache and the TLB hold: measured faster for a
// million than fewer passes of 10 or 11 bits, and as fast for a thousand.
constexpr unsigned kDigitBits = 8;
constexpr std::size_t kDigits = std::size_t{1} << kDigitBits;

/// The bits in which addresses differ: they begin at `shift` above the lowest address, and there are `count` of them.
struct Key {
  std::uint64_t lowest;
  unsigned shift;
  unsigned count;

  [[nodiscard]] std::size_t digit(std::uint64_t address, unsigned from) const {
    return static_cast<std::size_t>((address - lowest) >> (shift + from)) & (kDigits - 1);
  }
};

Key key_of(const std::vector<Position>& positions) {
  std::uint64_t lowest = positions.front().address;
  for (const Position& position : positions) lowest = std::min(lowest, position.address);
  std::uint64_t differing = 0;
  for (const Position& position : positions) differing |= position.address - lowest;
  const auto shift = differing == 0 ? 0U : static_cast<unsigned>(std::countr_zero(differing));
  return {lowest, shift, static_cast<unsigned>(std::bit_width(differing >> shift))};
}

}  // namespace

void sort_by_address(std::vector<Position>& positions) {
  const auto before = [](const Position& a, const Position& b) { return a.address < b.address; };
  // As most models are read: in the order in which they lie.
  if (std::is_sorted(positions.begin(), positions.end(), before)) return;
  const Key key = key_of(positions);
  std::vector<Position> sorted(positions.size());
  for (unsigned from = 0; from < key.count; from += kDigitBits) {
    std::array<std::uint32_t, kDigits> place{};
    for (const Position& position : positions) ++place[key.digit(position.address, from)];
    std::uint32_t next = 0;
    for (std::uint32_t& entry : place) next += std::exchange(entry, next);
    for (const Position& position : positions) sorted[place[key.digit(position.address, from)]++] = position;
    positions.swap(sorted);
  }
}

}  // namespace weightcast::transfer
