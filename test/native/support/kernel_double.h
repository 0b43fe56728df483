#pragma once

#include <cerrno>
#include <optional>
#include <utility>
#include <vector>

#include "topology/kernel.h"

namespace weightcast::test {

/// A kernel that says what the test wants, refuses what it wants, and notes where memory was placed.
class KernelDouble final : public topology::Kernel {
 public:
  struct Placed {
    std::byte* base;
    std::uint64_t length;
    int node;
  };

  topology::Numbers processors{0, 1, 2, 3, 4, 5, 6, 7};
  std::optional<topology::Numbers> nodes = std::nullopt;
  bool policy = false;
  int refusal = 0;          ///< errno of every call that can be refused
  int placed_at_most = -1;  ///< calls of `prefer` that succeed before they are refused with ENOMEM; -1: all
  std::vector<Placed> placed;

  [[nodiscard]] int calls() const { return calls_; }

  Result<topology::Numbers> allowed_processors() override {
    ++calls_;
    if (refusal != 0) return refused("sched_getaffinity");
    return processors;
  }
  std::optional<topology::Numbers> allowed_nodes() override {
    ++calls_;
    return nodes;
  }
  bool has_memory_policy() override {
    ++calls_;
    return policy;
  }
  Status prefer(std::byte* base, std::uint64_t length, int node) override {
    ++calls_;
    if (refusal != 0) return refused("mbind");
    if (placed_at_most >= 0 && std::cmp_greater_equal(placed.size(), placed_at_most)) {
      return Status::system(Code::kIo, "mbind", ENOMEM, "no more");
    }
    placed.push_back({base, length, node});
    return Status::success();
  }
  Status run_on(const topology::Numbers& /*processors*/) override {
    ++calls_;
    return refusal != 0 ? refused("sched_setaffinity") : Status::success();
  }

 private:
  [[nodiscard]] Status refused(const char* call) const { return Status::system(Code::kIo, call, refusal, "refused"); }
  int calls_ = 0;
};

}  // namespace weightcast::test
