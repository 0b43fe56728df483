#include "binding/registrations_handle.h"

#include <cstddef>
#include <set>
#include <string>
#include <utility>

namespace weightcast::binding {

void RegistrationsHandle::define(Addon& addon, Napi::Env env) {
  Handle::define(addon, env, {InstanceMethod<&RegistrationsHandle::close>("close")});
}

RegistrationsHandle::RegistrationsHandle(const Napi::CallbackInfo& info) : Handle(info), registrations_(newborn(info)) {
  const auto self = info.This().As<Napi::Object>();
  auto keys = Napi::Uint32Array::New(info.Env(), registrations_->size());
  std::set<std::string> names;
  for (std::size_t row = 0; row < registrations_->size(); ++row) {
    keys[row] = (*registrations_)[row]->remote_key();
    names.emplace(transport::rdma::path_name((*registrations_)[row]->path()));
  }
  define_constant(self, "remoteKeys", keys);
  const Napi::Array paths = Napi::Array::New(info.Env());
  for (const std::string& name : names) paths.Set(paths.Length(), Napi::String::New(info.Env(), name));
  define_constant(self, "paths", paths);
}

RegistrationsHandle::~RegistrationsHandle() { forget(std::move(registrations_)); }

Napi::Value RegistrationsHandle::close(const Napi::CallbackInfo& info) {
  return close_once(info.Env(), registrations_);
}

}  // namespace weightcast::binding
