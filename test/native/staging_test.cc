#include "transfer/staging.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "support/bytes.h"
#include "support/fake_device.h"
#include "support/fake_lane.h"
#include "support/tcp_pull.h"
#include "support/tcp_served.h"
#include "transfer/operation.h"
#include "transfer/plan.h"

namespace weightcast::transfer {
namespace {

using namespace std::chrono_literals;
using memory::RegionPtr;
using test::Behaviour;
using test::bytes_of;
using test::device_region;
using test::DeviceFaults;
using test::FakeDevice;
using test::FakeLane;
using transport::Lane;

constexpr std::uint64_t kBytes = 600'001;
constexpr std::uint32_t kSlice = 4096;

/// A pull of `kBytes` of random bytes into memory of a device (the first two thirds) and of the host (the rest), in
/// tensors that are laid out backwards, by way of staging.
class StagedPull {
 public:
  using Lanes = std::vector<std::shared_ptr<Lane>>;

  explicit StagedPull(DeviceFaults faults = {}, std::uint64_t tensor = 1000)
      : device(std::make_shared<FakeDevice>(faults)), tensor_(tensor) {
    std::uint64_t used = 0;
    for (std::uint64_t offset = 0; offset < kBytes; offset += tensor_) {
      const std::uint64_t length = std::min(tensor_, kBytes - offset);
      used += length;
      places_.push_back(
          {.offset = offset, .length = length, .at = kBytes - used, .on_device = offset < 2 * kBytes / 3});
    }
  }

  /// Over lanes of `behaviours`.
  void start(const std::vector<Behaviour>& behaviours, std::uint64_t slots_per_lane = 3) {
    Lanes lanes;
    for (std::size_t i = 0; i < behaviours.size(); ++i) {
      lanes.push_back(std::make_shared<FakeLane>("lane " + std::to_string(i), source, behaviours[i]));
    }
    start_over(std::move(lanes), slots_per_lane);
  }

  void start_over(Lanes lanes, std::uint64_t slots_per_lane = 3) {
    std::vector<Want> wants;
    for (const Place& place : places_) {
      std::byte* base = place.on_device ? on_device->data() : on_host->data();
      wants.push_back({source->address() + place.offset, place.length, base + place.at, place.on_device ? 0U : 1U});
    }
    const std::vector<RemoteBuffer> buffers{{source->address(), source->size()}};
    auto plan = make_plan(wants, buffers, {.slice_bytes = kSlice, .max_segments = 64});
    ASSERT_TRUE(plan.ok()) << plan.status().message;
    slices = plan.value().slices.size();
    const std::vector<RegionPtr> regions{on_device, on_host};
    auto staging =
        make_staging(test::empty_region(slots_per_lane * lanes.size() * kSlice), regions, lanes.size(), kSlice);
    ASSERT_TRUE(staging.ok()) << staging.status().message;
    operation = Operation::create(std::move(plan.value()), regions, std::move(lanes), {}, std::move(staging.value()));
    operation->start([this](const Outcome& outcome) { promise_.set_value(outcome); });
  }

  Outcome wait() {
    if (future_.wait_for(60s) != std::future_status::ready) {
      ADD_FAILURE() << "the operation did not finish";
      device->go_on();
      operation->cancel();
    }
    Outcome outcome = future_.get();
    EXPECT_EQ(device->under_way, 0) << "a copy outlived the operation";
    EXPECT_EQ(device->streams, 0);
    EXPECT_EQ(device->unpinned, 0);
    return outcome;
  }

  [[nodiscard]] bool complete() const {
    return std::ranges::all_of(places_, [this](const Place& place) {
      const auto into = place.on_device ? test::bytes_on(on_device) : bytes_of(on_host);
      return std::ranges::equal(bytes_of(source).subspan(place.offset, place.length),
                                into.subspan(place.at, place.length));
    });
  }

  std::shared_ptr<FakeDevice> device;
  RegionPtr source = test::random_region(kBytes, 91);
  std::shared_ptr<const test::FakeDeviceRegion> on_device = device_region(device, kBytes);
  RegionPtr on_host = test::empty_region(kBytes);
  std::uint64_t slices = 0;
  std::shared_ptr<Operation> operation;

