#include <chrono>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <utility>

#include "binding/arguments.h"
#include "binding/functions.h"
#include "binding/local_peer_handle.h"
#include "binding/local_server_handle.h"
#include "transport/local/peer.h"
#include "transport/local/server.h"

namespace weightcast::binding {
namespace {

constexpr std::uint32_t kLongestTimeoutMs = std::numeric_limits<std::int32_t>::max();

transport::local::Token to_token(const Napi::Value& value) {
  const auto token = transport::local::parse_token(to_text(value, "token"));
  if (!token) throw invalid_argument(value.Env(), "expected 64 hexadecimal digits for token");
  return *token;
}

Napi::Value listen(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return promised(env, [&]() -> Napi::Value {
    const transport::local::ServerOptions options{.name = to_text(info[0], "name"), .token = to_token(info[1])};
    return run(
        env, Addon::of(env).runtime(), [options] { return transport::local::Server::listen(options); },
        [](Napi::Env at, std::shared_ptr<transport::local::Server> server) -> Napi::Value {
          return LocalServerHandle::create(at, std::make_shared<WatchedLocalServer>(std::move(server)));
        });
  });
}

Napi::Value connect(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return promised(env, [&]() -> Napi::Value {
    const transport::local::PeerOptions options{
        .name = to_text(info[0], "name"),
        .token = to_token(info[1]),
        .timeout = std::chrono::milliseconds(to_u32(info[2], "timeoutMs", 1, kLongestTimeoutMs))};
    return run(
        env, Addon::of(env).runtime(), [options] { return transport::local::Peer::connect(options); },
        [](Napi::Env at, HeldPeer peer) -> Napi::Value { return LocalPeerHandle::create(at, std::move(peer)); });
  });
}

}  // namespace

void define_local_functions(Napi::Env env, Napi::Object exports) {
  exports.Set("listenLocal", Napi::Function::New<listen>(env, "listenLocal"));
  exports.Set("connectLocal", Napi::Function::New<connect>(env, "connectLocal"));
}

}  // namespace weightcast::binding
