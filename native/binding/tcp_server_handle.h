#pragma once

#include <memory>

#include "binding/handle.h"
#include "transport/tcp/server.h"

namespace weightcast::binding {

/// A server that the end of the environment closes.
class WatchedServer final : public Ongoing {
 public:
  explicit WatchedServer(std::shared_ptr<transport::tcp::Server> served) : server(std::move(served)) {}
  void cancel() override {}
  void join() override { server->close(); }

  const std::shared_ptr<transport::tcp::Server> server;
};

/// `NativeTcpServer`. Does not keep the event loop alive.
class TcpServerHandle final : public Handle<TcpServerHandle, std::shared_ptr<WatchedServer>> {
 public:
  static constexpr HandleClass kClass = HandleClass::kTcpServer;
  static constexpr const char* kName = "NativeTcpServer";

  explicit TcpServerHandle(const Napi::CallbackInfo& info);
  ~TcpServerHandle() override;
  static void define(Addon& addon, Napi::Env env);

 private:
  void serve(const Napi::CallbackInfo& info);
  Napi::Value counters(const Napi::CallbackInfo& info);
  Napi::Value close(const Napi::CallbackInfo& info);

  std::shared_ptr<WatchedServer> watched_;
  transport::tcp::ServerCounters at_close_;
};

}  // namespace weightcast::binding
