#pragma once

#include <napi.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

namespace weightcast::binding {

/// The way back to the JavaScript thread: a queue of what is to be done there, and one thread-safe function without
/// payload that drains it. A wake-up with a payload leaks it when a worker is terminated, and costs ten times as much.
///
/// Work in flight is counted, and the loop stays alive exactly while there is some.
class Settler {
 public:
  using Action = std::function<void(Napi::Env)>;

  static std::unique_ptr<Settler> create(Napi::Env env);

  /// One more promise is open: the loop must not end. JavaScript thread.
  void begin(Napi::Env env);
  /// Runs `action` on the JavaScript thread, in the order of the calls; it ends what one `begin` began. Any thread.
  /// After `close` the action is dropped on the calling thread, so it must not own JavaScript references.
  void settle(Action action) { post({std::move(action), true}); }
  /// The same for what nobody waits for.
  void notify(Action action) { post({std::move(action), false}); }
  /// Nothing reaches JavaScript afterwards. JavaScript thread, in the environment's teardown.
  void close();

 private:
  struct Entry {
    Action action;
    bool counted;
  };

  static void drain(Napi::Env env, Napi::Function unused, Settler* self, void* data);
  using Wake = Napi::TypedThreadSafeFunction<Settler, void, &Settler::drain>;

  Settler() = default;
  void post(Entry entry);
  void run(Napi::Env env);

  Wake wake_;
  std::size_t open_ = 0;  // JavaScript thread only

  std::mutex mutex_;  // guards the rest
  std::vector<Entry> ready_;
  bool scheduled_ = false;
  bool closed_ = false;
};

}  // namespace weightcast::binding
