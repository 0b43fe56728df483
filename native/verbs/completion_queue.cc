#include "verbs/completion_queue.h"

#include <fcntl.h>

#include <cerrno>

namespace weightcast::verbs {
namespace {

/// Acknowledging takes a lock, so it is done for many events at once. ibv_destroy_cq waits until all are.
constexpr unsigned kAcknowledgeBatch = 64;

}  // namespace

Result<std::shared_ptr<CompletionQueue>> CompletionQueue::create(std::shared_ptr<Context> context,
                                                                 std::uint32_t entries) {
  const Library& library = context->library();
  errno = 0;
  ibv_comp_channel* channel = library.create_comp_channel(context->get());
  if (channel == nullptr) {
    const int error = errno;
    return Status::system(Code::kVerbs, "ibv_create_comp_channel", error,
                          "cannot make a completion channel on RDMA device " + context->device());
  }
  const int flags = fcntl(channel->fd, F_GETFL);
  ibv_cq* cq = nullptr;
  const char* call = "fcntl(O_NONBLOCK)";
  if (flags >= 0 && fcntl(channel->fd, F_SETFL, flags | O_NONBLOCK) == 0) {
    call = "ibv_create_cq";
    errno = 0;
    cq = library.create_cq(context->get(), static_cast<int>(entries), nullptr, channel, 0);
  }
  if (cq == nullptr) {
    const int error = errno;
    (void)library.destroy_comp_channel(channel);
    return Status::system(Code::kVerbs, call, error,
                          "cannot make a completion queue of " + std::to_string(entries) + " entries on RDMA device " +
                              context->device());
  }
  return std::shared_ptr<CompletionQueue>(new CompletionQueue(std::move(context), channel, cq));
}

CompletionQueue::~CompletionQueue() {
  const Library& library = context_->library();
  consume_events();
  if (unacknowledged_ > 0) library.ack_cq_events(cq_, unacknowledged_);
  (void)library.destroy_cq(cq_);
  (void)library.destroy_comp_channel(channel_);
}

Status CompletionQueue::arm() {
  const int error = ibv_req_notify_cq(cq_, 0);
  if (error == 0) return Status::success();
  return Status::system(Code::kVerbs, "ibv_req_notify_cq", error,
                        "cannot arm the completion queue on RDMA device " + context_->device());
}

void CompletionQueue::consume_events() {
  const Library& library = context_->library();
  ibv_cq* cq = nullptr;
  void* user = nullptr;
  while (library.get_cq_event(channel_, &cq, &user) == 0) {
    if (++unacknowledged_ < kAcknowledgeBatch) continue;
    library.ack_cq_events(cq_, unacknowledged_);
    unacknowledged_ = 0;
  }
}

}  // namespace weightcast::verbs
