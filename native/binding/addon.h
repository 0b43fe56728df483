#pragma once

#include <napi.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>

#include "binding/runtime.h"

namespace weightcast::binding {

/// The classes of the addon, for their constructors and type tags.
enum class HandleClass : std::uint8_t {
  kRegion,
  kRegistration,
  kRegistrations,
  kEndpoint,
  kNic,
  kLane,
  kTcpServer,
  kLocalServer,
  kLocalPeer,
  kEngine,
  kTransfer,
  kChecksumTask,
  kFollower,
  kCount,  ///< of the others; stays the last
};
inline constexpr auto kHandleClasses = static_cast<std::size_t>(HandleClass::kCount);

/// What the addon knows of one environment (the main thread or one worker). JavaScript thread only.
///
/// Order at the end of an environment: this object's cleanup hook (ends everything native, so that no thread touches
/// memory of JavaScript any more), then finalizers of windows and handles (drop references), then this object.
class Addon : public Napi::Addon<Addon> {
 public:
  Addon(Napi::Env env, Napi::Object exports);
  Addon(const Addon&) = delete;
  Addon& operator=(const Addon&) = delete;
  ~Addon();

  /// Its address is this loaded copy's own.
  static const char kBrand;

  static Addon& of(Napi::Env env) { return *env.GetInstanceData<Addon>(); }
  [[nodiscard]] const std::shared_ptr<Runtime>& runtime() const { return runtime_; }

  /// Keeps a JavaScript object alive until `unpin`. Native threads carry the number, never the reference.
  std::uint64_t pin(Napi::Object object);
  [[nodiscard]] Napi::Object pinned(std::uint64_t number) const;
  void unpin(std::uint64_t number) { pins_.erase(number); }

  /// Cleanup hooks run newest first, and that of a buffer made by another addon may free its memory. Called when such
  /// memory is adopted, so that our threads end before.
  void renew_cleanup_hook();

  /// A handle was collected without `close`: one process warning for each class.
  void warn_forgotten(HandleClass which, const char* name);

  /// For `Handle`: its constructor, and the value that the construction under way takes.
  Napi::FunctionReference& constructor(HandleClass which) { return constructors_.at(static_cast<std::size_t>(which)); }
  void* newborn = nullptr;

 private:
  static void clean_up(void* self);

  Napi::Env env_;
  std::shared_ptr<Runtime> runtime_;
  std::map<std::uint64_t, Napi::ObjectReference> pins_;
  std::uint64_t next_pin_ = 1;
  std::array<Napi::FunctionReference, kHandleClasses> constructors_;
  std::array<bool, kHandleClasses> warned_{};
  bool ended_ = false;
};

}  // namespace weightcast::binding
