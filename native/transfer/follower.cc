#include "transfer/follower.h"

#include <pthread.h>

#include <algorithm>
#include <array>
#include <new>
#include <system_error>
#include <utility>

#include "topology/kernel.h"
#include "transfer/xxh3.h"

namespace weightcast::transfer {
namespace {

// A wake-up takes a lane some microseconds, in which a fast wire brings 100 KB; the cache still holds what landed
// since the last.
constexpr std::uint64_t kBatchBytes = 4U << 20;
constexpr std::uint64_t kMostBatched = 64;

std::uint64_t batch_of(const Plan& plan) {
  const std::uint64_t slice_bytes = plan.bytes / std::max<std::size_t>(1, plan.slices.size());
  return std::clamp<std::uint64_t>(kBatchBytes / std::max<std::uint64_t>(1, slice_bytes), 1, kMostBatched);
}

}  // namespace

struct Follower::Chain {
  std::size_t part;
  std::size_t rank;  ///< of the slice to be hashed next
  std::uint64_t done = 0;
  bool running = false;  ///< a thread has it; changes under the mutex, as does `rank`
  Xxh3 hash{};
};

Follower::Follower(const Plan& plan, std::span<const Want> wants, std::span<const std::uint8_t> asked,
                   const std::vector<memory::RegionPtr>& regions, unsigned threads,
                   std::vector<topology::Numbers> processors)
    : rank_(plan.rank),
      regions_(regions.begin(), regions.end()),
      sums_(wants.size()),
      log_(plan.slices.size(), batch_of(plan)),
      thread_count_(threads),
      processors_(std::move(processors)),
      taken_(plan.slices.size()) {
  begins_.resize(plan.slices.size() + 1);
  for (std::size_t i = 0; i < plan.slices.size(); ++i) {
    begins_[(rank_.empty() ? i : rank_[i]) + 1] = plan.slices[i].length;
  }
  for (std::size_t rank = 1; rank < begins_.size(); ++rank) begins_[rank] += begins_[rank - 1];

  std::uint64_t begin = 0;
  parts_.reserve(static_cast<std::size_t>(std::ranges::count_if(asked, [](std::uint8_t is) { return is != 0; })));
  for (const std::uint32_t want : plan.order) {
    const std::uint64_t length = wants[want].length;
    if (asked[want] != 0) {
      parts_.push_back({.begin = begin, .length = length, .data = wants[want].local, .want = want});
      total_bytes_ += length;
    }
    begin += length;
  }
  for (std::size_t want = 0; want < wants.size(); ++want) {
    if (asked[want] != 0 && wants[want].length == 0) sums_[want] = Xxh3::of(nullptr, 0);
  }
}

Follower::~Follower() { stop(); }

void Follower::start() {
  while (threads_.size() < thread_count_ && spawn(threads_, [this] { follow(); })) {
  }
}

template <typename Body>
bool Follower::spawn(std::vector<std::thread>& threads, Body body) {
  try {
    threads.emplace_back([this, thread = threads.size(), body = std::move(body)] {
      settle_down(thread);
      (void)pthread_setname_np(pthread_self(), "wc-checksum");  // not before it is where it stays, as a lane
      body();
    });
  } catch (const std::system_error&) {
    return false;
  }
  return true;
}

/// A refusal is told by the lane, whose thread meets the same.
void Follower::settle_down(std::size_t thread) const {
  if (processors_.empty()) return;
  const topology::Numbers& here = processors_[thread % processors_.size()];
  if (!here.empty()) (void)topology::system_kernel().run_on(here);
}

void Follower::stop() {
  stopping_.store(true);
  log_.end();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void Follower::follow() {
  const Round round{.stop = stopping_, .hashed_bytes = hashed_bytes_};
  try {
    do {
      while (!stopping_.load(std::memory_order_relaxed)) {
        const auto slice = log_.take();
        if (!slice) break;
        hash_slice(*slice, round);
      }
    } while (log_.wait());
  } catch (const std::bad_alloc&) {
    failed_.store(true);
  }
}

/// Once taken, a slice is hashed to its end, also when the round stops: nobody else would.
void Follower::hash_slice(std::uint32_t slice, const Round& round) {
  const std::size_t rank = rank_.empty() ? slice : rank_[slice];
  const std::uint64_t begin = begins_[rank];
  const std::uint64_t end = begins_[rank + 1];
  const auto ends_before = [](const Part& part, std::uint64_t at) { return part.begin + part.length <= at; };
  const auto begins_before = [](const Part& part, std::uint64_t at) { return part.begin < at; };
  auto first = std::lower_bound(parts_.begin(), parts_.end(), begin, ends_before);
  auto last = std::lower_bound(first, parts_.end(), end, begins_before);

  // Those at the two ends may be a part of other slices, too.
  std::array<std::size_t, 2> across{};
  std::size_t across_count = 0;
  if (first != last && (first->begin < begin || first->begin + first->length > end)) {
    across[across_count++] = static_cast<std::size_t>(first++ - parts_.begin());
  }
  if (first != last && (last - 1)->begin + (last - 1)->length > end) {
    across[across_count++] = static_cast<std::size_t>(--last - parts_.begin());
  }

  std::array<Chain*, 2> chains{};
  {
    // In one: a want's last slice must not be marked by another thread, and the want be done, before this one looks.
    const std::lock_guard lock(mutex_);
    taken_[rank] = true;
    for (std::size_t i = 0; i < across_count; ++i) chains[i] = begin_chain(across[i]);
  }
  if (chains[0] != nullptr) hash_chain(*chains[0], round);
  for (; first != last; ++first) {
    sums_[first->want] = Xxh3::of(first->data, first->length);
    round.hashed_bytes.fetch_add(first->length, std::memory_order_relaxed);
  }
  if (chains[1] != nullptr) hash_chain(*chains[1], round);
}

bool Follower::ready(const Chain& chain) const { return !chain.running && taken_[chain.rank]; }

/// The chain of a part, when this thread is to go on with it. Under the mutex.
Follower::Chain* Follower::begin_chain(std::size_t index) {
  std::unique_ptr<Chain>& chain = chains_[index];
  if (chain == nullptr) {
    const auto after = std::upper_bound(begins_.begin(), begins_.end(), parts_[index].begin);
    chain =
        std::make_unique<Chain>(Chain{.part = index, .rank = static_cast<std::size_t>(after - begins_.begin()) - 1});
  }
  if (!ready(*chain)) return nullptr;
  chain->running = true;
  return chain.get();
}

/// As far as its slices have been taken without a gap. The caller has made it its own.
void Follower::hash_chain(Chain& chain, const Round& round) {
  const Part& part = parts_[chain.part];
  while (true) {
    const std::uint64_t end = std::min(begins_[chain.rank + 1] - part.begin, part.length);
    chain.hash.update(part.data + chain.done, end - chain.done);
    round.hashed_bytes.fetch_add(end - chain.done, std::memory_order_relaxed);
    chain.done = end;

    const std::lock_guard lock(mutex_);
    if (end == part.length) {
      sums_[part.want] = chain.hash.digest();
      chains_.erase(chain.part);
      return;
    }
    ++chain.rank;
    if (taken_[chain.rank] && !round.stop.load(std::memory_order_relaxed)) continue;
    chain.running = false;
    return;
  }
}

Result<std::vector<std::uint64_t>> Follower::finish(unsigned threads, std::atomic<std::uint64_t>& done_bytes,
                                                    const std::atomic<bool>& cancel) {
  stop();
  std::vector<memory::RegionPtr> held;
  for (const auto& region : regions_) {
    held.push_back(region.lock());
    if (held.back() == nullptr) return Status::error(Code::kClosed, "the memory that was read into is closed");
  }

  // What stop() came in the middle of.
  std::vector<Chain*> begun;
  for (const auto& [index, chain] : chains_) {
    if (!ready(*chain)) continue;
    chain->running = true;
    begun.push_back(chain.get());
  }
  std::atomic<std::size_t> next = 0;
  const auto work = [&] {
    const Round round{.stop = cancel, .hashed_bytes = done_bytes};
    try {
      while (!cancel.load(std::memory_order_relaxed)) {
        if (const std::size_t mine = next.fetch_add(1); mine < begun.size()) {
          hash_chain(*begun[mine], round);
        } else if (const auto slice = log_.take()) {
          hash_slice(*slice, round);
        } else {
          return;
        }
      }
    } catch (const std::bad_alloc&) {
      failed_.store(true);
    }
  };
  // The caller's thread is one of them.
  std::vector<std::thread> helpers;
  while (helpers.size() + 1 < threads && spawn(helpers, work)) {
  }
  work();
  for (std::thread& helper : helpers) helper.join();
  if (cancel.load()) return Status::error(Code::kCancelled, "The checksums were cancelled");
  if (failed_.load()) return Status::error(Code::kOutOfMemory, "the host has no memory left for checksums");
  if (!log_.drained() || !chains_.empty()) return Status::error(Code::kInternal, "Not every slice has landed");
  return std::move(sums_);
}

}  // namespace weightcast::transfer
