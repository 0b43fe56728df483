#include "transport/rdma/attributes.h"

#include <algorithm>
#include <cstdlib>

namespace weightcast::transport::rdma {
namespace {

/// Devices claim up to 32, but a queue pair of many segments and a deep queue can be refused all the same, each request
/// takes more of the send queue, and gathering more than this into one read gains nothing.
constexpr int kMaxSegments = 16;

}  // namespace

std::uint32_t mtu_bytes(ibv_mtu mtu) {
  const auto value = std::clamp<unsigned>(mtu, IBV_MTU_256, IBV_MTU_4096);
  return 128U << value;
}

const char* port_state_name(ibv_port_state state) {
  switch (state) {
    case IBV_PORT_NOP:
      return "NOP";
    case IBV_PORT_DOWN:
      return "DOWN";
    case IBV_PORT_INIT:
      return "INIT";
    case IBV_PORT_ARMED:
      return "ARMED";
    case IBV_PORT_ACTIVE:
      return "ACTIVE";
    case IBV_PORT_ACTIVE_DEFER:
      return "ACTIVE_DEFER";
  }
  return "UNKNOWN";
}

std::uint8_t ack_timeout() {
  static const std::uint8_t value = [] {
    constexpr long kStandard = 14;
    const char* text = std::getenv("WEIGHTCAST_IB_TIMEOUT");
    const long wanted = text == nullptr ? kStandard : std::strtol(text, nullptr, 10);
    return static_cast<std::uint8_t>(wanted >= 1 && wanted <= 31 ? wanted : kStandard);
  }();
  return value;
}

ReadLimits read_limits_of(const ibv_device_attr& device) {
  const int segments = device.max_sge_rd > 0 ? std::min(device.max_sge, device.max_sge_rd) : device.max_sge;
  return {.max_segments = static_cast<std::uint32_t>(std::clamp(segments, 1, kMaxSegments)),
          .max_initiator_reads = static_cast<std::uint32_t>(std::max(device.max_qp_init_rd_atom, 0)),
          .max_responder_reads = static_cast<std::uint32_t>(std::max(device.max_qp_rd_atom, 0))};
}

}  // namespace weightcast::transport::rdma
