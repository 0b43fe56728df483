#include "binding/follower_handle.h"

#include <cstdint>
#include <utility>
#include <vector>

#include "binding/arguments.h"
#include "binding/checksum_handle.h"
#include "binding/transfer_arguments.h"

namespace weightcast::binding {

void FollowerHandle::define(Addon& addon, Napi::Env env) {
  Handle::define(addon, env, {InstanceMethod<&FollowerHandle::finish>("finish")});
}

FollowerHandle::FollowerHandle(const Napi::CallbackInfo& info) : Handle(info), follower_(newborn(info).follower) {
  define_constant(info.This().As<Napi::Object>(), "hashedBytes",
                  Napi::BigInt::New(info.Env(), follower_->hashed_bytes()));
}

Napi::Value FollowerHandle::finish(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::uint32_t threads = to_u32(info[0], "threads", 1, kMostThreads);
  if (follower_ == nullptr) throw closed(env, "the follower");
  const std::shared_ptr<transfer::Follower> follower = std::exchange(follower_, nullptr);
  const auto state = std::make_shared<ChecksumState>(follower->total_bytes() - follower->hashed_bytes());
  runtime()->watch(state);
  const Napi::Promise done = run(
      env, runtime(),
      [follower, state, threads] { return follower->finish(threads, state->done_bytes, state->cancelled); },
      to_checksums);
  return ChecksumHandle::create(env, {.state = state, .done = done});
}

}  // namespace weightcast::binding
