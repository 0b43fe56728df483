#include "binding/transfer_handle.h"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace weightcast::binding {

void TransferHandle::define(Addon& addon, Napi::Env env) {
  Handle::define(
      addon, env,
      {InstanceMethod<&TransferHandle::progress>("progress"),
       InstanceMethod<&TransferHandle::take_landed>("takeLanded"), InstanceMethod<&TransferHandle::cancel>("cancel")});
}

TransferHandle::TransferHandle(const Napi::CallbackInfo& info) : Handle(info), task_(newborn(info).task) {
  define_constant(info.This().As<Napi::Object>(), "done", newborn(info).done);
}

Napi::Value TransferHandle::progress(const Napi::CallbackInfo& info) {
  const transfer::Progress now = task_->progress();
  const Napi::Object result = Napi::Object::New(info.Env());
  result.Set("bytes", Napi::BigInt::New(info.Env(), now.bytes));
  result.Set("totalBytes", Napi::BigInt::New(info.Env(), now.total_bytes));
  return result;
}

Napi::Value TransferHandle::take_landed(const Napi::CallbackInfo& info) {
  const std::vector<std::uint32_t> chunks = task_->take_landed();
  Napi::Uint32Array result = Napi::Uint32Array::New(info.Env(), chunks.size());
  std::copy(chunks.begin(), chunks.end(), result.Data());
  return result;
}

void TransferHandle::cancel(const Napi::CallbackInfo&) { task_->cancel(); }

}  // namespace weightcast::binding
