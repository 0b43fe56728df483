#include "binding/checksum_handle.h"

#include <algorithm>

namespace weightcast::binding {

void ChecksumHandle::define(Addon& addon, Napi::Env env) {
  Handle::define(
      addon, env,
      {InstanceMethod<&ChecksumHandle::progress>("progress"), InstanceMethod<&ChecksumHandle::cancel>("cancel")});
}

ChecksumHandle::ChecksumHandle(const Napi::CallbackInfo& info) : Handle(info), state_(newborn(info).state) {
  define_constant(info.This().As<Napi::Object>(), "done", newborn(info).done);
}

Napi::Value ChecksumHandle::progress(const Napi::CallbackInfo& info) {
  const Napi::Object result = Napi::Object::New(info.Env());
  result.Set("bytes", Napi::BigInt::New(info.Env(), state_->done_bytes.load()));
  result.Set("totalBytes", Napi::BigInt::New(info.Env(), state_->total_bytes));
  return result;
}

Napi::Value to_checksums(Napi::Env env, const std::vector<std::uint64_t>& sums) {
  Napi::BigUint64Array result = Napi::BigUint64Array::New(env, sums.size());
  std::ranges::copy(sums, result.Data());
  return result;
}

void ChecksumHandle::cancel(const Napi::CallbackInfo&) { state_->cancel(); }

}  // namespace weightcast::binding
