#include "binding/registration_handle.h"

#include <utility>

namespace weightcast::binding {

void RegistrationHandle::define(Addon& addon, Napi::Env env) {
  Handle::define(addon, env, {InstanceMethod<&RegistrationHandle::close>("close")});
}

RegistrationHandle::RegistrationHandle(const Napi::CallbackInfo& info)
    : Handle(info), registration_(newborn(info).registration), nic_(newborn(info).nic.get()) {
  const auto self = info.This().As<Napi::Object>();
  define_constant(self, "localKey", Napi::Number::New(info.Env(), registration_->local_key()));
  define_constant(self, "remoteKey", Napi::Number::New(info.Env(), registration_->remote_key()));
  define_constant(self, "path", Napi::String::New(info.Env(), transport::rdma::path_name(registration_->path())));
}

RegistrationHandle::~RegistrationHandle() { forget(std::move(registration_)); }

const std::shared_ptr<transport::rdma::Registration>& RegistrationHandle::registration(Napi::Env env) const {
  if (registration_ == nullptr) throw closed(env, "the registration");
  return registration_;
}

Napi::Value RegistrationHandle::close(const Napi::CallbackInfo& info) { return close_once(info.Env(), registration_); }

}  // namespace weightcast::binding