 private:
  struct Place {
    std::uint64_t offset, length, at;
    bool on_device;
  };
  std::uint64_t tensor_;
  std::vector<Place> places_;
  std::promise<Outcome> promise_;
  std::future<Outcome> future_ = promise_.get_future();
};

TEST(Staging, BringsEveryByteToADeviceAndToTheHostOverSeveralLanes) {
  StagedPull pull({.per_copy = 20us});
  pull.start({{}, {.per_slice = 100us}, {}});
  const Outcome outcome = pull.wait();
  ASSERT_TRUE(outcome.status.ok()) << outcome.status.message;
  EXPECT_EQ(outcome.bytes, kBytes);
  EXPECT_TRUE(pull.complete());
}

TEST(Staging, CutsTensorsThatAreLargerThanASlot) {
  StagedPull pull({.per_copy = 20us}, 50'000);
  pull.start({{}, {}}, 2);
  const Outcome outcome = pull.wait();
  ASSERT_TRUE(outcome.status.ok()) << outcome.status.message;
  EXPECT_TRUE(pull.complete());
}

TEST(Staging, OverTcp) {
  StagedPull pull({.per_copy = 20us});
  const auto server = test::serving(pull.source);
  pull.start_over(
      {test::connected(test::lane_options(server->port())), test::connected(test::lane_options(server->port(), 2))});
  const Outcome outcome = pull.wait();
  ASSERT_TRUE(outcome.status.ok()) << outcome.status.message;
  EXPECT_TRUE(pull.complete());
}

TEST(Staging, ASliceHasLandedWhenItWasCopiedAndNoSooner) {
  StagedPull pull({}, kSlice);
  pull.device->hold();
  pull.start({{}}, 4);
  // All slots of the lane wait for the device.
  ASSERT_TRUE(test::eventually([&] { return pull.device->under_way == 4; }));
  EXPECT_EQ(pull.operation->progress().slices, 0U);
  pull.device->go_on();
  ASSERT_TRUE(pull.wait().status.ok());
  EXPECT_EQ(pull.operation->progress().slices, pull.slices);
  EXPECT_EQ(pull.device->most_under_way, 4);
  EXPECT_TRUE(pull.complete());
}

TEST(Staging, ReadsNoFurtherThanItHasSlots) {
  // A tensor a slice, so that copies are slots.
  StagedPull pull({.per_copy = 100us}, kSlice);
  pull.start({{}, {}}, 2);
  ASSERT_TRUE(pull.wait().status.ok());
  EXPECT_LE(pull.device->most_under_way, 4);
  EXPECT_TRUE(pull.complete());
}

TEST(Staging, ACopyThatIsRefusedEndsTheOperation) {
  StagedPull pull({.copies_before_refusal = 40});
  pull.start({{.per_slice = 50us}, {.per_slice = 50us}, {.blocks = true}});
  const Outcome outcome = pull.wait();
  EXPECT_EQ(outcome.status.code, Code::kDevice);
  EXPECT_NE(outcome.status.message.find("cuMemcpyAsync"), std::string::npos) << outcome.status.message;
  EXPECT_LT(outcome.bytes, kBytes);
}

TEST(Staging, ACopyThatNeverArrivesEndsTheOperation) {
  StagedPull pull({.per_copy = 20us, .copies_before_breaking = 40});
  pull.start({{.per_slice = 50us}, {.blocks = true}});
  const Outcome outcome = pull.wait();
  EXPECT_EQ(outcome.status.code, Code::kDevice);
  EXPECT_NE(outcome.status.message.find("cuEventQuery"), std::string::npos) << outcome.status.message;
}

TEST(Staging, ADeviceWithoutStreamsEndsTheOperation) {
  StagedPull pull({.refuses_streams = true});
  pull.start({{}, {}});
  const Outcome outcome = pull.wait();
  EXPECT_EQ(outcome.status.code, Code::kDevice);
  EXPECT_EQ(outcome.bytes, 0U);
}

TEST(Staging, ACancelledOperationEndsWhenItsCopiesHave) {
  StagedPull pull;
  pull.device->hold();
  pull.start({{}, {}});
  ASSERT_TRUE(test::eventually([&] { return pull.device->under_way >= 2; }));
  pull.operation->cancel();
  EXPECT_EQ(pull.operation->progress().slices, 0U);
  pull.device->go_on();
  const Outcome outcome = pull.wait();
  EXPECT_EQ(outcome.status.code, Code::kCancelled);
  EXPECT_LT(outcome.bytes, kBytes);
}

TEST(Staging, OtherLanesFinishWhatABrokenOneGaveBack) {
  StagedPull pull({.per_copy = 20us});
  pull.start({{.fail_after = 7, .soils = true}, {.per_slice = 20us}});
  const Outcome outcome = pull.wait();
  ASSERT_TRUE(outcome.status.ok()) << outcome.status.message;
  EXPECT_EQ(outcome.lanes[0].status.code, Code::kPeerLost);
  EXPECT_EQ(outcome.lanes[0].report.bytes + outcome.lanes[1].report.bytes, kBytes);
  EXPECT_TRUE(pull.complete());
}

TEST(Staging, NoByteMovesAfterTheLastLaneBroke) {
  StagedPull pull({.per_copy = 200us});
  pull.start({{.fail_after = 20}});
  const Outcome outcome = pull.wait();
  EXPECT_EQ(outcome.status.code, Code::kPeerLost);
  // What had landed in a slot was copied on, and counts.
  EXPECT_EQ(outcome.bytes, outcome.lanes[0].report.bytes);
}

TEST(Staging, RefusesMemoryThatItCannotUse) {
  const auto device = std::make_shared<FakeDevice>();
  const std::vector<RegionPtr> regions{device_region(device, 4096)};
  const auto refused = [&](const RegionPtr& memory, std::size_t lanes) {
    auto staging = make_staging(memory, regions, lanes, kSlice);
    EXPECT_FALSE(staging.ok());
    if (staging.ok()) return std::string();
    EXPECT_EQ(staging.status().code, Code::kInvalidArgument);
    return staging.status().message;
  };
  EXPECT_NE(refused(test::empty_region(4 * kSlice - 1), 2).find(std::to_string(4 * kSlice)), std::string::npos);
  (void)refused(device_region(device, 1 << 20), 1);
  (void)refused(regions[0], 1);
  const auto owner = test::empty_region(1 << 20);
  (void)refused(memory::adopt(owner->data(), owner->size(), false, nullptr).value(), 1);

  const auto stubborn = std::make_shared<FakeDevice>(DeviceFaults{.refuses_pins = true});
  const std::vector<RegionPtr> theirs{device_region(stubborn, 4096)};
  const auto staging = make_staging(owner, theirs, 1, kSlice);
  ASSERT_FALSE(staging.ok());
  EXPECT_EQ(staging.status().code, Code::kDevice);
}

}  // namespace
}  // namespace weightcast::transfer
