#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "memory/device.h"
#include "memory/device_copy.h"
#include "memory/region.h"

namespace weightcast::memory {
namespace {

/// Large enough that a step costs far more than taking it, small enough that threads end together.
constexpr std::uint64_t kStep = std::uint64_t{8} << 20U;
/// With an accelerator: its link is the limit, and each thread pins memory of its own.
constexpr unsigned kMostDeviceThreads = 4;

/// Takes steps until there are none or one failed. Run by every thread of a copy.
class Copier {
 public:
  Copier(const Region& from, const Region& into)
      : from_(from), into_(into), by_device_(from.on_device() != nullptr || into.on_device() != nullptr) {}

  void run() {
    Status status = by_device_ ? run_by_device() : run_on_host();
    if (!status.ok()) fail(std::move(status));
  }

  /// How many threads have something to do.
  [[nodiscard]] unsigned most_threads() const {
    const std::uint64_t steps = (from_.size() + step() - 1) / step();
    return static_cast<unsigned>(std::min<std::uint64_t>(steps, by_device_ ? kMostDeviceThreads : UINT32_MAX));
  }
  [[nodiscard]] Status take_status() { return std::move(status_); }

 private:
  struct Step {
    std::uint64_t offset, length;
  };

  [[nodiscard]] std::uint64_t step() const { return by_device_ ? DeviceCopy::kPieceBytes : kStep; }

  std::optional<Step> next() {
    if (failed_.load(std::memory_order_relaxed)) return std::nullopt;
    const std::uint64_t offset = next_.fetch_add(step(), std::memory_order_relaxed);
    if (offset >= from_.size()) return std::nullopt;
    return Step{.offset = offset, .length = std::min(step(), from_.size() - offset)};
  }

  Status run_on_host() {
    while (const auto step = next()) {
      const std::span into(into_.data() + step->offset, static_cast<std::size_t>(step->length));
      if (Status status = from_.copy_out(step->offset, into); !status.ok()) return status;
    }
    return Status::success();
  }

  Status run_by_device() {
    DeviceCopy copy(from_, into_);
    if (Status status = copy.open(); !status.ok()) return status;
    while (const auto step = next()) {
      if (Status status = copy.begin(step->offset, step->length); !status.ok()) return status;
    }
    return copy.finish();
  }

  void fail(Status status) {
    const std::lock_guard lock(mutex_);
    if (!failed_.exchange(true)) status_ = std::move(status);
  }

  const Region& from_;
  const Region& into_;
  const bool by_device_;
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
  Copier copier(from, into);
  const unsigned useful = std::min(std::max(threads, 1U), copier.most_threads());
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

Status copy_in(const Region& into, std::uint64_t offset, std::span<const std::byte> bytes) {
  if (!into.writable()) return Status::error(Code::kInvalidArgument, "cannot write into a read-only region");
  if (offset > into.size() || bytes.size() > into.size() - offset) {
    return Status::error(Code::kOutOfRange, "cannot write " + std::to_string(bytes.size()) + " bytes at offset " +
                                                std::to_string(offset) + " of a region of " +
                                                std::to_string(into.size()) + " bytes");
  }
  if (bytes.empty()) return Status::success();
  const DeviceRegion* device = into.on_device();
  if (device == nullptr) {
    std::memcpy(into.data() + offset, bytes.data(), bytes.size());
    return Status::success();
  }
  auto stream = device->device()->open_stream();
  if (!stream.ok()) return stream.status();
  Status status = stream.value()->to_device(into.data() + offset, bytes.data(), bytes.size());
  if (!status.ok()) return status;
  auto ticket = stream.value()->mark();
  return ticket.ok() ? stream.value()->wait(ticket.value()) : ticket.status();
}

}  // namespace weightcast::memory
