#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weightcast::topology {

/// Processors or nodes by the kernel's numbers, ascending, each once.
using Numbers = std::vector<int>;

/// A list as the kernel writes it, "0-3,8\n"; none: "\n". `nullopt` for anything else.
std::optional<Numbers> parse_numbers(std::string_view text);

/// The same the other way, "0-3,8"; "" for none.
std::string format_numbers(const Numbers& numbers);

/// What is in both.
Numbers common_of(const Numbers& a, const Numbers& b);

}  // namespace weightcast::topology
