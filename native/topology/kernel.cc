#include "topology/kernel.h"

#include <linux/mempolicy.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

namespace weightcast::topology {
namespace {

constexpr std::size_t kBitsOfWord = sizeof(unsigned long) * CHAR_BIT;
/// The kernel refuses a mask that is shorter than its own; this is longer than any.
constexpr std::size_t kMaskBits = 1U << 16U;

/// A mask of bits as system calls take it.
using Mask = std::vector<unsigned long>;

Mask mask_of(const Numbers& numbers) {
  Mask mask(kMaskBits / kBitsOfWord);
  for (const int number : numbers) {
    const auto bit = static_cast<std::size_t>(number);
    if (bit < kMaskBits) mask[bit / kBitsOfWord] |= 1UL << (bit % kBitsOfWord);
  }
  return mask;
}

class SystemKernel final : public Kernel {
 public:
  Result<Numbers> allowed_processors() override {
    Mask mask(kMaskBits / kBitsOfWord);
    if (sched_getaffinity(getpid(), kMaskBits / CHAR_BIT, reinterpret_cast<cpu_set_t*>(mask.data())) != 0) {
      return Status::system(Code::kIo, "sched_getaffinity", errno,
                            "the kernel does not say where this process may run");
    }
    Numbers processors;
    for (std::size_t bit = 0; bit < kMaskBits; ++bit) {
      if ((mask[bit / kBitsOfWord] >> (bit % kBitsOfWord) & 1UL) != 0) processors.push_back(static_cast<int>(bit));
    }
    return processors;
  }

  std::optional<Numbers> allowed_nodes() override {
    constexpr std::string_view kKey = "Mems_allowed_list:";
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
      if (!line.starts_with(kKey)) continue;
      return parse_numbers(
          std::string_view(line).substr(std::min(line.find_first_not_of(" \t", kKey.size()), line.size())));
    }
    return std::nullopt;
  }

  bool has_memory_policy() override {
    int mode = MPOL_DEFAULT;
    return syscall(SYS_get_mempolicy, &mode, nullptr, 0UL, nullptr, 0UL) == 0 && mode != MPOL_DEFAULT;
  }

  Status prefer(std::byte* base, std::uint64_t length, int node) override {
    const Mask mask = mask_of({node});
    // One bit more than the mask has: the kernel takes one off.
    const auto bits = static_cast<unsigned long>(node) + 2;
    if (syscall(SYS_mbind, base, length, MPOL_PREFERRED, mask.data(), bits, 0UL) == 0) return Status::success();
    return Status::system(Code::kIo, "mbind", errno,
                          "the kernel does not place memory on node " + std::to_string(node));
  }

  Status run_on(const Numbers& processors) override {
    const Mask mask = mask_of(processors);
    if (sched_setaffinity(0, kMaskBits / CHAR_BIT, reinterpret_cast<const cpu_set_t*>(mask.data())) == 0) {
      return Status::success();
    }
    return Status::system(Code::kIo, "sched_setaffinity", errno,
                          "the kernel does not keep a thread on processors " + format_numbers(processors));
  }
};

}  // namespace

Kernel& system_kernel() {
  static SystemKernel kernel;
  return kernel;
}

}  // namespace weightcast::topology
