#include "binding/tcp_server_handle.h"

#include <utility>
#include <vector>

#include "binding/served_ranges.h"

namespace weightcast::binding {

void TcpServerHandle::define(Addon& addon, Napi::Env env) {
  Handle::define(
      addon, env,
      {InstanceMethod<&TcpServerHandle::serve>("serve"), InstanceMethod<&TcpServerHandle::counters>("counters"),
       InstanceMethod<&TcpServerHandle::close>("close")});
}

TcpServerHandle::TcpServerHandle(const Napi::CallbackInfo& info) : Handle(info), watched_(newborn(info)) {
  runtime()->watch(watched_);
  define_constant(info.This().As<Napi::Object>(), "port", Napi::Number::New(info.Env(), watched_->server->port()));
}

TcpServerHandle::~TcpServerHandle() { forget(std::move(watched_)); }

void TcpServerHandle::serve(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  std::vector<transport::tcp::ServedRange> ranges = to_served_ranges(info);
  if (watched_ == nullptr) throw closed(env, "the TCP server");
  watched_->server->serve(std::move(ranges));
}

Napi::Value TcpServerHandle::counters(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const transport::tcp::ServerCounters now = watched_ == nullptr ? at_close_ : watched_->server->counters();
  const Napi::Object result = Napi::Object::New(env);
  result.Set("connections", Napi::BigInt::New(env, now.connections));
  result.Set("requests", Napi::BigInt::New(env, now.requests));
  result.Set("rejected", Napi::BigInt::New(env, now.rejected));
  result.Set("bytes", Napi::BigInt::New(env, now.bytes));
  result.Set("zeroCopyBytes", Napi::BigInt::New(env, now.zero_copy_bytes));
  result.Set("zeroCopyRefused", Napi::BigInt::New(env, now.zero_copy_refused));
  result.Set("zeroCopyCrowded", Napi::BigInt::New(env, now.zero_copy_crowded));
  return result;
}

Napi::Value TcpServerHandle::close(const Napi::CallbackInfo& info) {
  if (watched_ != nullptr) at_close_ = watched_->server->counters();
  return close_once(info.Env(), watched_);
}

}  // namespace weightcast::binding
