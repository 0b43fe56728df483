#pragma once

#include <gtest/gtest.h>

#include <condition_variable>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "support/bytes.h"
#include "transport/rdma/endpoint.h"
#include "transport/rdma/inventory.h"
#include "transport/rdma/lane.h"
#include "transport/rdma/nic.h"
#include "transport/transport.h"

namespace weightcast::test {

namespace rdma = transport::rdma;

/// Slices that lanes take in order; slices that come back are taken again unless the feed is stopping.
class TestFeed final : public transport::SliceFeed {
 public:
  /// Called at each landing with the number of slices landed so far.
  std::function<void(std::size_t)> on_landed = [](std::size_t) {};
  /// Whether a slice that was given back may be taken again. Off, each run shows what one lane gave back.
  bool retry = false;

  void add(std::uint64_t remote_address, std::uint32_t remote_buffer, std::vector<transport::Segment> segments) {
    transport::Slice slice{.remote_address = remote_address,
                           .length = 0,
                           .remote_buffer = remote_buffer,
                           .first_segment = static_cast<std::uint32_t>(segments_.size()),
                           .segment_count = static_cast<std::uint32_t>(segments.size())};
    for (const transport::Segment& segment : segments) slice.length += segment.length;
    segments_.insert(segments_.end(), segments.begin(), segments.end());
    slices_.push_back(slice);
    owner_.push_back(-1);
  }

  /// One contiguous range, cut into slices of `slice_bytes`. Remote buffer and region 0.
  void add_range(std::uint64_t remote_address, std::byte* local, std::uint64_t length, std::uint64_t slice_bytes) {
    for (std::uint64_t offset = 0; offset < length; offset += slice_bytes) {
      const auto size = static_cast<std::uint32_t>(std::min(slice_bytes, length - offset));
      add(remote_address + offset, 0, {{local + offset, size, 0}});
    }
  }

  std::optional<std::uint32_t> take() override {
    const std::lock_guard lock(mutex_);
    if (stopping_) return std::nullopt;
    if (retry && !given_back_.empty()) {
      const std::uint32_t index = given_back_.back();
      given_back_.pop_back();
      ++outstanding_;
      return index;
    }
    if (next_ == slices_.size()) return std::nullopt;
    ++outstanding_;
    return static_cast<std::uint32_t>(next_++);
  }
  const transport::Slice& slice(std::uint32_t index) const override { return slices_[index]; }
  std::span<const transport::Segment> segments(std::uint32_t index) const override {
    return std::span(segments_).subspan(slices_[index].first_segment, slices_[index].segment_count);
  }
  void landed(std::uint32_t index, std::uint32_t lane) override {
    std::size_t count = 0;
    {
      const std::lock_guard lock(mutex_);
      EXPECT_EQ(owner_[index], -1) << "slice " << index << " landed twice";
      owner_[index] = static_cast<int>(lane);
      --outstanding_;
      count = ++landed_;
      changed_.notify_all();
    }
    on_landed(count);
  }
  void give_back(std::uint32_t index) override {
    const std::lock_guard lock(mutex_);
    --outstanding_;
    given_back_.push_back(index);
    changed_.notify_all();
  }
  bool wait_for_work() override {
    std::unique_lock lock(mutex_);
    const auto available = [this] { return next_ < slices_.size() || (retry && !given_back_.empty()); };
    changed_.wait(lock, [&] { return stopping_ || available() || outstanding_ == 0; });
    return !stopping_ && available();
  }
  bool stopping() const override {
    const std::lock_guard lock(mutex_);
    return stopping_;
  }

  void stop() {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  std::size_t size() const { return slices_.size(); }
  std::size_t landed_count() const {
    const std::lock_guard lock(mutex_);
    return landed_;
  }
  std::size_t given_back_count() const { return given_back_.size(); }
  std::size_t taken_count() const { return next_; }
  std::size_t outstanding() const { return outstanding_; }
  /// The lane that landed a slice; -1 when none did.
  int owner(std::size_t index) const { return owner_[index]; }

 private:
  std::vector<transport::Slice> slices_;
  std::vector<transport::Segment> segments_;
  std::vector<int> owner_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::uint32_t> given_back_;
  std::size_t next_ = 0, landed_ = 0, outstanding_ = 0;
  bool stopping_ = false;
};

/// Both ends of a path over one NIC, connected.
struct Path {
  std::shared_ptr<rdma::Endpoint> initiator, responder;

