#include "binding/settler.h"

#include <utility>

namespace weightcast::binding {

std::shared_ptr<Settler> Settler::create(Napi::Env env) {
  std::shared_ptr<Settler> settler(new Settler());
  // The function owns one reference: its last call may come after everything else of the environment is gone.
  settler->wake_ = Wake::New(
      env, "weightcast", 0, 1, new std::shared_ptr<Settler>(settler),
      [](Napi::Env, std::shared_ptr<Settler>* finalized, std::shared_ptr<Settler>*) { delete finalized; },
      static_cast<std::shared_ptr<Settler>*>(nullptr));
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

void Settler::drain(Napi::Env env, Napi::Function, std::shared_ptr<Settler>* self, void*) {
  if (env == nullptr || self == nullptr) return;  // the environment is going: nobody is left to tell
  const std::shared_ptr<Settler> alive = *self;
  alive->run(env);
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
