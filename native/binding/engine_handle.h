#pragma once

#include <memory>
#include <utility>

#include "binding/handle.h"
#include "engine/connection.h"

namespace weightcast::binding {

/// A connection on which threads may wait; the end of the environment ends their waiting.
class WatchedEngine final : public Ongoing {
 public:
  explicit WatchedEngine(std::shared_ptr<engine::Connection> connected) : connection(std::move(connected)) {}
  void cancel() override { connection->stop(); }
  void join() override {}

  const std::shared_ptr<engine::Connection> connection;
};

/// `NativeEngine`.
class EngineHandle final : public Handle<EngineHandle, std::shared_ptr<WatchedEngine>> {
 public:
  static constexpr HandleClass kClass = HandleClass::kEngine;
  static constexpr const char* kName = "NativeEngine";

  explicit EngineHandle(const Napi::CallbackInfo& info);
  ~EngineHandle() override;
  static void define(Addon& addon, Napi::Env env);

 private:
  Napi::Value receive(const Napi::CallbackInfo& info);
  Napi::Value send(const Napi::CallbackInfo& info);
  Napi::Value descriptors(const Napi::CallbackInfo& info);
  Napi::Value import_allocation(const Napi::CallbackInfo& info);
  Napi::Value import_chunks(const Napi::CallbackInfo& info);
  Napi::Value close(const Napi::CallbackInfo& info);
  [[nodiscard]] const std::shared_ptr<engine::Connection>& connection(Napi::Env env) const;

  std::shared_ptr<WatchedEngine> watched_;
};

}  // namespace weightcast::binding
