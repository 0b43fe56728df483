#include "binding/local_server_handle.h"

#include <utility>

#include "binding/served_ranges.h"

namespace weightcast::binding {

void LocalServerHandle::define(Addon& addon, Napi::Env env) {
  Handle::define(
      addon, env,
      {InstanceMethod<&LocalServerHandle::serve>("serve"), InstanceMethod<&LocalServerHandle::counters>("counters"),
       InstanceMethod<&LocalServerHandle::close>("close")});
}

LocalServerHandle::LocalServerHandle(const Napi::CallbackInfo& info) : Handle(info), watched_(newborn(info)) {
  runtime()->watch(watched_);
}

LocalServerHandle::~LocalServerHandle() { forget(std::move(watched_)); }

void LocalServerHandle::serve(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  std::vector<transport::tcp::ServedRange> ranges = to_served_ranges(info);
  if (watched_ == nullptr) throw closed(env, "the local server");
  if (const Status status = watched_->server->serve(std::move(ranges)); !status.ok()) throw fault(env, status);
}

Napi::Value LocalServerHandle::counters(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const transport::local::ServerCounters now = watched_ == nullptr ? at_close_ : watched_->server->counters();
  const Napi::Object result = Napi::Object::New(env);
  result.Set("connections", Napi::BigInt::New(env, now.connections));
  result.Set("served", Napi::BigInt::New(env, now.served));
  result.Set("refused", Napi::BigInt::New(env, now.refused));
  return result;
}

Napi::Value LocalServerHandle::close(const Napi::CallbackInfo& info) {
  if (watched_ != nullptr) at_close_ = watched_->server->counters();
  return close_once(info.Env(), watched_);
}

}  // namespace weightcast::binding
