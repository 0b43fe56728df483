#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/status.h"
#include "memory/region.h"
#include "transport/tcp/zero_copy.h"

namespace weightcast::transport::tcp {

/// A range that peers may read. Requests must lie inside one of them, byte exact.
struct ServedRange {
  memory::RegionPtr region;
  std::uint64_t address = 0;  ///< virtual address, as published
  std::uint64_t length = 0;
};

/// `requests` were answered with bytes, `rejected` were refused; `bytes` grows as they are handed to the kernel. The
/// others are `ZeroCopyCounters`: `zero_copy_bytes` grows as the kernel says that it is done with them.
struct ServerCounters {
  std::uint64_t connections = 0, requests = 0, rejected = 0, bytes = 0;
  std::uint64_t zero_copy_bytes = 0, zero_copy_refused = 0, zero_copy_crowded = 0;
};

/// The serving end of Mooncake's TCP transport (mooncake-wire §6): READ in protocol v1 and v2, decided per request by
/// the bit. WRITE is refused. Never serves a byte outside of its ranges; garbage closes that connection and no other.
/// Own threads (epoll, non-blocking); the process is never blocked by a slow reader.
class Server {
 public:
  virtual ~Server() = default;  // closes
  /// `host` "" listens dual stack on all addresses; `port` 0 picks one. kIo when it cannot bind.
  static Result<std::shared_ptr<Server>> listen(const std::string& host, std::uint16_t port, unsigned threads,
                                                ZeroCopy zero_copy = ZeroCopy::kAuto);
  [[nodiscard]] virtual std::uint16_t port() const = 0;
  /// Replaces the ranges; requests that run finish on the old ones. A region is kept until the last answer out of it is
  /// sent and, where the kernel sends out of the region itself, acknowledged. A range that leaves its region is not
  /// served.
  virtual void serve(std::vector<ServedRange> ranges) = 0;
  [[nodiscard]] virtual ServerCounters counters() const = 0;
  /// Stops accepting, ends all connections, joins the threads and drops the ranges. Idempotent, blocking. Connections
  /// whose answers the kernel still sends out of a region are reset.
  virtual void close() = 0;
};

}  // namespace weightcast::transport::tcp
