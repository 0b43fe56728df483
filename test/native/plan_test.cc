#include "transfer/plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <map>
#include <random>
#include <vector>

namespace weightcast::transfer {
namespace {

using transport::Segment;
using transport::Slice;

constexpr std::uint64_t kTop = std::numeric_limits<std::uint64_t>::max();

// Plans never look at memory, so destinations are plain numbers.
std::byte* at(std::uint64_t address) {
  return reinterpret_cast<std::byte*>(address);  // NOLINT(performance-no-int-to-ptr)
}

std::uint64_t number(const std::byte* address) { return reinterpret_cast<std::uint64_t>(address); }

Plan planned(const std::vector<Want>& wants, const std::vector<RemoteBuffer>& buffers,
             const PlanOptions& options = {}) {
  auto plan = make_plan(wants, buffers, options);
  EXPECT_TRUE(plan.ok()) << (plan.ok() ? "" : plan.status().message);
  return plan.ok() ? std::move(plan.value()) : Plan{};
}

Status refused(const std::vector<Want>& wants, const std::vector<RemoteBuffer>& buffers,
               const PlanOptions& options = {}) {
  auto plan = make_plan(wants, buffers, options);
  EXPECT_FALSE(plan.ok());
  return plan.ok() ? Status::success() : plan.status();
}

/// Expands a plan into (local run → remote address) and checks what must hold of every plan.
void expect_exact(const Plan& plan, const std::vector<Want>& wants, const std::vector<RemoteBuffer>& buffers,
                  const PlanOptions& options) {
  struct Run {
    std::uint64_t length, remote;
    std::uint32_t region;
  };
  std::map<std::uint64_t, Run> runs;  // by local address
  std::uint64_t total = 0;
  std::vector<bool> used(plan.segments.size(), false);
  std::uint64_t previous = 0;
  for (const Slice& slice : plan.slices) {
    ASSERT_GT(slice.length, 0U);
    ASSERT_LE(slice.length, options.slice_bytes);
    ASSERT_GE(slice.segment_count, 1U);
    ASSERT_LE(slice.segment_count, options.max_segments);
    ASSERT_GE(slice.remote_address, previous);
    previous = slice.remote_address;
    const RemoteBuffer& buffer = buffers.at(slice.remote_buffer);
    ASSERT_GE(slice.remote_address, buffer.address);
    ASSERT_LE(slice.length, buffer.length - (slice.remote_address - buffer.address));
    std::uint64_t remote = slice.remote_address;
    for (std::uint32_t i = 0; i < slice.segment_count; ++i) {
      ASSERT_FALSE(used.at(slice.first_segment + i));
      used[slice.first_segment + i] = true;
      const Segment& segment = plan.segments[slice.first_segment + i];
      ASSERT_GT(segment.length, 0U);
      ASSERT_TRUE(runs.emplace(number(segment.address), Run{segment.length, remote, segment.region}).second);
      remote += segment.length;
      total += segment.length;
    }
    ASSERT_EQ(remote - slice.remote_address, slice.length);
  }
  ASSERT_TRUE(std::all_of(used.begin(), used.end(), [](bool is) { return is; }));

  std::uint64_t wanted = 0;
  for (const Want& want : wants) {
    wanted += want.length;
    for (std::uint64_t done = 0; done < want.length;) {
      const std::uint64_t local = number(want.local) + done;
      auto run = runs.upper_bound(local);
      ASSERT_NE(run, runs.begin());
      --run;
      const std::uint64_t skip = local - run->first;
      ASSERT_LT(skip, run->second.length);
      ASSERT_EQ(run->second.region, want.region);
      ASSERT_EQ(run->second.remote + skip, want.remote_address + done);
      done += run->second.length - skip;
    }
  }
  // Every wanted byte is there, and the sums agree: so none is there twice and none is extra.
  ASSERT_EQ(total, wanted);
  ASSERT_EQ(plan.bytes, wanted);
}

TEST(Plan, MergesNeighboursInRemoteAndLocalMemoryIntoOneRead) {
  const Plan plan = planned({{1100, 50, at(5100), 0}, {1000, 100, at(5000), 0}}, {{1000, 1000}});
  ASSERT_EQ(plan.slices.size(), 1U);
  ASSERT_EQ(plan.segments.size(), 1U);
  EXPECT_EQ(plan.slices[0].remote_address, 1000U);
  EXPECT_EQ(plan.slices[0].length, 150U);
  EXPECT_EQ(plan.segments[0].address, at(5000));
  EXPECT_EQ(plan.segments[0].length, 150U);
}

TEST(Plan, ReadsWantByWantWithoutMerging) {
  const std::vector<Want> wants{{1000, 100, at(5000), 0}, {1100, 50, at(5100), 0}};
  EXPECT_EQ(planned(wants, {{1000, 1000}}, {.merge = false}).slices.size(), 2U);
}

TEST(Plan, GathersAsManyLocalRunsAsAllowed) {
  std::vector<Want> wants;
  wants.reserve(10);
  for (std::uint64_t i = 0; i < 10; ++i) wants.push_back({1000 + 10 * i, 10, at(9000 - 100 * i), 0});
  const Plan one = planned(wants, {{1000, 100}}, {.max_segments = 1});
  EXPECT_EQ(one.slices.size(), 10U);
  const Plan four = planned(wants, {{1000, 100}}, {.max_segments = 4});
  ASSERT_EQ(four.slices.size(), 3U);
  EXPECT_EQ(four.slices[0].segment_count, 4U);
  EXPECT_EQ(four.slices[2].segment_count, 2U);
}

TEST(Plan, NeighboursInDifferentLocalRegionsAreDifferentSegments) {
  const Plan plan = planned({{1000, 10, at(5000), 0}, {1010, 10, at(5010), 1}}, {{1000, 20}}, {.max_segments = 4});
  ASSERT_EQ(plan.slices.size(), 1U);
  ASSERT_EQ(plan.segments.size(), 2U);
  EXPECT_EQ(plan.segments[0].region, 0U);
  EXPECT_EQ(plan.segments[1].region, 1U);
}

TEST(Plan, ContinuesAWantInTheNextSliceWhenOneIsFull) {
  const std::vector<Want> wants{{1000, 60, at(5000), 0}, {1060, 60, at(7000), 0}};
  const PlanOptions options{.slice_bytes = 100, .max_segments = 4};
  const Plan plan = planned(wants, {{1000, 120}}, options);
  ASSERT_EQ(plan.slices.size(), 2U);
  EXPECT_EQ(plan.slices[0].length, 100U);
  EXPECT_EQ(plan.slices[1].length, 20U);
  EXPECT_EQ(plan.segments[plan.slices[1].first_segment].address, at(7040));
  expect_exact(plan, wants, {{1000, 120}}, options);
}

TEST(Plan, CutsAtTheEdgesOfRemoteBuffers) {
  const std::vector<Want> wants{{1000, 300, at(5000), 0}};
  const std::vector<RemoteBuffer> buffers{{1200, 100}, {1000, 100}, {1100, 100}};
  const Plan plan = planned(wants, buffers);
  ASSERT_EQ(plan.slices.size(), 3U);
  EXPECT_EQ(plan.slices[0].remote_buffer, 1U);
  EXPECT_EQ(plan.slices[1].remote_buffer, 2U);
  EXPECT_EQ(plan.slices[2].remote_buffer, 0U);
  expect_exact(plan, wants, buffers, {});
}

TEST(Plan, TakesTheOneOfOverlappingBuffersThatReachesFurthest) {
  const std::vector<Want> wants{{1050, 100, at(5000), 0}};
  const Plan plan = planned(wants, {{1000, 60}, {1040, 200}, {1045, 10}});
  ASSERT_EQ(plan.slices.size(), 1U);
  EXPECT_EQ(plan.slices[0].remote_buffer, 1U);
}

TEST(Plan, ReadsAliasedTensorsOncePerDestination) {
  const std::vector<Want> wants{{1000, 400, at(5000), 0}, {1000, 400, at(6000), 0}, {1400, 10, at(7000), 0}};
  const std::vector<RemoteBuffer> buffers{{1000, 1000}};
  const PlanOptions options{.slice_bytes = 64, .max_segments = 8};
  expect_exact(planned(wants, buffers, options), wants, buffers, options);
}

TEST(Plan, SkipsEmptyWantsWhereverTheyPoint) {
  const Plan plan = planned({{0, 0, nullptr, 0}, {kTop, 0, at(1), 9}, {1000, 1, at(5000), 0}}, {{1000, 1}});
  EXPECT_EQ(plan.slices.size(), 1U);
  EXPECT_EQ(plan.bytes, 1U);
}

TEST(Plan, OfNothingIsEmpty) {
  EXPECT_TRUE(planned({}, {}).slices.empty());
  EXPECT_TRUE(planned({}, {{5, 0}}).slices.empty());
}

TEST(Plan, CutsAWantOfMoreThan4GiB) {
  constexpr std::uint64_t kLength = (5ULL << 30) + 12345;
  const std::vector<Want> wants{{1ULL << 40, kLength, at(1ULL << 44), 0}};
  const std::vector<RemoteBuffer> buffers{{1ULL << 40, kLength}};
  const PlanOptions options{.slice_bytes = std::numeric_limits<std::uint32_t>::max()};
  const Plan plan = planned(wants, buffers, options);
  EXPECT_EQ(plan.slices.size(), 2U);
  expect_exact(plan, wants, buffers, options);
  expect_exact(planned(wants, buffers), wants, buffers, {});
}

TEST(Plan, ReachesTheLastByteOfTheAddressSpace) {
  const std::vector<Want> wants{{kTop - 99, 100, at(5000), 0}, {0, 10, at(6000), 0}};
  const std::vector<RemoteBuffer> buffers{{kTop - 199, 200}, {0, 10}};
  const PlanOptions options{.slice_bytes = 30, .max_segments = 4};
  expect_exact(planned(wants, buffers, options), wants, buffers, options);
}

TEST(Plan, NamesTheWantThatNoBufferCovers) {
  const std::vector<RemoteBuffer> gap{{1000, 100}, {1101, 100}};
  const std::vector<Want> wants{{1000, 10, at(5000), 0}, {1050, 100, at(6000), 0}};
  const Status status = refused(wants, gap);
  EXPECT_EQ(status.code, Code::kOutOfRange);
  EXPECT_NE(status.message.find("Want 1 "), std::string::npos) << status.message;
  EXPECT_NE(status.message.find("byte 50 "), std::string::npos) << status.message;
  EXPECT_EQ(refused({{999, 1, at(5000), 0}}, gap).code, Code::kOutOfRange);
  EXPECT_EQ(refused({{1201, 1, at(5000), 0}}, gap).code, Code::kOutOfRange);
  EXPECT_EQ(refused({{1000, 1, at(5000), 0}}, {}).code, Code::kOutOfRange);
}

TEST(Plan, RefusesRangesThatWrap) {
  const Status want = refused({{1000, 1, at(1), 0}, {kTop, 2, at(5000), 0}}, {{0, kTop}});
  EXPECT_EQ(want.code, Code::kInvalidArgument);
  EXPECT_NE(want.message.find("Want 1 "), std::string::npos) << want.message;
  EXPECT_EQ(refused({{1000, 2, at(kTop), 0}}, {{1000, 2}}).code, Code::kInvalidArgument);
  EXPECT_EQ(refused({}, {{kTop, 2}}).code, Code::kInvalidArgument);
  EXPECT_EQ(refused({{0, kTop, at(1), 0}, {0, kTop, at(1), 0}}, {{0, kTop}}).code, Code::kInvalidArgument);
}

TEST(Plan, RefusesOptionsThatCannotMoveAnything) {
  EXPECT_EQ(refused({}, {}, {.slice_bytes = 0}).code, Code::kInvalidArgument);
  EXPECT_EQ(refused({}, {}, {.max_segments = 0}).code, Code::kInvalidArgument);
  EXPECT_EQ(refused({{0, 1ULL << 40, at(1), 0}}, {{0, 1ULL << 40}}, {.slice_bytes = 1}).code, Code::kInvalidArgument);
}

TEST(Plan, BringsEveryByteOfRandomWantsExactlyOnce) {
  std::mt19937_64 random(20240229);
  const auto below = [&random](std::uint64_t limit) { return random() % limit; };
  for (int round = 0; round < 400; ++round) {
    // Buffers that abut, leave gaps or overlap; tensors inside of runs that are covered.
    std::vector<RemoteBuffer> buffers;
    std::vector<RemoteBuffer> runs;
    std::uint64_t address = below(2) == 0 ? (1ULL << 46) : 64;
    for (std::uint64_t i = 0, count = 1 + below(6); i < count; ++i) {
      const std::uint64_t length = 1 + below(3000);
      buffers.push_back({address, length});
      if (below(4) == 0) buffers.push_back({address + below(length), 1 + below(200)});
      if (!runs.empty() && runs.back().address + runs.back().length == address) {
        runs.back().length += length;
      } else {
        runs.push_back({address, length});
      }
      address += length + (below(2) == 0 ? 0 : 201 + below(500));
    }
    std::shuffle(buffers.begin(), buffers.end(), random);
    std::vector<Want> wants;
    std::uint64_t local = 1ULL << 45;
    for (const RemoteBuffer& run : runs) {
      for (std::uint64_t offset = 0; offset < run.length;) {
        const std::uint64_t length = std::min(run.length - offset, below(5) == 0 ? 0 : 1 + below(400));
        if (below(3) == 0) local += below(100);
        wants.push_back({run.address + offset, length, at(local), static_cast<std::uint32_t>(below(8) / 7)});
        local += length;
        if (below(6) == 0) continue;  // the next one aliases this one
        offset += length + (below(4) == 0 ? below(50) : 0);
      }
    }
    std::shuffle(wants.begin(), wants.end(), random);
    const PlanOptions options{.slice_bytes = static_cast<std::uint32_t>(1 + below(700)),
                              .max_segments = static_cast<std::uint32_t>(1 + below(5)),
                              .merge = below(4) != 0};
    const auto plan = make_plan(wants, buffers, options);
    ASSERT_TRUE(plan.ok()) << plan.status().message << " in round " << round;
    expect_exact(plan.value(), wants, buffers, options);
    ASSERT_FALSE(HasFatalFailure()) << "round " << round;
  }
}

TEST(Plan, Of100000WantsTakesWellUnder100Milliseconds) {
  std::mt19937_64 random(7);
  std::vector<Want> wants;
  std::vector<RemoteBuffer> buffers;
  for (std::uint64_t i = 0; i < 100000; ++i) {
    wants.push_back({(1ULL << 40) + i * 65536, 65536, at((1ULL << 45) + (i ^ 1) * 65536), 0});
    if (i % 100 == 0) buffers.push_back({(1ULL << 40) + i * 65536, 65536ULL * 100});
  }
  std::shuffle(wants.begin(), wants.end(), random);
  std::shuffle(buffers.begin(), buffers.end(), random);
  const PlanOptions options{.max_segments = 4};
  double best = 1e9;
  for (int i = 0; i < 5; ++i) {
    const auto start = std::chrono::steady_clock::now();
    const auto plan = make_plan(wants, buffers, options);
    best = std::min(best, std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
    ASSERT_TRUE(plan.ok());
    ASSERT_EQ(plan.value().bytes, 100000ULL * 65536);
  }
  RecordProperty("milliseconds", std::to_string(best));
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  constexpr double kLimit = 1000;
#else
  constexpr double kLimit = 100;
#endif
  EXPECT_LT(best, kLimit);
}

}  // namespace
}  // namespace weightcast::transfer
