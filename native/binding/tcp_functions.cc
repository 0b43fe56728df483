#include <chrono>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <utility>

#include "binding/arguments.h"
#include "binding/functions.h"
#include "binding/lane_handle.h"
#include "binding/tcp_server_handle.h"
#include "transport/tcp/lane.h"
#include "transport/tcp/server.h"

namespace weightcast::binding {
namespace {

constexpr std::uint32_t kHighestPort = std::numeric_limits<std::uint16_t>::max();
constexpr std::uint32_t kMostThreads = 1024;
constexpr std::uint32_t kLongestTimeoutMs = std::numeric_limits<std::int32_t>::max();  // what poll() takes

transport::tcp::ZeroCopy to_zero_copy(const Napi::Value& value) {
  if (value.IsUndefined()) return transport::tcp::ZeroCopy::kAuto;
  const std::string text = to_text(value, "zeroCopy");
  if (text == "auto") return transport::tcp::ZeroCopy::kAuto;
  if (text == "never") return transport::tcp::ZeroCopy::kNever;
  if (text == "always") return transport::tcp::ZeroCopy::kAlways;
  throw invalid_argument(value.Env(), "expected auto, never or always for zeroCopy but received " + text);
}

Napi::Value listen(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return promised(env, [&]() -> Napi::Value {
    const std::string host = to_text(info[0], "host");
    const auto port = static_cast<std::uint16_t>(to_u32(info[1], "port", 0, kHighestPort));
    const std::uint32_t threads = to_u32(info[2], "threads", 1, kMostThreads);
    const transport::tcp::ZeroCopy zero_copy = to_zero_copy(info[3]);
    return run(
        env, Addon::of(env).runtime(), [=] { return transport::tcp::Server::listen(host, port, threads, zero_copy); },
        [](Napi::Env at, std::shared_ptr<transport::tcp::Server> server) -> Napi::Value {
          return TcpServerHandle::create(at, std::make_shared<WatchedServer>(std::move(server)));
        });
  });
}

transport::tcp::TcpLaneOptions to_options(const Napi::Value& value) {
  const Napi::Object object = to_object(value, "options");
  const Napi::Value name = member(object, "name");
  const Napi::Value host = member(object, "host");
  const Napi::Value port = member(object, "port");
  const Napi::Value version = member(object, "protocolVersion");
  const Napi::Value connect_timeout = member(object, "connectTimeoutMs");
  const Napi::Value stall_timeout = member(object, "stallTimeoutMs");
  return {
      .name = to_text(name, "options.name"),
      .host = to_text(host, "options.host"),
      .port = static_cast<std::uint16_t>(to_u32(port, "options.port", 1, kHighestPort)),
      .protocol_version = static_cast<int>(to_u32(version, "options.protocolVersion", 1, 2)),
      .connect_timeout =
          std::chrono::milliseconds(to_u32(connect_timeout, "options.connectTimeoutMs", 1, kLongestTimeoutMs)),
      .stall_timeout = std::chrono::milliseconds(to_u32(stall_timeout, "options.stallTimeoutMs", 1, kLongestTimeoutMs)),
  };
}

Napi::Value connect_lane(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return promised(env, [&]() -> Napi::Value {
    const transport::tcp::TcpLaneOptions options = to_options(info[0]);
    return run(
        env, Addon::of(env).runtime(), [options] { return transport::tcp::TcpLane::connect(options); },
        [](Napi::Env at, std::shared_ptr<transport::Lane> lane) -> Napi::Value {
          return LaneHandle::create(at, {.lane = std::move(lane), .bounds = std::nullopt});
        });
  });
}

}  // namespace

void define_tcp_functions(Napi::Env env, Napi::Object exports) {
  exports.Set("listenTcp", Napi::Function::New<listen>(env, "listenTcp"));
  exports.Set("connectTcpLane", Napi::Function::New<connect_lane>(env, "connectTcpLane"));
}

}  // namespace weightcast::binding