  static Path over(const std::shared_ptr<rdma::Nic>& nic, std::uint32_t queue_pairs, std::uint32_t depth = 20) {
    auto initiator = rdma::Endpoint::create(nic, rdma::Role::kInitiator, queue_pairs, depth);
    auto responder = rdma::Endpoint::create(nic, rdma::Role::kResponder, queue_pairs, depth);
    EXPECT_TRUE(initiator.ok() && responder.ok());
    Path path{initiator.value(), responder.value()};
    const Status there = path.initiator->connect(peer_of(*path.responder));
    const Status back = path.responder->connect(peer_of(*path.initiator));
    EXPECT_TRUE(there.ok()) << there.message;
    EXPECT_TRUE(back.ok()) << back.message;
    return path;
  }

  /// What that endpoint's side would say in a Connection message.
  static rdma::PeerQueuePairs peer_of(const rdma::Endpoint& endpoint) {
    return {.gid = endpoint.nic()->gid(),
            .lid = endpoint.nic()->lid(),
            .numbers = {endpoint.numbers().begin(), endpoint.numbers().end()},
            .path_mtu = endpoint.nic()->mtu(),
            .max_reads = 16};
  }
};

/// Skips each test of the suite where there is no RDMA, with the reason.
class RdmaTest : public testing::Test {
 protected:
  void SetUp() override {
    auto ports = rdma::list_devices();
    if (!ports.ok()) GTEST_SKIP() << ports.status().message;
    for (const rdma::DevicePort& port : ports.value()) {
      if (port.active) devices_.push_back(port.device);
    }
    if (devices_.empty()) GTEST_SKIP() << "no RDMA device with an active port";
    nic_ = open(devices_.front());
  }

  static std::shared_ptr<rdma::Nic> open(const std::string& device) {
    rdma::NicOptions options;
    options.device = device;
    auto nic = rdma::Nic::open(options);
    EXPECT_TRUE(nic.ok()) << nic.status().message;
    return nic.ok() ? nic.value() : nullptr;
  }

  static std::shared_ptr<rdma::Registration> registered(const std::shared_ptr<rdma::Nic>& nic,
                                                        const memory::RegionPtr& region, rdma::Access access) {
    auto registration = nic->register_memory(region, 0, region->size(), access);
    EXPECT_TRUE(registration.ok()) << registration.status().message;
    return registration.ok() ? registration.value() : nullptr;
  }

  std::vector<std::string> devices_;
  std::shared_ptr<rdma::Nic> nic_;
};

/// A seed's region with random bytes and a target's empty one of the same size, both registered on one NIC.
struct Transfer {
  memory::RegionPtr from, into;
  std::shared_ptr<rdma::Registration> served, local;

  Transfer(const std::shared_ptr<rdma::Nic>& nic, std::uint64_t size, std::uint64_t seed = 1)
      : Transfer(nic, random_region(size, seed)) {}
  Transfer(const std::shared_ptr<rdma::Nic>& nic, memory::RegionPtr source)
      : from(std::move(source)), into(empty_region(from->size())) {
    auto remote = nic->register_memory(from, 0, from->size(), rdma::Access::kRemoteRead);
    auto mine = nic->register_memory(into, 0, into->size(), rdma::Access::kLocalWrite);
    EXPECT_TRUE(remote.ok() && mine.ok());
    served = remote.value();
    local = mine.value();
  }

  std::shared_ptr<rdma::RdmaLane> lane(const Path& path, rdma::RdmaLaneOptions options = {}) const {
    options.name = "test";
    return std::make_shared<rdma::RdmaLane>(path.initiator, std::vector{served->remote_key()}, std::vector{local},
                                            options);
  }
  bool arrived() const { return std::memcmp(from->data(), into->data(), from->size()) == 0; }
};

}  // namespace weightcast::test
