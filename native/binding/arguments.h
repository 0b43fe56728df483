#pragma once

#include <napi.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "topology/numbers.h"

namespace weightcast::binding {

/// Checked conversions of arguments. Each throws INVALID_ARGUMENT that names the argument by `name`.
///
/// `member` and `to_list` may run JavaScript (getters, proxies). Everything else does not; so pointers into buffers
/// are taken only after the last of those two.

Napi::Object to_object(const Napi::Value& value, const char* name);
Napi::Value member(const Napi::Object& object, const char* key);
std::vector<Napi::Value> to_list(const Napi::Value& value, const char* name);

/// A BigInt in [0, 2^64).
std::uint64_t to_u64(const Napi::Value& value, const char* name);
/// A whole number in [minimum, maximum].
std::uint64_t to_integer(const Napi::Value& value, const char* name, std::uint64_t minimum, std::uint64_t maximum);
std::uint32_t to_u32(const Napi::Value& value, const char* name, std::uint32_t minimum = 0,
                     std::uint32_t maximum = std::numeric_limits<std::uint32_t>::max());
bool to_flag(const Napi::Value& value, const char* name);
/// Without NUL: it would end early as a C string.
std::string to_text(const Napi::Value& value, const char* name);

/// Processors or nodes in a text as the kernel writes it, "0-3,8"; none: "".
topology::Numbers to_numbers(const Napi::Value& value, const char* name);

/// Copies: JavaScript may change or detach the array while native threads work.
std::vector<std::uint64_t> to_u64_column(const Napi::Value& value, const char* name);
std::vector<std::uint32_t> to_u32_column(const Napi::Value& value, const char* name);
std::vector<std::uint8_t> to_u8_column(const Napi::Value& value, const char* name);

}  // namespace weightcast::binding
