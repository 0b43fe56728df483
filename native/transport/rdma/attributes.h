#pragma once

#include <infiniband/verbs.h>

#include <cstdint>

namespace weightcast::transport::rdma {

/// Bytes of a port's MTU; at least 256, at most 4096.
std::uint32_t mtu_bytes(ibv_mtu mtu);

/// "ACTIVE", "DOWN", ...
const char* port_state_name(ibv_port_state state);

/// The local ACK timeout of every queue pair, as verbs count it: 4.096 µs · 2^n. 14 (Mooncake's: 67 ms a try, a dead
/// peer is known after 0.5 s), or WEIGHTCAST_IB_TIMEOUT, 1 to 31, read once: congested fabrics and emulated machines
/// need more.
std::uint8_t ack_timeout();

/// What a device can do about reads.
struct ReadLimits {
  std::uint32_t max_segments;         ///< scatter elements of one read
  std::uint32_t max_initiator_reads;  ///< own reads in flight per queue pair
  std::uint32_t max_responder_reads;  ///< the peer's reads served at once per queue pair
};
ReadLimits read_limits_of(const ibv_device_attr& device);

}  // namespace weightcast::transport::rdma
