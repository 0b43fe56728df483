#include "binding/transfer_task.h"

#include <chrono>

#include "binding/promised.h"

namespace weightcast::binding {

void TransferTask::run(const Finished& finished) {
  const auto begun = std::chrono::steady_clock::now();
  auto make = [this] { return prepare(); };
  Result<Prepared> prepared = guarded(make);
  if (!prepared.ok()) {
    request_ = {};
    finished(prepared.status());
    return;
  }
  const double plan_ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begun).count();
  start(std::move(prepared.value()), plan_ms, finished);
}

Result<TransferTask::Prepared> TransferTask::prepare() {
  Result<transfer::Plan> plan = transfer::make_plan(request_.wants, request_.buffers, request_.options);
  if (!plan.ok()) return plan.status();
  Prepared prepared{.plan = std::move(plan.value()), .listeners = {}, .staging = std::nullopt};
  if (!request_.checksum.empty()) {
    std::vector<topology::Numbers> processors;
    for (const auto& lane : request_.lanes) processors.push_back(lane->processors());
    prepared.listeners.follower =
        std::make_shared<transfer::Follower>(prepared.plan, request_.wants, request_.checksum, request_.regions,
                                             request_.checksum_threads, std::move(processors));
  }
  if (request_.chunk_bytes > 0) {
    const memory::Region& region = *request_.regions[request_.chunk_region];
    prepared.listeners.chunks = std::make_shared<transfer::LandedChunks>(
        prepared.plan, request_.chunk_region, region.data(), region.size(), request_.chunk_bytes);
  }
  if (request_.staging != nullptr) {
    auto staging =
        transfer::make_staging(request_.staging, request_.regions, request_.lanes.size(), request_.options.slice_bytes);
    if (!staging.ok()) return staging.status();
    prepared.staging = std::move(staging.value());
  }
  return prepared;
}

void TransferTask::start(Prepared prepared, double plan_ms, const Finished& finished) {
  const std::size_t slices = prepared.plan.slices.size();
  const std::shared_ptr<transfer::Follower> follower = prepared.listeners.follower;
  auto ended = [self = shared_from_this(), plan_ms, slices, follower, finished](const transfer::Outcome& outcome) {
    // Not here: this is a thread of the operation, which cannot wait for itself.
    self->runtime_->executor().submit([self, plan_ms, slices, follower, finished, outcome] {
      self->take_down();
      finished(TransferResult{.plan_ms = plan_ms, .slices = slices, .outcome = outcome, .follower = follower});
    });
  };
  const std::lock_guard starting(starting_);
  const auto chunks = prepared.listeners.chunks;
  const auto operation =
      transfer::Operation::create(std::move(prepared.plan), std::move(request_.regions), std::move(request_.lanes),
                                  std::move(prepared.listeners), std::move(prepared.staging));
  request_ = {};
  {
    const std::lock_guard lock(mutex_);
    operation_ = operation;
    chunks_ = chunks;
    if (cancelled_) operation->cancel();
  }
  operation->start(std::move(ended));
}

void TransferTask::take_down() {
  const std::lock_guard starting(starting_);
  std::shared_ptr<transfer::Operation> operation;
  {
    const std::lock_guard lock(mutex_);
    operation = std::move(operation_);
    operation_ = nullptr;
    if (operation != nullptr) last_ = operation->progress();
  }
}  // the operation's threads are joined here, unlocked

void TransferTask::cancel() {
  const std::lock_guard lock(mutex_);
  cancelled_ = true;
  if (operation_ != nullptr) operation_->cancel();
}

std::vector<std::uint32_t> TransferTask::take_landed() {
  std::shared_ptr<transfer::LandedChunks> chunks;
  {
    const std::lock_guard lock(mutex_);
    chunks = chunks_;
  }
  std::vector<std::uint32_t> taken;
  if (chunks == nullptr) return taken;
  while (const auto chunk = chunks->take()) taken.push_back(*chunk);
  return taken;
}

transfer::Progress TransferTask::progress() const {
  const std::lock_guard lock(mutex_);
  return operation_ == nullptr ? last_ : operation_->progress();
}

}  // namespace weightcast::binding
