// Staging over real verbs: reads into slots of one registered region, each copied on to a device that takes its time.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <memory>
#include <utility>
#include <vector>

#include "support/bytes.h"
#include "support/fake_device.h"
#include "support/rdma.h"
#include "transfer/operation.h"
#include "transfer/plan.h"
#include "transfer/staging.h"

namespace weightcast::test {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kBytes = (std::uint64_t{8} << 20U) + 321;
constexpr std::uint32_t kSlice = 256U << 10U;
constexpr std::uint64_t kTensor = 100'000;

class RdmaStaging : public RdmaTest {
 protected:
  /// Everything of `source` into `into` with tensors laid out backwards, over one lane with `slots` slots.
  transfer::Outcome pull(const memory::RegionPtr& source, const memory::RegionPtr& into, std::uint64_t slots) {
    const auto served = registered(nic_, source, rdma::Access::kRemoteRead);
    const auto memory = empty_region(slots * kSlice);
    const auto slot_key = registered(nic_, memory, rdma::Access::kLocalWrite);
    const Path path = Path::over(nic_, 1);
    const auto lane = std::make_shared<rdma::RdmaLane>(path.initiator, std::vector{served->remote_key()},
                                                       std::vector{slot_key}, rdma::RdmaLaneOptions{.name = "staged"});
    std::vector<transfer::Want> wants;
    for (std::uint64_t at = 0; at < kBytes; at += kTensor) {
      const std::uint64_t length = std::min(kTensor, kBytes - at);
      wants.push_back({source->address() + at, length, into->data() + (kBytes - at - length), 0});
    }
    const std::vector<transfer::RemoteBuffer> buffers{{source->address(), kBytes}};
    // More segments than any NIC takes: it never sees them.
    auto plan = transfer::make_plan(wants, buffers, {.slice_bytes = kSlice, .max_segments = 256});
    auto staging = transfer::make_staging(memory, std::vector{into}, 1, kSlice);
    EXPECT_TRUE(plan.ok() && staging.ok());
    const auto operation =
        transfer::Operation::create(std::move(plan.value()), {into}, {lane}, {}, std::move(staging.value()));
    std::promise<transfer::Outcome> ended;
    operation->start([&ended](const transfer::Outcome& outcome) { ended.set_value(outcome); });
    return ended.get_future().get();
  }

  static bool arrived(const memory::RegionPtr& source, const std::shared_ptr<const FakeDeviceRegion>& into) {
    for (std::uint64_t at = 0; at < kBytes; at += kTensor) {
      const std::uint64_t length = std::min(kTensor, kBytes - at);
      if (!std::ranges::equal(bytes_of(source).subspan(at, length),
                              bytes_on(into).subspan(kBytes - at - length, length))) {
        return false;
      }
    }
    return true;
  }
};

TEST_F(RdmaStaging, BringsEveryByteToADevice) {
  const auto source = random_region(kBytes, 31);
  for (const std::uint64_t slots : {2, 5, 32}) {
    const auto device = std::make_shared<FakeDevice>(DeviceFaults{.per_copy = 100us});
    const auto into = device_region(device, kBytes);
    const transfer::Outcome outcome = pull(source, into, slots);
    ASSERT_TRUE(outcome.status.ok()) << outcome.status.message;
    EXPECT_EQ(outcome.bytes, kBytes);
    EXPECT_TRUE(arrived(source, into)) << slots << " slots";
    EXPECT_EQ(device->unpinned, 0);
    EXPECT_EQ(device->streams, 0);
  }
}

TEST_F(RdmaStaging, ACopyThatIsRefusedEndsItWithTheDriversError) {
  const auto source = random_region(kBytes, 32);
  const auto device = std::make_shared<FakeDevice>(DeviceFaults{.copies_before_refusal = 20});
  const transfer::Outcome outcome = pull(source, device_region(device, kBytes), 8);
  EXPECT_EQ(outcome.status.code, Code::kDevice) << outcome.status.message;
  EXPECT_LT(outcome.bytes, kBytes);
  EXPECT_EQ(device->under_way, 0);
}

}  // namespace
}  // namespace weightcast::test
