#include "transfer/operation.h"

#include <pthread.h>

#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "transfer/run_state.h"

namespace weightcast::transfer {
namespace {

class OperationImpl final : public Operation {
 public:
  explicit OperationImpl(std::shared_ptr<RunState> state) : state_(std::move(state)) {}
  OperationImpl(const OperationImpl&) = delete;
  OperationImpl& operator=(const OperationImpl&) = delete;
  OperationImpl(OperationImpl&&) = delete;
  OperationImpl& operator=(OperationImpl&&) = delete;

  ~OperationImpl() override {
    state_->cancel();
    for (std::thread& thread : threads_) {
      // `finished` runs on a lane's thread and may have held the last reference to us; that thread then ends by itself,
      // on a state of its own.
      if (thread.get_id() == std::this_thread::get_id()) {
        thread.detach();
      } else {
        thread.join();
      }
    }
  }

  void start(std::function<void(const Outcome&)> finished) override;
  void cancel() override { state_->cancel(); }
  [[nodiscard]] Progress progress() const override { return state_->progress(); }
  [[nodiscard]] std::optional<std::uint32_t> landed_over(std::uint32_t slice) const override {
    return state_->landed_over(slice);
  }

 private:
  template <typename Body>
  Status spawn(const std::string& name, Body body);

  std::shared_ptr<RunState> state_;
  std::vector<std::thread> threads_;
};

template <typename Body>
Status OperationImpl::spawn(const std::string& name, Body body) {
  try {
    threads_.emplace_back(std::move(body));
  } catch (const std::system_error& error) {
    return Status::system(Code::kIo, "pthread_create", error.code().value(), "Cannot start the thread of a lane");
  }
  (void)pthread_setname_np(threads_.back().native_handle(), name.c_str());
  return Status::success();
}

void OperationImpl::start(std::function<void(const Outcome&)> finished) {
  const std::shared_ptr<RunState> state = state_;
  state->begin(std::move(finished));
  const std::uint32_t lanes = state->lane_count();
  if (lanes == 0) {
    Status status = spawn("wc-transfer", [state] { state->finish(); });
    if (!status.ok()) state->finish();
    return;
  }
  threads_.reserve(lanes);
  for (std::uint32_t lane = 0; lane < lanes; ++lane) {
    Status status = spawn("wc-lane-" + std::to_string(lane), [state, lane] { state->run_lane(lane); });
    if (!status.ok()) state->lane_returned(lane, std::move(status));
  }
}

}  // namespace

std::shared_ptr<Operation> Operation::create(Plan plan, std::vector<memory::RegionPtr> regions,
                                             std::vector<std::shared_ptr<transport::Lane>> lanes, Listeners listeners,
                                             std::optional<Staging> staging) {
  return std::make_shared<OperationImpl>(std::make_shared<RunState>(
      std::move(plan), std::move(regions), std::move(lanes), std::move(listeners), std::move(staging)));
}

}  // namespace weightcast::transfer
