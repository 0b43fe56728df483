#pragma once

#include <infiniband/verbs.h>

#include <cstdint>
#include <memory>
#include <span>

#include "common/status.h"
#include "verbs/context.h"

namespace weightcast::verbs {

/// A completion queue with a completion channel of its own, so that its owner can poll hard or sleep. One thread.
class CompletionQueue {
 public:
  /// Room for `entries` completions. kVerbs.
  static Result<std::shared_ptr<CompletionQueue>> create(std::shared_ptr<Context> context, std::uint32_t entries);
  ~CompletionQueue();
  CompletionQueue(const CompletionQueue&) = delete;
  CompletionQueue& operator=(const CompletionQueue&) = delete;

  [[nodiscard]] ibv_cq* get() const { return cq_; }

  /// Takes up to `into.size()` completions without waiting. A negative count is the driver's error.
  [[nodiscard]] int poll(std::span<ibv_wc> into) {
    return ibv_poll_cq(cq_, static_cast<int>(into.size()), into.data());
  }
  /// Asks for one event on `channel_fd` at the next completion. Completions that came before raise none: poll once more
  /// after arming, before sleeping.
  Status arm();
  /// Readable when an armed completion came. Non-blocking.
  [[nodiscard]] int channel_fd() const { return channel_->fd; }
  /// Takes the events that are there, if any. The next one needs `arm`.
  void consume_events();

 private:
  CompletionQueue(std::shared_ptr<Context> context, ibv_comp_channel* channel, ibv_cq* cq)
      : context_(std::move(context)), channel_(channel), cq_(cq) {}
  std::shared_ptr<Context> context_;  // outlives channel_, which outlives cq_
  ibv_comp_channel* channel_;
  ibv_cq* cq_;
  unsigned unacknowledged_ = 0;
};

}  // namespace weightcast::verbs
