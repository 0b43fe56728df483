#pragma once

#include <napi.h>

#include <memory>
#include <mutex>
#include <vector>

#include "binding/executor.h"
#include "binding/settler.h"

namespace weightcast::binding {

/// Something that runs on native threads by itself, and that the end of the environment must end first.
class Ongoing {
 public:
  virtual ~Ongoing() = default;
  /// Asks it to end. Returns at once. JavaScript thread.
  virtual void cancel() = 0;
  /// Waits until nothing of it runs. JavaScript thread, after `cancel` and after the executor stopped.
  virtual void join() = 0;
};

/// The native side of one environment (main thread or worker): its threads and its way back to JavaScript. Handles
/// and native threads share it; it may outlive the environment, and then does nothing any more.
class Runtime {
 public:
  explicit Runtime(Napi::Env env) : settler_(Settler::create(env)) {}

  [[nodiscard]] Executor& executor() { return executor_; }
  [[nodiscard]] Settler& settler() { return *settler_; }

  /// Lets go of `owner` on a native thread: what ends with it (deregistration, munmap) may take seconds. Any thread.
  void drop(std::shared_ptr<const void> owner);
  /// To be cancelled and joined at the end of the environment, if it still exists then.
  void watch(const std::shared_ptr<Ongoing>& ongoing);
  /// Cancels and joins everything. JavaScript thread, in the environment's cleanup hook. Idempotent.
  void shut_down();

 private:
  static constexpr std::size_t kMaxThreads = 32;

  Executor executor_{kMaxThreads};
  std::unique_ptr<Settler> settler_;
  std::vector<std::weak_ptr<Ongoing>> ongoing_;  // JavaScript thread only
};

}  // namespace weightcast::binding
