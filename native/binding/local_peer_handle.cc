#include "binding/local_peer_handle.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>

#include "binding/arguments.h"
#include "binding/lane_handle.h"
#include "binding/region_handle.h"
#include "transport/local/lane.h"

namespace weightcast::binding {

void LocalPeerHandle::define(Addon& addon, Napi::Env env) {
  Handle::define(addon, env,
                 {InstanceMethod<&LocalPeerHandle::lane>("lane"), InstanceMethod<&LocalPeerHandle::map>("map"),
                  InstanceMethod<&LocalPeerHandle::close>("close")});
}

LocalPeerHandle::LocalPeerHandle(const Napi::CallbackInfo& info) : Handle(info), peer_(newborn(info)) {
  const Napi::Env env = info.Env();
  const auto& rows = peer_->rows();
  auto addresses = Napi::BigUint64Array::New(env, rows.size());
  auto lengths = Napi::BigUint64Array::New(env, rows.size());
  auto shared = Napi::Uint8Array::New(env, rows.size());
  for (std::size_t index = 0; index < rows.size(); ++index) {
    addresses.Data()[index] = rows[index].address;
    lengths.Data()[index] = rows[index].length;
    shared.Data()[index] = rows[index].descriptor >= 0 ? 1 : 0;
  }
  const auto self = info.This().As<Napi::Object>();
  define_constant(self, "bufferAddress", addresses);
  define_constant(self, "bufferLength", lengths);
  define_constant(self, "shared", shared);
}

LocalPeerHandle::~LocalPeerHandle() { runtime()->drop(std::move(peer_)); }

const HeldPeer& LocalPeerHandle::peer(Napi::Env env) const {
  if (peer_ == nullptr) throw closed(env, "the local peer");
  return peer_;
}

Napi::Value LocalPeerHandle::lane(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::string name = to_text(info[0], "name");
  return LaneHandle::create(env, {.lane = transport::local::make_lane(name, peer(env)), .bounds = std::nullopt});
}

Napi::Value LocalPeerHandle::map(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return promised(env, [&]() -> Napi::Value {
    const std::uint32_t index = to_u32(info[0], "index");
    return run(
        env, runtime(), [held = peer(env), index] { return held->map(index); },
        [](Napi::Env at, memory::RegionPtr region) -> Napi::Value {
          return RegionHandle::create(at, {.region = std::move(region), .pin = std::nullopt});
        });
  });
}

Napi::Value LocalPeerHandle::close(const Napi::CallbackInfo& info) { return close_once(info.Env(), peer_); }

}  // namespace weightcast::binding
