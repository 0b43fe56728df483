#include "transfer/checksum.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <mutex>
#include <numeric>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "memory/device.h"
#include "memory/device_reader.h"
#include "transfer/xxh3.h"

namespace weightcast::transfer {
namespace {

// How much is hashed between two looks at `cancel`, and what is copied out at a time of memory that may fault.
constexpr std::uint64_t kPieceBytes = 1U << 20;

/// What the threads of one checksum() share.
class Task {
 public:
  Task(std::span<const memory::RegionPtr> regions, std::span<const ChecksumRange> ranges,
       std::atomic<std::uint64_t>& done_bytes, const std::atomic<bool>& cancel)
      : regions_(regions), ranges_(ranges), done_bytes_(done_bytes), cancel_(cancel), sums_(ranges.size()) {
    order_.resize(ranges.size());
    std::iota(order_.begin(), order_.end(), std::size_t{0});
    // Largest first: the last range to be taken is then a small one, and no thread is left alone with a large one.
    std::sort(order_.begin(), order_.end(), [ranges](std::size_t a, std::size_t b) {
      return ranges[a].length != ranges[b].length ? ranges[a].length > ranges[b].length : a < b;
    });
  }

  /// Body of each thread.
  void work() {
    Scratch scratch;
    while (!failed_.load(std::memory_order_relaxed)) {
      const std::size_t taken = next_.fetch_add(1, std::memory_order_relaxed);
      if (taken >= order_.size()) return;
      Status status = hash(order_[taken], scratch);
      if (!status.ok()) return fail(std::move(status));
    }
  }

  Result<std::vector<std::uint64_t>> finish() {
    if (!failure_.ok()) return std::move(failure_);
    return std::move(sums_);
  }

 private:
  /// What one thread needs for memory that it cannot load from.
  struct Scratch {
    std::unique_ptr<std::byte[]> buffer;
    std::unique_ptr<memory::DeviceReader> reader;
  };

  Status hash(std::size_t index, Scratch& scratch) {
    const ChecksumRange& range = ranges_[index];
    const memory::Region& region = *regions_[range.region];
    Xxh3 hash;
    const auto update = [&](std::span<const std::byte> bytes) {
      if (cancel_.load(std::memory_order_relaxed)) {
        return Status::error(Code::kCancelled, "The checksums were cancelled");
      }
      hash.update(bytes.data(), bytes.size());
      done_bytes_.fetch_add(bytes.size(), std::memory_order_relaxed);
      return Status::success();
    };
    Status status = region.on_device() != nullptr ? read_device(region, range, scratch, update)
                                                  : read_host(region, range, scratch, update);
    if (status.ok()) sums_[index] = hash.digest();
    return status;
  }

  static Status read_device(const memory::Region& region, const ChecksumRange& range, Scratch& scratch,
                            const memory::DeviceReader::Take& update) {
    const auto& device = region.on_device()->device();
    if (scratch.reader == nullptr || scratch.reader->device() != device.get()) {
      auto opened = memory::DeviceReader::open(device);
      if (!opened.ok()) return opened.status();
      scratch.reader = std::move(opened.value());
    }
    return scratch.reader->read(region, range.offset, range.length, update);
  }

  template <typename Update>
  static Status read_host(const memory::Region& region, const ChecksumRange& range, Scratch& scratch, Update update) {
    const bool copies = !region.safe_to_load();
    if (copies && !scratch.buffer) scratch.buffer = std::make_unique<std::byte[]>(kPieceBytes);
    for (std::uint64_t done = 0; done < range.length;) {
      const auto count = static_cast<std::size_t>(std::min(range.length - done, kPieceBytes));
      const std::byte* bytes = region.data() + range.offset + done;
      if (copies) {
        Status copied = region.copy_out(range.offset + done, std::span(scratch.buffer.get(), count));
        if (!copied.ok()) return copied;
        bytes = scratch.buffer.get();
      }
      if (Status status = update(std::span(bytes, count)); !status.ok()) return status;
      done += count;
    }
    return Status::success();
  }

  void fail(Status status) {
    const std::lock_guard lock(mutex_);
    if (failure_.ok()) failure_ = std::move(status);
    failed_.store(true, std::memory_order_relaxed);
  }

  std::span<const memory::RegionPtr> regions_;
  std::span<const ChecksumRange> ranges_;
  std::atomic<std::uint64_t>& done_bytes_;
  const std::atomic<bool>& cancel_;
  std::vector<std::uint64_t> sums_;  // each element is written by the one thread that took its range
  std::vector<std::size_t> order_;
  std::atomic<std::size_t> next_ = 0;
  std::atomic<bool> failed_ = false;
  std::mutex mutex_;
  Status failure_;  // guarded by mutex_
};

Status check(std::span<const memory::RegionPtr> regions, std::span<const ChecksumRange> ranges) {
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    const ChecksumRange& range = ranges[i];
    const bool inside = range.region < regions.size() && range.offset <= regions[range.region]->size() &&
                        range.length <= regions[range.region]->size() - range.offset;
    if (!inside) return Status::error(Code::kOutOfRange, "Checksum range " + std::to_string(i) + " leaves its region");
  }
  return Status::success();
}

/// False when the system gives no more threads; fewer are slower and no less right.
bool spawn(std::vector<std::thread>& pool, Task& task) {
  try {
    pool.emplace_back([&task] { task.work(); });
    return true;
  } catch (const std::system_error&) {
    return false;
  }
}

}  // namespace

Result<std::vector<std::uint64_t>> checksum(std::span<const memory::RegionPtr> regions,
                                            std::span<const ChecksumRange> ranges, unsigned threads,
                                            std::atomic<std::uint64_t>& done_bytes, const std::atomic<bool>& cancel) {
  Status status = check(regions, ranges);
  if (!status.ok()) return status;
  Task task(regions, ranges, done_bytes, cancel);
  // The caller's thread is one of them.
  const std::size_t helpers = std::min<std::size_t>(std::max(1U, threads), std::max<std::size_t>(1, ranges.size())) - 1;
  std::vector<std::thread> pool;
  pool.reserve(helpers);
  while (pool.size() < helpers && spawn(pool, task)) {
  }
  task.work();
  for (std::thread& thread : pool) thread.join();
  return task.finish();
}

}  // namespace weightcast::transfer
