#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace weightcast::transfer {

/// XXH3-64 (seed 0) of bytes that come one after the other, with the widest vectors that are worth it and that this
/// processor has.
class Xxh3 {
 public:
  Xxh3();
  void update(const std::byte* data, std::size_t length);
  /// Of all bytes so far.
  [[nodiscard]] std::uint64_t digest() const;
  /// Of these.
  static std::uint64_t of(const std::byte* data, std::size_t length);

 private:
  // The library's state; the implementation checks its size. Its header would bring everybody all of its macros.
  alignas(64) std::array<std::byte, 576> state_;
};

/// The same algorithm compiled for one kind of vectors.
struct Xxh3Code {
  void (*reset)(void* state);
  void (*update)(void* state, const void* data, std::size_t length);
  std::uint64_t (*digest)(const void* state);
  std::uint64_t (*of)(const void* data, std::size_t length);
};

/// For AVX2; nullptr where it is not compiled or the processor has none.
const Xxh3Code* xxh3_avx2();

}  // namespace weightcast::transfer
