#pragma once

#include <memory>

#include "binding/handle.h"
#include "transport/local/server.h"

namespace weightcast::binding {

/// A server that the end of the environment closes.
class WatchedLocalServer final : public Ongoing {
 public:
  explicit WatchedLocalServer(std::shared_ptr<transport::local::Server> served) : server(std::move(served)) {}
  void cancel() override {}
  void join() override { server->close(); }

  const std::shared_ptr<transport::local::Server> server;
};

/// `NativeLocalServer`. Does not keep the event loop alive.
class LocalServerHandle final : public Handle<LocalServerHandle, std::shared_ptr<WatchedLocalServer>> {
 public:
  static constexpr HandleClass kClass = HandleClass::kLocalServer;
  static constexpr const char* kName = "NativeLocalServer";

  explicit LocalServerHandle(const Napi::CallbackInfo& info);
  ~LocalServerHandle() override;
  static void define(Addon& addon, Napi::Env env);

 private:
  void serve(const Napi::CallbackInfo& info);
  Napi::Value counters(const Napi::CallbackInfo& info);
  Napi::Value close(const Napi::CallbackInfo& info);

  std::shared_ptr<WatchedLocalServer> watched_;
  transport::local::ServerCounters at_close_;
};

}  // namespace weightcast::binding
