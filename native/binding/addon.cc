#include "binding/addon.h"

#include <string>

#include "binding/checksum_handle.h"
#include "binding/endpoint_handle.h"
#include "binding/engine_handle.h"
#include "binding/follower_handle.h"
#include "binding/functions.h"
#include "binding/lane_handle.h"
#include "binding/local_peer_handle.h"
#include "binding/local_server_handle.h"
#include "binding/nic_handle.h"
#include "binding/region_handle.h"
#include "binding/registration_handle.h"
#include "binding/registrations_handle.h"
#include "binding/tcp_server_handle.h"
#include "binding/transfer_handle.h"

namespace weightcast::binding {

const char Addon::kBrand = 0;

Addon::Addon(Napi::Env env, Napi::Object exports) : env_(env), runtime_(std::make_shared<Runtime>(env)) {
  RegionHandle::define(*this, env);
  RegistrationHandle::define(*this, env);
  RegistrationsHandle::define(*this, env);
  EndpointHandle::define(*this, env);
  NicHandle::define(*this, env);
  LaneHandle::define(*this, env);
  TcpServerHandle::define(*this, env);
  LocalServerHandle::define(*this, env);
  LocalPeerHandle::define(*this, env);
  EngineHandle::define(*this, env);
  TransferHandle::define(*this, env);
  ChecksumHandle::define(*this, env);
  FollowerHandle::define(*this, env);
  define_memory_functions(env, exports);
  define_device_functions(env, exports);
  define_topology_functions(env, exports);
  define_rdma_functions(env, exports);
  define_tcp_functions(env, exports);
  define_local_functions(env, exports);
  define_engine_functions(env, exports);
  define_transfer_functions(env, exports);
  napi_add_env_cleanup_hook(env, clean_up, this);
}

Addon::~Addon() {
  if (!ended_) napi_remove_env_cleanup_hook(env_, clean_up, this);
  runtime_->shut_down();
}

void Addon::clean_up(void* self) {
  auto& addon = *static_cast<Addon*>(self);
  addon.ended_ = true;
  addon.runtime_->shut_down();
}

void Addon::renew_cleanup_hook() {
  napi_remove_env_cleanup_hook(env_, clean_up, this);
  napi_add_env_cleanup_hook(env_, clean_up, this);
}

std::uint64_t Addon::pin(Napi::Object object) {
  const std::uint64_t number = next_pin_++;
  pins_.emplace(number, Napi::Persistent(object));
  return number;
}

Napi::Object Addon::pinned(std::uint64_t number) const { return pins_.at(number).Value(); }

void Addon::warn_forgotten(HandleClass which, const char* name) {
  if (std::exchange(warned_.at(static_cast<std::size_t>(which)), true)) return;
  const auto process = env_.Global().Get("process").As<Napi::Object>();
  const Napi::Object options = Napi::Object::New(env_);
  options.Set("code", "WEIGHTCAST_FORGOTTEN_HANDLE");
  process.Get("emitWarning")
      .As<Napi::Function>()
      .Call(process, {Napi::String::New(env_, std::string("A ") + name +
                                                  " was collected without close(); what it served has ended. Keep the "
                                                  "handle, and close it"),
                      options});
}

NODE_API_ADDON(Addon)

}  // namespace weightcast::binding
