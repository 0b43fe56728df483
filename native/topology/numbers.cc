#include "topology/numbers.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <iterator>
#include <utility>

namespace weightcast::topology {
namespace {

/// More than any kernel counts: a wrong file must not make a list of billions.
constexpr int kMost = 1 << 16;

/// Takes a number off the front.
std::optional<int> take_number(std::string_view& text) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number < 0 || number >= kMost) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return number;
}

bool take(std::string_view& text, char what) {
  if (!text.starts_with(what)) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

std::optional<Numbers> parse_numbers(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  Numbers numbers;
  if (text.empty()) return numbers;
  do {
    const auto first = take_number(text);
    if (!first) return std::nullopt;
    const auto last = take(text, '-') ? take_number(text) : first;
    if (!last || *last < *first) return std::nullopt;
    for (int number = *first; number <= *last; ++number) numbers.push_back(number);
  } while (take(text, ','));
  if (!text.empty()) return std::nullopt;
  std::ranges::sort(numbers);
  numbers.erase(std::ranges::unique(numbers).begin(), numbers.end());
  return numbers;
}

std::string format_numbers(const Numbers& numbers) {
  std::string text;
  for (std::size_t first = 0, next = 0; first < numbers.size(); first = next) {
    next = first + 1;
    while (next < numbers.size() && numbers[next] == numbers[next - 1] + 1) ++next;
    if (!text.empty()) text += ',';
    text += std::to_string(numbers[first]);
    if (next - first > 1) text += '-' + std::to_string(numbers[next - 1]);
  }
  return text;
}

Numbers common_of(const Numbers& a, const Numbers& b) {
  Numbers both;
  std::ranges::set_intersection(a, b, std::back_inserter(both));
  return both;
}

}  // namespace weightcast::topology
