#include <gtest/gtest.h>

#include "support/rdma.h"

namespace weightcast::test {
namespace {

using RdmaEndpoint = RdmaTest;

TEST_F(RdmaEndpoint, QueuePairNumbersAreDistinct) {
  auto endpoint = rdma::Endpoint::create(nic_, rdma::Role::kResponder, 3, 1);
  ASSERT_TRUE(endpoint.ok());
  const auto numbers = endpoint.value()->numbers();
  ASSERT_EQ(numbers.size(), 3U);
  EXPECT_NE(numbers[0], numbers[1]);
  EXPECT_NE(numbers[1], numbers[2]);
  EXPECT_EQ(endpoint.value()->max_reads(), 0U);
}

TEST_F(RdmaEndpoint, CountsThatDifferAreRefused) {
  auto ours = rdma::Endpoint::create(nic_, rdma::Role::kInitiator, 2, 4);
  auto theirs = rdma::Endpoint::create(nic_, rdma::Role::kResponder, 3, 4);
  ASSERT_TRUE(ours.ok() && theirs.ok());
  const Status status = ours.value()->connect(Path::peer_of(*theirs.value()));
  EXPECT_EQ(status.code, Code::kInvalidArgument);
  EXPECT_NE(status.message.find("3"), std::string::npos) << status.message;
  EXPECT_EQ(ours.value()->max_reads(), 0U);
}

TEST_F(RdmaEndpoint, MalformedPeersAreRefused) {
  auto endpoint = rdma::Endpoint::create(nic_, rdma::Role::kInitiator, 1, 4);
  ASSERT_TRUE(endpoint.ok());
  rdma::PeerQueuePairs peer = Path::peer_of(*endpoint.value());
  peer.gid = "fe80::1";
  EXPECT_EQ(endpoint.value()->connect(peer).code, Code::kInvalidArgument);
  peer = Path::peer_of(*endpoint.value());
  peer.path_mtu = 1500;
  EXPECT_EQ(endpoint.value()->connect(peer).code, Code::kInvalidArgument);
  EXPECT_EQ(rdma::Endpoint::create(nic_, rdma::Role::kInitiator, 0, 4).status().code, Code::kInvalidArgument);
  EXPECT_EQ(rdma::Endpoint::create(nic_, rdma::Role::kInitiator, 1, 0).status().code, Code::kInvalidArgument);
}

TEST_F(RdmaEndpoint, ReadsInFlightAreWhatBothSidesCanDo) {
  for (const std::uint32_t wanted : {0U, 1U, 16U, 100000U}) {
    auto ours = rdma::Endpoint::create(nic_, rdma::Role::kInitiator, 1, 4);
    ASSERT_TRUE(ours.ok());
    rdma::PeerQueuePairs peer = Path::peer_of(*ours.value());
    peer.max_reads = wanted;
    peer.path_mtu = 0;
    const Status status = ours.value()->connect(peer);
    ASSERT_TRUE(status.ok()) << status.message;
    EXPECT_EQ(ours.value()->max_reads(), std::clamp(wanted, 1U, std::min(nic_->max_initiator_reads(), 255U)));
    EXPECT_EQ(ours.value()->connect(peer).code, Code::kInvalidArgument) << "connected twice";
  }
}

TEST_F(RdmaEndpoint, SendDepthStaysWithinTheDevice) {
  auto endpoint = rdma::Endpoint::create(nic_, rdma::Role::kInitiator, 4, UINT32_MAX);
  ASSERT_TRUE(endpoint.ok()) << endpoint.status().message;
  EXPECT_LT(endpoint.value()->send_depth(), UINT32_MAX);
}

TEST_F(RdmaEndpoint, FailIsIdempotent) {
  const Path path = Path::over(nic_, 2);
  path.initiator->fail();
  path.initiator->fail();
  path.initiator->destroy_queue_pairs();
  path.initiator->fail();
  EXPECT_TRUE(path.initiator->queue_pairs().empty());
}

TEST_F(RdmaEndpoint, UnknownDevicesAndGidsAreNotFound) {
  rdma::NicOptions options;
  options.device = "nothere0";
  auto missing = rdma::Nic::open(options);
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.status().code, Code::kNotFound);
  EXPECT_NE(missing.status().message.find(devices_.front()), std::string::npos) << "says what is here";
  options.device = devices_.front();
  options.gid_index = std::uint8_t{250};
  auto gid = rdma::Nic::open(options);
  ASSERT_FALSE(gid.ok());
  EXPECT_EQ(gid.status().code, Code::kNotFound);
  options.gid_index.reset();
  options.port = 9;
  auto port = rdma::Nic::open(options);
  ASSERT_FALSE(port.ok());
  EXPECT_EQ(port.status().code, Code::kVerbs);
}

TEST_F(RdmaEndpoint, TheInventorySaysWhatOpeningTakes) {
  auto ports = rdma::list_devices();
  ASSERT_TRUE(ports.ok());
  for (const rdma::DevicePort& port : ports.value()) {
    if (!port.active) continue;
    const auto nic = open(port.device);
    ASSERT_NE(nic, nullptr);
    EXPECT_EQ(port.chosen_gid_index, nic->gid_index());
    EXPECT_EQ(port.active_mtu, nic->mtu());
    EXPECT_EQ(port.max_sge, nic->max_sge());
    EXPECT_EQ(port.max_message, nic->max_message());
    EXPECT_EQ(port.state, "ACTIVE");
    EXPECT_FALSE(port.provider.empty());
    if (port.device.starts_with("rxe")) {
      EXPECT_EQ(port.provider, "rxe");
      EXPECT_TRUE(port.software);
      EXPECT_EQ(port.netdev.substr(0, 4), "rail");
      EXPECT_EQ(nic->gid().substr(0, 36), "00:00:00:00:00:00:00:00:00:00:ff:ff:") << "the IPv4-mapped one";
    }
  }
}

}  // namespace
}  // namespace weightcast::test
