#include "memory/placement.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "memory/mapping.h"

namespace weightcast::memory {
namespace {

/// A process may have 65530 areas, and shares them with everything else that it maps.
constexpr std::uint64_t kMostPieces = 512;

}  // namespace

std::uint64_t piece_bytes(std::uint64_t length, std::uint64_t page_size) {
  return round_up(length / kMostPieces + 1, std::max(page_size, kTransparentHugePage));
}

Placement place(std::byte* base, std::uint64_t length, std::uint64_t page_size, NodeOfEach nodes,
                topology::Kernel& kernel) {
  Placement result;
  if (nodes.empty()) return result;
  const bool all_alike = std::ranges::count(nodes, nodes.front()) == std::ssize(nodes);
  const std::uint64_t piece = all_alike ? length : piece_bytes(length, page_size);
  std::size_t turn = 0;
  for (std::uint64_t at = 0; at < length; at += piece) {
    const int node = nodes[turn++ % nodes.size()];
    if (Status status = kernel.prefer(base + at, std::min(piece, length - at), node); !status.ok()) {
      result.refusal = std::move(status.message);
      return result;
    }
  }
  nodes.resize(std::min(turn, nodes.size()));
  std::ranges::sort(nodes);
  nodes.erase(std::ranges::unique(nodes).begin(), nodes.end());
  result.nodes = std::move(nodes);
  return result;
}

}  // namespace weightcast::memory
