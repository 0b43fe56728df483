#include "topology/locality.h"

#include <algorithm>
#include <cstddef>
#include <optional>

namespace weightcast::topology {
namespace {

const Node* find_node(const std::vector<Node>& nodes, int number) {
  const auto found = std::ranges::find(nodes, number, &Node::number);
  return found == nodes.end() ? nullptr : &*found;
}

std::string name_of(const Node& node) { return "node " + std::to_string(node.number); }

/// What holds for all devices of a process.
struct Circumstances {
  Numbers processors;             ///< that it may run on
  std::string threads_reason;     ///< why no thread is moved
  std::optional<Numbers> memory;  ///< nodes that it may have memory of
  std::string memory_reason;      ///< why no memory is placed
};

Circumstances look_around(const std::vector<Node>& nodes, Kernel& kernel) {
  Circumstances found;
  if (auto allowed = kernel.allowed_processors(); allowed.ok()) {
    found.processors = std::move(allowed.value());
  } else {
    found.threads_reason = allowed.status().message;
  }
  std::vector<const Node*> usable;
  for (const Node& node : nodes) {
    if (!common_of(node.processors, found.processors).empty()) usable.push_back(&node);
  }
  const auto with_processors = std::ranges::count_if(nodes, [](const Node& node) { return !node.processors.empty(); });
  if (found.threads_reason.empty() && usable.size() == 1) {
    found.threads_reason = with_processors == 1 ? "all processors are on " + name_of(*usable.front())
                                                : "this process is kept on " + name_of(*usable.front()) +
                                                      " already, by its affinity mask or its cpuset";
  }
  found.memory = kernel.allowed_nodes();
  if (kernel.has_memory_policy()) found.memory_reason = "this process has a memory policy of its own (numactl)";
  return found;
}

void decide(NicLocality& nic, const Node& node, const Circumstances& found) {
  nic.threads_reason = found.threads_reason;
  if (nic.threads_reason.empty()) {
    nic.processors = common_of(node.processors, found.processors);
    if (node.processors.empty()) {
      nic.threads_reason = name_of(node) + " has no processors";
    } else if (nic.processors.empty()) {
      nic.threads_reason = "this process may not run on " + name_of(node);
    }
  }
  nic.memory_reason = found.memory_reason;
  if (!nic.memory_reason.empty()) return;
  if (!node.memory) {
    nic.memory_reason = name_of(node) + " has no memory";
  } else if (found.memory && !std::ranges::binary_search(*found.memory, node.number)) {
    nic.memory_reason = "this process's cpuset does not let it have memory of " + name_of(node);
  }
}

}  // namespace

Locality locate(const std::vector<std::string>& devices, const std::string& root, Kernel& kernel) {
  Locality result{.nodes = read_nodes(root), .nics = {}};
  std::optional<Circumstances> found;
  if (result.nodes.size() > 1 && !devices.empty()) found = look_around(result.nodes, kernel);
  for (const std::string& device : devices) {
    NicLocality& nic = result.nics.emplace_back();
    nic.device = device;
    nic.node = node_of_nic(device, root);
    if (!found) {
      nic.threads_reason = nic.memory_reason = "this machine has one node";
    } else if (const Node* node = find_node(result.nodes, nic.node); node == nullptr) {
      nic.threads_reason = nic.memory_reason = "the kernel does not say on which node " + device + " is";
    } else {
      decide(nic, *node, *found);
    }
  }
  return result;
}

}  // namespace weightcast::topology
