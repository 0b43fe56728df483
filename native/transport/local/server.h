#pragma once

#include <unistd.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/status.h"
#include "transport/local/wire.h"
#include "transport/tcp/server.h"

namespace weightcast::transport::local {

struct ServerCounters {
  std::uint64_t connections = 0;  ///< accepted
  std::uint64_t served = 0;       ///< that were told where the bytes are
  std::uint64_t refused = 0;      ///< of another user, with another token, or garbage
};

struct ServerOptions {
  std::string name;  ///< of the socket, in the abstract namespace
  Token token;
  uid_t user = geteuid();  ///< whose processes are served, beside root's
};

/// Where processes of this host ask for a seed's bytes: a Unix domain socket, which only they can reach. Who shows the
/// token, and is of the same user or root, is given descriptors of what can be shared, and (Yama) leave to read the
/// rest from memory for as long as its connection lasts. One thread of its own, which waits for nobody: who says
/// nothing for two seconds, or more than it should, is closed.
class Server {
 public:
  virtual ~Server() = default;  // closes
  /// kIo when the name is taken.
  static Result<std::shared_ptr<Server>> listen(const ServerOptions& options);
  /// Replaces what is offered to those who come from now on. kIo, kOutOfMemory.
  virtual Status serve(std::vector<tcp::ServedRange> ranges) = 0;
  [[nodiscard]] virtual ServerCounters counters() const = 0;
  /// Ends all connections, which tells their readers that memory is about to go; joins. Idempotent, blocking.
  virtual void close() = 0;
};

}  // namespace weightcast::transport::local
