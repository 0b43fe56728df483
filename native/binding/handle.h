#pragma once

#include <napi.h>

#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "binding/addon.h"
#include "binding/fault.h"
#include "binding/promised.h"

namespace weightcast::binding {

/// A constant of a handle: a plain property, because accessors of N-API classes are called on any receiver unchecked.
inline void define_constant(Napi::Object object, const char* name, Napi::Value value) {
  object.DefineProperty(Napi::PropertyDescriptor::Value(
      name, value, static_cast<napi_property_attributes>(napi_enumerable | napi_configurable)));
}

/// The base of every class: made by native code only, type-tagged, so that a handle of another class (or addon) is
/// refused before it is unwrapped. `Derived` has `kClass`, `kName` and a constructor (info, Held&).
///
/// Methods are safe on a wrong receiver: N-API checks the class template of each call.
template <typename Derived, typename Held>
class Handle : public Napi::ObjectWrap<Derived> {
 public:
  using Method = Napi::ClassPropertyDescriptor<Derived>;

  explicit Handle(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<Derived>(info), runtime_(Addon::of(info.Env()).runtime()) {
    const napi_type_tag tag = tag_of();
    if (Addon::of(info.Env()).newborn == nullptr || napi_type_tag_object(info.Env(), info.This(), &tag) != napi_ok) {
      throw invalid_argument(info.Env(), std::string(Derived::kName) + " cannot be constructed");
    }
  }

  static void define(Addon& addon, Napi::Env env, const std::initializer_list<Method>& methods) {
    addon.constructor(Derived::kClass) =
        Napi::Persistent(Napi::ObjectWrap<Derived>::DefineClass(env, Derived::kName, methods));
  }

  /// A new JavaScript object around `held`.
  static Napi::Object create(Napi::Env env, Held held) {
    Addon& addon = Addon::of(env);
    struct Birth {
      Addon& addon;
      ~Birth() { addon.newborn = nullptr; }
    } const birth{addon};
    addon.newborn = &held;
    return addon.constructor(Derived::kClass).New({});
  }

  static Derived& unwrap(const Napi::Value& value, const char* name) {
    const napi_type_tag tag = tag_of();
    bool ours = false;
    if (!value.IsObject() || napi_check_object_type_tag(value.Env(), value, &tag, &ours) != napi_ok || !ours) {
      throw invalid_argument(value.Env(), std::string("expected a ") + Derived::kName + " for " + name);
    }
    return *Derived::Unwrap(value.As<Napi::Object>());
  }

  static std::vector<Derived*> unwrap_all(const std::vector<Napi::Value>& values, const char* name) {
    std::vector<Derived*> handles;
    handles.reserve(values.size());
    for (const Napi::Value& value : values) handles.push_back(&unwrap(value, name));
    return handles;
  }

 protected:
  /// What `create` was given.
  static Held& newborn(const Napi::CallbackInfo& info) { return *static_cast<Held*>(Addon::of(info.Env()).newborn); }

  [[nodiscard]] const std::shared_ptr<Runtime>& runtime() const { return runtime_; }

  /// End of a handle that served something. Collected without `close`, it warns: the service ended unasked.
  template <typename T>
  void forget(std::shared_ptr<T> owner) {
    if (owner == nullptr) return;
    runtime_->settler().notify([](Napi::Env env) { Addon::of(env).warn_forgotten(Derived::kClass, Derived::kName); });
    runtime_->drop(std::move(owner));
  }

  /// `close()` of a handle: lets go of `owner` on a native thread; later calls give the same promise.
  template <typename T>
  Napi::Value close_once(Napi::Env env, std::shared_ptr<T>& owner) {
    if (closing_.IsEmpty())
      closing_ = Napi::Persistent(release(env, runtime_, std::exchange(owner, nullptr)).template As<Napi::Object>());
    return closing_.Value();
  }

 private:
  /// Tells apart the classes and the loaded copies of the addon: another version's objects are laid out otherwise.
  static napi_type_tag tag_of() {
    return {reinterpret_cast<std::uint64_t>(&Addon::kBrand), static_cast<std::uint64_t>(Derived::kClass)};
  }

  std::shared_ptr<Runtime> runtime_;
  Napi::ObjectReference closing_;
};

}  // namespace weightcast::binding
