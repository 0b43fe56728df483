#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "binding/handle.h"
#include "binding/windows.h"
#include "memory/region.h"

namespace weightcast::binding {

struct HeldRegion {
  memory::RegionPtr region;
  std::optional<std::uint64_t> pin;  ///< the adopted ArrayBuffer, if it is one
};

/// `NativeRegion`.
class RegionHandle final : public Handle<RegionHandle, HeldRegion> {
 public:
  static constexpr HandleClass kClass = HandleClass::kRegion;
  static constexpr const char* kName = "NativeRegion";

  explicit RegionHandle(const Napi::CallbackInfo& info);
  ~RegionHandle() override;
  static void define(Addon& addon, Napi::Env env);

  /// The region, for native use. Throws CLOSED; also when the adopted ArrayBuffer was detached, its memory being
  /// somebody else's since.
  [[nodiscard]] const memory::RegionPtr& region(Napi::Env env) const;
  /// The same with a check: throws OUT_OF_RANGE unless [offset, offset + length) is inside.
  const memory::RegionPtr& range(Napi::Env env, std::uint64_t offset, std::uint64_t length) const;

  /// A native operation writes into the region behind `handle`, which is kept alive until `end_write` of the number
  /// that is returned. Native threads carry the number.
  static std::uint64_t begin_write(Napi::Env env, const Napi::Value& handle);
  static void end_write(Napi::Env env, std::uint64_t number);

 private:
  Napi::Value view(const Napi::CallbackInfo& info);
  Napi::Value read(const Napi::CallbackInfo& info);
  Napi::Value write(const Napi::CallbackInfo& info);
  Napi::Value flush(const Napi::CallbackInfo& info);
  void close(const Napi::CallbackInfo& info);
  void give_up();

  HeldRegion held_;
  Windows windows_;
  std::int64_t accounted_ = 0;  // bytes told to V8's garbage collector
};

}  // namespace weightcast::binding
