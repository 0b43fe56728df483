#include "binding/transfer_task.h"

#include <chrono>

#include "binding/promised.h"

namespace weightcast::binding {

void TransferTask::run(const Finished& finished) {
  const auto begun = std::chrono::steady_clock::now();
  std::shared_ptr<transfer::Follower> follower;
  auto make = [this, &follower] {
    Result<transfer::Plan> plan = transfer::make_plan(request_.wants, request_.buffers, request_.options);
    if (plan.ok() && !request_.checksum.empty()) {
      follower = std::make_shared<transfer::Follower>(plan.value(), request_.wants, request_.checksum, request_.regions,
                                                      request_.checksum_threads);
    }
    return plan;
  };
  Result<transfer::Plan> plan = guarded(make);
  if (!plan.ok()) {
    request_ = {};
    finished(plan.status());
    return;
  }
  const double plan_ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begun).count();
  start(std::move(plan.value()), std::move(follower), plan_ms, finished);
}

void TransferTask::start(transfer::Plan plan, std::shared_ptr<transfer::Follower> follower, double plan_ms,
                         const Finished& finished) {
  const std::size_t slices = plan.slices.size();
  auto ended = [self = shared_from_this(), plan_ms, slices, follower, finished](const transfer::Outcome& outcome) {
    // Not here: this is a thread of the operation, which cannot wait for itself.
    self->runtime_->executor().submit([self, plan_ms, slices, follower, finished, outcome] {
      self->take_down();
      finished(TransferResult{.plan_ms = plan_ms, .slices = slices, .outcome = outcome, .follower = follower});
    });
  };
  const std::lock_guard starting(starting_);
  const auto operation =
      transfer::Operation::create(std::move(plan), std::move(request_.regions), std::move(request_.lanes), follower);
  request_ = {};
  {
    const std::lock_guard lock(mutex_);
    operation_ = operation;
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

transfer::Progress TransferTask::progress() const {
  const std::lock_guard lock(mutex_);
  return operation_ == nullptr ? last_ : operation_->progress();
}

}  // namespace weightcast::binding
