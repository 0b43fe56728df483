#include "transfer/address_order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>

namespace weightcast::transfer {
namespace {

void expect_sorted(std::vector<Position> positions) {
  auto expected = positions;
  std::stable_sort(expected.begin(), expected.end(),
                   [](const Position& a, const Position& b) { return a.address < b.address; });
  sort_by_address(positions);
  ASSERT_EQ(positions.size(), expected.size());
  for (std::size_t i = 0; i < positions.size(); ++i) {
    ASSERT_EQ(positions[i].address, expected[i].address) << i;
    ASSERT_EQ(positions[i].want, expected[i].want) << i;
  }
}

std::vector<Position> of(std::size_t count, std::uint64_t lowest, std::uint64_t mask, unsigned shift) {
  std::mt19937_64 random(count + shift);
  std::vector<Position> positions;
  for (std::uint32_t i = 0; i < count; ++i) positions.push_back({lowest + ((random() & mask) << shift), i});
  return positions;
}

TEST(AddressOrder, OfNothingAndOfOne) {
  expect_sorted({});
  expect_sorted({{std::numeric_limits<std::uint64_t>::max(), 7}});
}

TEST(AddressOrder, KeepsTheOrderOfWhatBeginsAtOneAddress) {
  expect_sorted({{4096, 3}, {4096, 1}, {0, 9}, {4096, 2}, {0, 4}});
  expect_sorted({{4096, 3}, {4096, 1}, {4096, 2}});
}

TEST(AddressOrder, OfAddressesThatDifferInFewOrInAllBits) {
  expect_sorted(of(1000, 1ULL << 44U, 1, 0));
  expect_sorted(of(1000, 0, std::numeric_limits<std::uint64_t>::max(), 0));
  expect_sorted(of(5000, 0x7f00'0000'1234, 0xfff, 9));
  expect_sorted(of(5000, 0x7f00'0000'1234, 0xff'ffff'ffff, 8));
  expect_sorted({{std::numeric_limits<std::uint64_t>::max(), 0}, {0, 1}, {1ULL << 63U, 2}});
}

}  // namespace
}  // namespace weightcast::transfer
