#include <algorithm>
#include <atomic>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "memory/region.h"

namespace weightcast::memory {
namespace {

/// Large enough that a step costs far more than taking it, small enough that threads end together.
constexpr std::uint64_t kStep = std::uint64_t{8} << 20U;

/// Takes steps until there are none or one failed. Run by every thread of a copy.
class Copier {
 public:
  Copier(const Region& from, const Region& into) : from_(from), into_(into) {}

  void run() {
    while (!failed_.load(std::memory_order_relaxed)) {
      const std::uint64_t offset = next_.fetch_add(kStep, std::memory_order_relaxed);
      if (offset >= from_.size()) return;
      const std::uint64_t length = std::min(kStep, from_.size() - offset);
      Status status = from_.copy_out(offset, {into_.data() + offset, static_cast<std::size_t>(length)});
      if (!status.ok()) fail(std::move(status));
    }
  }

  [[nodiscard]] Status take_status() { return std::move(status_); }

 private:
  void fail(Status status) {
    const std::lock_guard lock(mutex_);
    if (!failed_.exchange(true)) status_ = std::move(status);
  }

  const Region& from_;
  const Region& into_;
  std::atomic<std::uint64_t> next_{0};
  std::atomic<bool> failed_{false};
  std::mutex mutex_;
  Status status_;  // the first failure; guarded by mutex_ until the threads are joined
};

}  // namespace

Status copy(const Region& from, const Region& into, unsigned threads) {
  if (from.size() != into.size() || !into.writable()) {
    return Status::error(Code::kInvalidArgument, "cannot copy a region of " + std::to_string(from.size()) +
                                                     " bytes into " +
                                                     (into.writable() ? "one of " : "a read-only one of ") +
                                                     std::to_string(into.size()) + " bytes");
  }
  const std::uint64_t steps = (from.size() + kStep - 1) / kStep;
  const auto useful = static_cast<unsigned>(std::min<std::uint64_t>(std::max(threads, 1U), steps));
  Copier copier(from, into);
  std::vector<std::jthread> helpers;
  try {
    for (unsigned i = 1; i < useful; ++i) helpers.emplace_back([&copier] { copier.run(); });
  } catch (const std::system_error&) {  // NOLINT(bugprone-empty-catch)
    // No more threads to be had: those that run, and this one, do all of it.
  }
  copier.run();
  helpers.clear();  // joins
  return copier.take_status();
}

}  // namespace weightcast::memory
