#pragma once

#include <string>
#include <vector>

#include "topology/kernel.h"
#include "topology/nodes.h"

namespace weightcast::topology {

/// Where one RDMA device is, and what follows from it.
struct NicLocality {
  std::string device;
  int node = -1;               ///< -1: unknown
  Numbers processors;          ///< where threads that serve it are kept; none: they stay where they are
  std::string threads_reason;  ///< why they stay; "" when they do not
  std::string memory_reason;   ///< why memory for it is not placed on `node`; "" when it is
};

struct Locality {
  std::vector<Node> nodes;
  std::vector<NicLocality> nics;  ///< as they were given
};

/// What to do for these devices. With fewer than two nodes there is nothing to do: `nics` have their node and the
/// reason, and `kernel` is asked nothing.
///
/// Threads are left alone when all that the process may run on is on one node: its user, or whoever made its cpuset,
/// has placed it. Memory is, when the process has a memory policy of its own.
/// @param root `/`, or a tree made by a test.
Locality locate(const std::vector<std::string>& devices, const std::string& root, Kernel& kernel);

}  // namespace weightcast::topology
