#include <chrono>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <utility>

#include "binding/arguments.h"
#include "binding/engine_handle.h"
#include "binding/functions.h"

namespace weightcast::binding {
namespace {

constexpr std::uint32_t kLongestTimeoutMs = std::numeric_limits<std::int32_t>::max();

Napi::Value connect(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return promised(env, [&]() -> Napi::Value {
    const std::string path = to_text(info[0], "path");
    const std::chrono::milliseconds timeout(to_u32(info[1], "timeoutMs", 1, kLongestTimeoutMs));
    return run(
        env, Addon::of(env).runtime(), [path, timeout] { return engine::Connection::connect(path, timeout); },
        [](Napi::Env at, std::shared_ptr<engine::Connection> connection) -> Napi::Value {
          return EngineHandle::create(at, std::make_shared<WatchedEngine>(std::move(connection)));
        });
  });
}

}  // namespace

void define_engine_functions(Napi::Env env, Napi::Object exports) {
  exports.Set("connectEngine", Napi::Function::New<connect>(env, "connectEngine"));
}

}  // namespace weightcast::binding
