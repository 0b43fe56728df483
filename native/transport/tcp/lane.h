#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "common/status.h"
#include "transport/transport.h"

namespace weightcast::transport::tcp {

struct TcpLaneOptions {
  std::string name;
  std::string host;
  std::uint16_t port = 0;
  int protocol_version = 1;  ///< 2 only when the peer's descriptor says so
  std::chrono::milliseconds connect_timeout{5000};
  std::chrono::milliseconds stall_timeout{10000};  ///< no byte for so long is kStalled
};

/// Reads over one TCP connection, one request at a time, bytes received straight into the destination segments.
/// A peer that closes after each answer (Mooncake up to 0.3.9) is reconnected to; a close before the first byte of an
/// answer is tried once more on a fresh connection, anything later is kPeerLost. Connections that the peer ended
/// between two answers are counted in the report: another process may be at its port by then. A slice that one
/// connection waited for in vain is tried by one more; when nothing at all comes then either, the operation is
/// kStalled.
class TcpLane {
 public:
  /// Connects (blocking, up to connect_timeout). kPeerLost when refused or unreachable.
  static Result<std::shared_ptr<Lane>> connect(const TcpLaneOptions& options);
};

}  // namespace weightcast::transport::tcp
