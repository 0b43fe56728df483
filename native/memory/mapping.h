#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <utility>

#include "memory/region.h"

namespace weightcast::memory {

/// One mmap, undone when destroyed. Move-only.
class Mapping {
 public:
  Mapping(void* base, std::size_t length) : base_(static_cast<std::byte*>(base)), length_(length) {}
  ~Mapping() {
    if (base_ != nullptr) munmap(base_, length_);
  }
  Mapping(Mapping&& other) noexcept : base_(std::exchange(other.base_, nullptr)), length_(other.length_) {}
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  Mapping& operator=(Mapping&&) = delete;

  [[nodiscard]] std::byte* base() const { return base_; }

 private:
  std::byte* base_;
  std::size_t length_;
};

/// A region whose bytes begin `skip` bytes into a mapping of its own.
class MappedRegion : public Region {
 public:
  MappedRegion(RegionKind kind, Mapping mapping, std::uint64_t skip, std::uint64_t size, std::uint64_t page_size,
               bool writable)
      : Region(kind, mapping.base() + skip, size, page_size, writable), mapping_(std::move(mapping)) {}

 private:
  Mapping mapping_;
};

std::uint64_t base_page_size();

/// What the kernel folds into one transparent huge page; a mapping that begins between two of them loses both ends.
inline constexpr std::uint64_t kTransparentHugePage = std::uint64_t{2} << 20U;

/// `value` rounded up to a multiple of `unit`, a power of two. The caller has checked that it does not wrap.
constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t unit) { return (value + unit - 1) & ~(unit - 1); }

/// kInvalidArgument when no process could ever have `size` bytes: 0, or beyond the address space.
Status check_size(std::uint64_t size, const char* what);

/// kOutOfMemory when the host cannot give `size` bytes of new pages now.
Status check_available(std::uint64_t size, const char* what);

}  // namespace weightcast::memory
