#pragma once

#include <memory>

#include "binding/handle.h"
#include "transfer/follower.h"

namespace weightcast::binding {

struct HeldFollower {
  std::shared_ptr<transfer::Follower> follower;
};

/// `NativeFollower`. It holds no memory that was read into, only what it noted.
class FollowerHandle final : public Handle<FollowerHandle, HeldFollower> {
 public:
  static constexpr HandleClass kClass = HandleClass::kFollower;
  static constexpr const char* kName = "NativeFollower";

  explicit FollowerHandle(const Napi::CallbackInfo& info);
  static void define(Addon& addon, Napi::Env env);

 private:
  Napi::Value finish(const Napi::CallbackInfo& info);

  std::shared_ptr<transfer::Follower> follower_;  // until finish
};

}  // namespace weightcast::binding
