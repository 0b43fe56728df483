#pragma once

#include <napi.h>

#include <exception>
#include <functional>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>
#include <variant>

#include "binding/fault.h"
#include "binding/runtime.h"
#include "common/status.h"

namespace weightcast::binding {

/// The value of work that has none.
using Nothing = std::monostate;

/// Runs `work() -> Result<T>` where an exception (no memory) must become a status.
template <typename Work>
auto guarded(Work& work) noexcept -> std::invoke_result_t<Work&> {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    return Status::error(Code::kOutOfMemory, "the host has no memory left for a native object");
  } catch (const std::exception& error) {
    return Status::error(Code::kInternal, error.what());
  }
}

/// A promise, and how native threads settle it: call `settle(Result<T>)` once, anywhere.
template <typename T>
struct OpenPromise {
  Napi::Promise promise;
  std::function<void(Result<T>)> settle;
};

/// Keeps the loop alive until it is settled. `conclude(env, Result<T>&) -> Napi::Value` runs on this thread, whatever
/// the result; what it throws rejects. It may not own JavaScript references: it may be dropped on any thread.
template <typename T, typename Conclude>
OpenPromise<T> open_promise(Napi::Env env, const std::shared_ptr<Runtime>& runtime, Conclude conclude) {
  const auto deferred = Napi::Promise::Deferred::New(env);
  runtime->settler().begin(env);
  const auto settle = [runtime, deferred, conclude](Result<T> outcome) {
    // Shared, because std::function copies and results need not be copyable.
    auto result = std::make_shared<Result<T>>(std::move(outcome));
    runtime->settler().settle([deferred, conclude, result = std::move(result)](Napi::Env at) mutable {
      Napi::Value value;
      try {
        value = conclude(at, *result);
      } catch (const Napi::Error& error) {
        deferred.Reject(error.Value());
        return;
      }
      deferred.Resolve(value);
    });
  };
  return {deferred.Promise(), settle};
}

inline Status no_thread() { return Status::error(Code::kInternal, "no native thread could be started"); }

/// A promise of `work() -> Result<T>`, run on a native thread, with `conclude` as above. `work` may not own JavaScript
/// references either.
template <typename Work, typename Conclude>
Napi::Promise run_to_end(Napi::Env env, const std::shared_ptr<Runtime>& runtime, Work work, Conclude conclude) {
  using Value = std::remove_reference_t<decltype(std::declval<std::invoke_result_t<Work&>&>().value())>;
  auto open = open_promise<Value>(env, runtime, std::move(conclude));
  const bool accepted = runtime->executor().submit([settle = open.settle, work]() mutable { settle(guarded(work)); });
  if (!accepted) open.settle(no_thread());
  return open.promise;
}

/// The same where only success needs care: `convert(env, T) -> Napi::Value`.
template <typename Work, typename Convert>
Napi::Promise run(Napi::Env env, const std::shared_ptr<Runtime>& runtime, Work work, Convert convert) {
  return run_to_end(env, runtime, std::move(work),
                    [convert](Napi::Env at, std::invoke_result_t<Work&>& result) mutable -> Napi::Value {
                      if (!result.ok()) throw fault(at, result.status());
                      return convert(at, std::move(result.value()));
                    });
}

inline Napi::Value to_undefined(Napi::Env env, Nothing) { return env.Undefined(); }

/// Calls `body`, which checks arguments and returns a promise: a thrown error becomes a rejection, so that a function
/// of promises has one way to fail.
template <typename Body>
Napi::Value promised(Napi::Env env, Body body) {
  try {
    return body();
  } catch (const Napi::Error& error) {
    const auto deferred = Napi::Promise::Deferred::New(env);
    deferred.Reject(error.Value());
    return deferred.Promise();
  }
}

/// A promise that is resolved once `owner` was let go of on a native thread.
template <typename T>
Napi::Promise release(Napi::Env env, const std::shared_ptr<Runtime>& runtime, std::shared_ptr<T> owner) {
  const auto held = std::make_shared<std::shared_ptr<T>>(std::move(owner));
  return run(
      env, runtime,
      [held]() -> Result<Nothing> {
        held->reset();
        return Nothing{};
      },
      to_undefined);
}

}  // namespace weightcast::binding
