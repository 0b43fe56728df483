#include "transfer/landed_chunks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <numeric>
#include <random>
#include <set>
#include <span>
#include <thread>
#include <vector>

#include "transfer/plan.h"

namespace weightcast::transfer {
namespace {

constexpr std::uint64_t kRemote = 1ULL << 40;
constexpr std::uint32_t kChunk = 4096;

std::vector<std::uint32_t> take_all(LandedChunks& chunks) {
  std::vector<std::uint32_t> taken;
  while (const auto chunk = chunks.take()) taken.push_back(*chunk);
  return taken;
}

std::span<const transport::Segment> segments(const Plan& plan, std::size_t slice) {
  const transport::Slice& of = plan.slices[slice];
  return std::span(plan.segments).subspan(of.first_segment, of.segment_count);
}

/// A region, and a plan of the wants that a test places in it.
struct Layout {
  explicit Layout(std::size_t size) : memory(size) {}

  void want(std::uint64_t offset, std::uint64_t length, std::uint32_t region = 0) {
    wants.push_back(
        {.remote_address = kRemote + next, .length = length, .local = memory.data() + offset, .region = region});
    next += length;
  }
  [[nodiscard]] Plan plan(std::uint32_t slice_bytes, std::uint32_t max_segments = 1) const {
    const std::vector<RemoteBuffer> buffers{{kRemote, next}};
    auto made = make_plan(wants, buffers, {.slice_bytes = slice_bytes, .max_segments = max_segments});
    EXPECT_TRUE(made.ok()) << made.status().message;
    return std::move(made.value());
  }
  [[nodiscard]] LandedChunks chunks(const Plan& of) const { return {of, 0, memory.data(), memory.size(), kChunk}; }

  std::vector<std::byte> memory;
  std::vector<Want> wants;
  std::uint64_t next = 0;
};

TEST(LandedChunks, TellsAChunkWhenItsLastByteHasLandedAndOnce) {
  Layout layout(3 * kChunk);
  layout.want(0, 3 * kChunk);
  const Plan plan = layout.plan(1024);
  LandedChunks chunks = layout.chunks(plan);
  ASSERT_EQ(plan.slices.size(), 12);
  for (const std::size_t slice : {4U, 5U, 6U, 0U, 1U, 2U}) chunks.landed(segments(plan, slice));
  EXPECT_TRUE(take_all(chunks).empty());
  chunks.landed(segments(plan, 7));
  EXPECT_EQ(take_all(chunks), std::vector<std::uint32_t>{1});
  EXPECT_TRUE(take_all(chunks).empty());
  for (const std::size_t slice : {3U, 8U, 9U, 10U, 11U}) chunks.landed(segments(plan, slice));
  EXPECT_EQ(take_all(chunks), (std::vector<std::uint32_t>{0, 2}));
}

TEST(LandedChunks, OneSegmentFillsSeveral) {
  Layout layout(4 * kChunk);
  layout.want(100, 3 * kChunk);
  const Plan plan = layout.plan(1U << 20);
  LandedChunks chunks = layout.chunks(plan);
  EXPECT_TRUE(take_all(chunks).empty());
  chunks.landed(segments(plan, 0));
  EXPECT_EQ(take_all(chunks), (std::vector<std::uint32_t>{0, 1, 2, 3}));
}

TEST(LandedChunks, WhatThePlanDoesNotBringIsThereFromTheStart) {
  Layout layout(3 * kChunk + 10);
  layout.want(kChunk + 5, 10);
  layout.want(3 * kChunk + 2, 8);
  const Plan plan = layout.plan(1U << 20);
  LandedChunks chunks = layout.chunks(plan);
  EXPECT_EQ(take_all(chunks), (std::vector<std::uint32_t>{0, 2}));
  for (std::size_t slice = 0; slice < plan.slices.size(); ++slice) chunks.landed(segments(plan, slice));
  EXPECT_EQ(take_all(chunks), (std::vector<std::uint32_t>{1, 3}));
}

TEST(LandedChunks, OtherRegionsDoNotCount) {
  Layout layout(2 * kChunk);
  layout.want(0, kChunk, 1);
  layout.want(kChunk, kChunk, 0);
  const Plan plan = layout.plan(kChunk);
  LandedChunks chunks = layout.chunks(plan);
  EXPECT_EQ(take_all(chunks), std::vector<std::uint32_t>{0});
  for (std::size_t slice = 0; slice < plan.slices.size(); ++slice) chunks.landed(segments(plan, slice));
  EXPECT_EQ(take_all(chunks), std::vector<std::uint32_t>{1});
}

TEST(LandedChunks, NothingToReadIsWholeAtOnce) {
  const std::vector<std::byte> memory(1);
  const Plan plan;
  LandedChunks chunks(plan, 0, memory.data(), memory.size(), kChunk);
  EXPECT_EQ(take_all(chunks), std::vector<std::uint32_t>{0});
}

/// Lanes write and tell in any order; a taker that looks into a chunk must find every byte of it.
TEST(LandedChunks, WhatIsTakenIsWholeWhileLanesGoOn) {
  std::mt19937 random(7);
  Layout layout(64 * kChunk);
  std::vector<std::uint64_t> cuts{0, layout.memory.size()};
  for (int i = 0; i < 300; ++i) cuts.push_back(random() % layout.memory.size());
  std::ranges::sort(cuts);
  std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges;
  for (std::size_t i = 1; i < cuts.size(); ++i) ranges.emplace_back(cuts[i - 1], cuts[i] - cuts[i - 1]);
  std::ranges::shuffle(ranges, random);
  for (const auto& [offset, length] : ranges) layout.want(offset, length);
  const Plan plan = layout.plan(3000, 8);
  LandedChunks chunks = layout.chunks(plan);

  std::vector<std::uint32_t> order(plan.slices.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::shuffle(order, random);
  std::atomic<std::size_t> next = 0;
  const auto lane = [&] {
    for (std::size_t mine = next.fetch_add(1); mine < order.size(); mine = next.fetch_add(1)) {
      for (const transport::Segment& segment : segments(plan, order[mine])) {
        std::fill_n(segment.address, segment.length, std::byte{0xab});
      }
      chunks.landed(segments(plan, order[mine]));
    }
  };
  std::vector<std::thread> lanes;
  for (int i = 0; i < 3; ++i) lanes.emplace_back(lane);
  std::set<std::uint32_t> taken;
  while (taken.size() < 64) {
    const auto chunk = chunks.take();
    if (!chunk) {
      std::this_thread::yield();
      continue;
    }
    EXPECT_TRUE(taken.insert(*chunk).second) << *chunk << " was given twice";
    const auto bytes = std::span(layout.memory).subspan(std::size_t{*chunk} * kChunk, kChunk);
    EXPECT_TRUE(std::ranges::all_of(bytes, [](std::byte byte) { return byte == std::byte{0xab}; })) << *chunk;
  }
  for (std::thread& thread : lanes) thread.join();
  EXPECT_FALSE(chunks.take());
}

}  // namespace
}  // namespace weightcast::transfer
