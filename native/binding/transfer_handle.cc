#include "binding/transfer_handle.h"

namespace weightcast::binding {

void TransferHandle::define(Addon& addon, Napi::Env env) {
  Handle::define(
      addon, env,
      {InstanceMethod<&TransferHandle::progress>("progress"), InstanceMethod<&TransferHandle::cancel>("cancel")});
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

void TransferHandle::cancel(const Napi::CallbackInfo&) { task_->cancel(); }

}  // namespace weightcast::binding
