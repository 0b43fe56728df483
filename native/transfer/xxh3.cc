#include "transfer/xxh3.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace weightcast::transfer {
namespace {

#include "transfer/xxh3_code.inc"

constexpr Xxh3Code kBaseline{.reset = reset, .update = update, .digest = digest, .of = of};

const Xxh3Code& code() {
  static const Xxh3Code& chosen = xxh3_avx2() == nullptr ? kBaseline : *xxh3_avx2();
  return chosen;
}

}  // namespace

// NOLINTNEXTLINE(cppcoreguidelines-pro-type-member-init): reset writes what counts of it
Xxh3::Xxh3() {
  static_assert(sizeof(XXH3_state_t) == sizeof state_ && alignof(XXH3_state_t) <= alignof(Xxh3));
  code().reset(state_.data());
}

void Xxh3::update(const std::byte* data, std::size_t length) { code().update(state_.data(), data, length); }

std::uint64_t Xxh3::digest() const { return code().digest(state_.data()); }

std::uint64_t Xxh3::of(const std::byte* data, std::size_t length) { return code().of(data, length); }

}  // namespace weightcast::transfer
