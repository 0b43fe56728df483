#include "binding/registrations_handle.h"

#include <cstddef>
#include <utility>

namespace weightcast::binding {

void RegistrationsHandle::define(Addon& addon, Napi::Env env) {
  Handle::define(addon, env, {InstanceMethod<&RegistrationsHandle::close>("close")});
}

RegistrationsHandle::RegistrationsHandle(const Napi::CallbackInfo& info) : Handle(info), registrations_(newborn(info)) {
  auto keys = Napi::Uint32Array::New(info.Env(), registrations_->size());
  for (std::size_t row = 0; row < registrations_->size(); ++row) keys[row] = (*registrations_)[row]->remote_key();
  define_constant(info.This().As<Napi::Object>(), "remoteKeys", keys);
}

RegistrationsHandle::~RegistrationsHandle() { forget(std::move(registrations_)); }

Napi::Value RegistrationsHandle::close(const Napi::CallbackInfo& info) {
  return close_once(info.Env(), registrations_);
}

}  // namespace weightcast::binding
