#include "topology/nodes.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <optional>

namespace weightcast::topology {
namespace {

std::string line_of(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

/// `nullopt` also where the file is not there.
std::optional<Numbers> numbers_in(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  return parse_numbers(line);
}

}  // namespace

std::vector<Node> read_nodes(const std::string& root) {
  const std::string devices = root + "/sys/devices/system";
  const auto online = numbers_in(devices + "/node/online").value_or(Numbers{});
  const auto with_memory = numbers_in(devices + "/node/has_memory");
  const auto processors = numbers_in(devices + "/cpu/online");
  std::vector<Node> nodes;
  for (const int number : online) {
    Node& node = nodes.emplace_back();
    node.number = number;
    node.processors = numbers_in(devices + "/node/node" + std::to_string(number) + "/cpulist").value_or(Numbers{});
    if (processors) node.processors = common_of(node.processors, *processors);
    node.memory = !with_memory || std::ranges::binary_search(*with_memory, number);
  }
  return nodes;
}

int node_of_nic(const std::string& device, const std::string& root) {
  const std::string line = line_of(root + "/sys/class/infiniband/" + device + "/device/numa_node");
  int node = -1;
  (void)std::from_chars(line.data(), line.data() + line.size(), node);
  return std::max(node, -1);
}

std::string system_root() {
  const char* standin = std::getenv("WEIGHTCAST_STANDIN_ROOT");
  return standin == nullptr ? "/" : standin;
}

}  // namespace weightcast::topology
