#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace weightcast::binding {

/// The threads of one environment for work that may block: verbs calls, big mappings, connects, the end of objects.
/// libuv's pool is not used: it has four threads, and `fs` and `dns` of the whole process wait in it.
///
/// Threads start at need, up to the limit, and stay until `stop`. Jobs must not throw. Thread-safe.
class Executor {
 public:
  explicit Executor(std::size_t max_threads) : max_threads_(max_threads) {}
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;
  ~Executor() { stop(); }

  /// Runs `job` on one of the threads. After `stop`, or when the host gives not even one thread, the job is dropped
  /// unrun on the calling thread, and the answer is false.
  bool submit(std::function<void()> job);

  /// Drops the jobs that have not begun, waits for those that have. Idempotent; not from one of the threads.
  void stop();

 private:
  void work();

  const std::size_t max_threads_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> jobs_;
  std::size_t idle_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace weightcast::binding
