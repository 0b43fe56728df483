#include "binding/engine_handle.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <vector>

#include "accelerators/accelerators.h"
#include "binding/arguments.h"
#include "binding/region_handle.h"
#include "memory/exported_chunk.h"

namespace weightcast::binding {
namespace {

constexpr std::uint32_t kHighestOrdinal = 65535;

Napi::Value to_region(Napi::Env env, memory::RegionPtr region) {
  return RegionHandle::create(env, {.region = std::move(region), .pin = std::nullopt});
}

Napi::Value to_bytes(Napi::Env env, const std::vector<std::byte>& bytes) {
  auto array = Napi::Uint8Array::New(env, bytes.size());
  std::memcpy(array.Data(), bytes.data(), bytes.size());
  return array;
}

}  // namespace

void EngineHandle::define(Addon& addon, Napi::Env env) {
  Handle::define(
      addon, env,
      {InstanceMethod<&EngineHandle::receive>("receive"), InstanceMethod<&EngineHandle::send>("send"),
       InstanceMethod<&EngineHandle::descriptors>("descriptors"),
       InstanceMethod<&EngineHandle::import_allocation>("importAllocation"),
       InstanceMethod<&EngineHandle::import_chunks>("importChunks"), InstanceMethod<&EngineHandle::close>("close")});
}

EngineHandle::EngineHandle(const Napi::CallbackInfo& info) : Handle(info), watched_(newborn(info)) {
  runtime()->watch(watched_);
}

EngineHandle::~EngineHandle() {
  if (watched_ != nullptr) watched_->cancel();
  runtime()->drop(std::move(watched_));
}

const std::shared_ptr<engine::Connection>& EngineHandle::connection(Napi::Env env) const {
  if (watched_ == nullptr) throw closed(env, "the engine's connection");
  return watched_->connection;
}

Napi::Value EngineHandle::receive(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return promised(env, [&]() -> Napi::Value {
    return run(env, runtime(), [held = connection(env)] { return held->receive(); }, to_bytes);
  });
}

Napi::Value EngineHandle::send(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return promised(env, [&]() -> Napi::Value {
    const auto bytes = std::make_shared<const std::vector<std::uint8_t>>(to_u8_column(info[0], "bytes"));
    return run(
        env, runtime(),
        [held = connection(env), bytes]() -> Result<Nothing> {
          if (Status status = held->send(std::as_bytes(std::span(*bytes))); !status.ok()) return status;
          return Nothing{};
        },
        to_undefined);
  });
}

Napi::Value EngineHandle::descriptors(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return Napi::Number::New(env, static_cast<double>(connection(env)->descriptors()));
}

Napi::Value EngineHandle::import_allocation(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return promised(env, [&]() -> Napi::Value {
    const std::uint32_t ordinal = to_u32(info[0], "ordinal", 0, kHighestOrdinal);
    const std::vector<std::uint8_t> given = to_u8_column(info[1], "handle");
    accelerators::AllocationHandle handle{};
    if (given.size() != sizeof(handle)) throw invalid_argument(env, "expected 64 bytes for handle");
    std::memcpy(handle.data(), given.data(), sizeof(handle));
    const std::uint64_t bytes = to_u64(info[2], "bytes");
    const bool writable = to_flag(info[3], "writable");
    return run(
        env, runtime(),
        [ordinal, handle, bytes, writable, lease = connection(env)] {
          return accelerators::import_allocation(ordinal, handle, bytes, writable, lease);
        },
        to_region);
  });
}

Napi::Value EngineHandle::import_chunks(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return promised(env, [&]() -> Napi::Value {
    const std::uint32_t ordinal = to_u32(info[0], "ordinal", 0, kHighestOrdinal);
    const std::vector<std::uint64_t> sizes = to_u64_column(info[1], "chunkBytes");
    const bool writable = to_flag(info[2], "writable");
    auto taken = connection(env)->take(sizes.size());
    if (!taken.ok()) throw fault(env, taken.status());
    // Shared, because jobs are copied.
    const auto chunks = std::make_shared<std::vector<memory::ExportedChunk>>();
    for (std::size_t i = 0; i < sizes.size(); ++i)
      chunks->push_back({.descriptor = std::move(taken.value()[i]), .bytes = sizes[i]});
    return run(
        env, runtime(),
        [ordinal, chunks, writable, lease = connection(env)] {
          return accelerators::import_chunks(ordinal, *chunks, writable, lease);
        },
        to_region);
  });
}

Napi::Value EngineHandle::close(const Napi::CallbackInfo& info) {
  if (watched_ != nullptr) watched_->cancel();
  return close_once(info.Env(), watched_);
}

}  // namespace weightcast::binding
