#include "binding/lane_handle.h"

#include <cstdint>
#include <string>
#include <utility>

namespace weightcast::binding {

void LaneHandle::define(Addon& addon, Napi::Env env) {
  Handle::define(addon, env, {InstanceMethod<&LaneHandle::close>("close")});
}

LaneHandle::LaneHandle(const Napi::CallbackInfo& info) : Handle(info), held_(newborn(info)) {
  define_constant(info.This().As<Napi::Object>(), "name", Napi::String::New(info.Env(), held_.lane->name()));
}

LaneHandle::~LaneHandle() { runtime()->drop(std::move(held_.lane)); }

void LaneHandle::check_usable(Napi::Env env, const PlanNeeds& needed) const {
  if (used_) throw invalid_argument(env, "a lane of options.lanes was given to a transfer before; make a new one");
  if (held_.lane == nullptr) throw closed(env, "the lane");
  if (!held_.bounds.has_value()) {
    if (!needed.device_memory) return;
    throw invalid_argument(env, "lane " + held_.lane->name() +
                                    " cannot write into an accelerator's memory; give host memory in options.staging");
  }
  const auto check = [&](const char* what, std::uint64_t has, std::uint64_t needs) {
    if (needs <= has) return;
    throw invalid_argument(env, "lane " + held_.lane->name() + " has " + what + " " + std::to_string(has) +
                                    " but the transfer needs " + std::to_string(needs));
  };
  check("remoteKeys for remote buffers:", held_.bounds->remote_keys, needed.remote_keys);
  check("registrations for regions:", held_.bounds->registrations, needed.registrations);
  check("maxSegments up to", held_.bounds->max_segments, needed.max_segments);
  check("sliceBytes up to", held_.bounds->max_message, needed.max_message);
}

std::shared_ptr<transport::Lane> LaneHandle::take() {
  used_ = true;
  return std::exchange(held_.lane, nullptr);
}

Napi::Value LaneHandle::close(const Napi::CallbackInfo& info) { return close_once(info.Env(), held_.lane); }

}  // namespace weightcast::binding
