#pragma once

#include <string>
#include <vector>

#include "topology/numbers.h"

namespace weightcast::topology {

/// A NUMA node that is online.
struct Node {
  int number = 0;
  Numbers processors;   ///< that are online; none: memory only (CXL, HBM)
  bool memory = false;  ///< false: processors only
};

/// By number. Empty when the kernel shows none.
/// @param root `/`, or a tree made by a test.
std::vector<Node> read_nodes(const std::string& root);

/// Of an RDMA device; -1 when the kernel does not know, as of software devices.
int node_of_nic(const std::string& device, const std::string& root);

/// `/`; or what WEIGHTCAST_STANDIN_ROOT names, a test's double of the kernel's file systems.
std::string system_root();

}  // namespace weightcast::topology
