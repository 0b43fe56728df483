#include "binding/settler.h"

#include <utility>

namespace weightcast::binding {

std::unique_ptr<Settler> Settler::create(Napi::Env env) {
  std::unique_ptr<Settler> settler(new Settler());
  settler->wake_ = Wake::New(env, "weightcast", 0, 1, settler.get());
  settler->wake_.Unref(env);
  return settler;
}

void Settler::begin(Napi::Env env) {
  if (open_++ == 0) wake_.Ref(env);
}

void Settler::post(Entry entry) {
  const std::lock_guard lock(mutex_);
  if (closed_) return;
  ready_.push_back(std::move(entry));
  if (scheduled_) return;
  scheduled_ = true;
  wake_.NonBlockingCall();
}

void Settler::drain(Napi::Env env, Napi::Function, Settler* self, void*) {
  // Without an environment the function itself is being closed, and `self` may be gone already: Node does not always
  // call a finalizer then, so the function owns nothing.
  if (env != nullptr) self->run(env);
}

void Settler::run(Napi::Env env) {
  std::vector<Entry> batch;
  {
    const std::lock_guard lock(mutex_);
    batch.swap(ready_);
    scheduled_ = false;
  }
  for (Entry& entry : batch) {
    const Napi::HandleScope scope(env);
    try {
      entry.action(env);
    } catch (const Napi::Error&) {
      // Only a worker that is being terminated refuses to settle a promise; the next action must run all the same.
    }
    entry.action = nullptr;
    if (entry.counted && --open_ == 0) wake_.Unref(env);
  }
}

void Settler::close() {
  std::vector<Entry> dropped;
  const std::lock_guard lock(mutex_);
  closed_ = true;
  dropped.swap(ready_);
}

}  // namespace weightcast::binding
