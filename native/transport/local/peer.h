#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/status.h"
#include "memory/region.h"
#include "transport/local/wire.h"
#include "transport/tcp/socket.h"
#include "transport/transport.h"

namespace weightcast::transport::local {

struct PeerOptions {
  std::string name;  ///< of the seed's socket
  Token token;
  std::chrono::milliseconds timeout{2000};
};

/// A seed of this host, and what it lets us read. Lives as long as it is read: the seed takes leave back when its
/// connection ends. Thread-safe: immutable, but for the connection that `read` looks at.
class Peer {
 public:
  /// Blocking, up to the timeout. kNotFound: nobody has that name here, so the seed is on another host, in another
  /// network namespace, or gone. kRemoteAccess: the seed is here, but it or the kernel does not let us read; the
  /// message says why. kProtocol, kIo.
  static Result<std::shared_ptr<const Peer>> connect(const PeerOptions& options);

  [[nodiscard]] const std::vector<Row>& rows() const { return rows_; }
  [[nodiscard]] pid_t pid() const { return pid_; }  ///< 0: in a process namespace that we do not see

  /// Reads [address, address + sum of the segments) of row `row`. kOutOfRange, kPeerLost (the seed is gone, or
  /// closing), kRemoteAccess (its file was cut short, its memory unmapped), kIo. `calls` counts system calls.
  Status read(std::uint32_t row, std::uint64_t address, std::span<const Segment> segments, std::uint64_t& calls) const;
  /// A read-only mapping of a row that has a descriptor, which outlives this peer and the seed. kInvalidArgument for
  /// one that has none.
  [[nodiscard]] Result<memory::RegionPtr> map(std::uint32_t row) const;

 private:
  Status greet(const PeerOptions& options);
  Status take_rows(int table, std::uint64_t count);
  Status check_memory(bool free);
  Status seed_is_there() const;

  std::string name_;
  tcp::Fd socket_;
  tcp::Fd process_;  // a pidfd: a number may be another process's by the time that it is used
  pid_t pid_ = 0;
  std::vector<Row> rows_;
  std::vector<tcp::Fd> descriptors_;
};

}  // namespace weightcast::transport::local
