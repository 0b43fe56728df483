#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <random>
#include <span>
#include <vector>

#include "memory/region.h"

namespace weightcast::test {

/// The same bytes for the same seed, and others for others.
inline void fill_random(std::span<std::byte> bytes, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  for (; !bytes.empty(); bytes = bytes.subspan(std::min<std::size_t>(bytes.size(), 8))) {
    const std::uint64_t word = random();
    std::memcpy(bytes.data(), &word, std::min<std::size_t>(bytes.size(), 8));
  }
}

inline std::span<std::byte> bytes_of(const memory::RegionPtr& region) { return {region->data(), region->size()}; }

/// Anonymous memory with random bytes. Ends the test binary when the host has none to give.
inline memory::RegionPtr random_region(std::uint64_t size, std::uint64_t seed) {
  auto region = memory::allocate(size, memory::HugePages::kNever);
  if (!region.ok()) std::abort();
  fill_random(bytes_of(region.value()), seed);
  return region.value();
}

/// Zeroed anonymous memory.
inline memory::RegionPtr empty_region(std::uint64_t size) {
  auto region = memory::allocate(size, memory::HugePages::kNever);
  if (!region.ok()) std::abort();
  return region.value();
}

}  // namespace weightcast::test
