#include "transfer/xxh3.h"

// Clang has no such pragma.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)

// Before the pragma, so that only xxhash.h is compiled for AVX2: what others share must run on every processor.
#include <immintrin.h>

#include <climits>
#include <cstdlib>
#include <cstring>

#pragma GCC push_options
#pragma GCC target("avx2")
#define XXH_INLINE_ALL
#define XXH_VECTOR 2  // XXH_AVX2
#include <xxhash.h>

namespace weightcast::transfer {
namespace {

#include "transfer/xxh3_code.inc"

constexpr Xxh3Code kAvx2{.reset = reset, .update = update, .digest = digest, .of = of};

}  // namespace
}  // namespace weightcast::transfer
#pragma GCC pop_options

const weightcast::transfer::Xxh3Code* weightcast::transfer::xxh3_avx2() {
  static_assert(XXH_VECTOR == XXH_AVX2);
  return __builtin_cpu_supports("avx2") != 0 ? &kAvx2 : nullptr;
}

#else

const weightcast::transfer::Xxh3Code* weightcast::transfer::xxh3_avx2() { return nullptr; }

#endif
