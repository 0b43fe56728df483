#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "binding/arguments.h"
#include "binding/functions.h"
#include "binding/region_handle.h"
#include "memory/limits.h"
#include "memory/region.h"

namespace weightcast::binding {
namespace {

constexpr std::uint64_t kLargestSafe = (std::uint64_t{1} << 53) - 1;
constexpr std::uint32_t kMostThreads = 1024;
constexpr std::uint32_t kHighestNode = 1023;

Napi::Value to_handle(Napi::Env env, memory::RegionPtr region) {
  return RegionHandle::create(env, {.region = std::move(region), .pin = std::nullopt});
}

Napi::Value optional_bytes(Napi::Env env, const std::optional<std::uint64_t>& bytes) {
  return bytes.has_value() ? Napi::BigInt::New(env, *bytes) : env.Undefined();
}

Napi::Value limits(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const memory::Limits now = memory::read_limits();
  const Napi::Object result = Napi::Object::New(env);
  result.Set("memlockSoft", optional_bytes(env, now.memlock_soft));
  result.Set("memlockHard", optional_bytes(env, now.memlock_hard));
  result.Set("ipcLock", Napi::Boolean::New(env, now.ipc_lock));
  result.Set("available", optional_bytes(env, now.available));
  result.Set("hugePageSize", Napi::BigInt::New(env, now.huge_page_size));
  result.Set("hugePagesFree", Napi::BigInt::New(env, now.huge_pages_free));
  return result;
}

Napi::Value memlock_advice(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), memory::memlock_advice(to_u64(info[0], "bytes")));
}

memory::HugePages to_huge_pages(const Napi::Value& value) {
  const std::string text = to_text(value, "hugePages");
  if (text == "auto") return memory::HugePages::kAuto;
  if (text == "never") return memory::HugePages::kNever;
  if (text == "require") return memory::HugePages::kRequire;
  throw invalid_argument(value.Env(), "expected auto, never or require for hugePages but received " + text);
}

/// One a NIC; undefined: none.
memory::NodeOfEach to_nodes(const Napi::Value& value) {
  memory::NodeOfEach nodes;
  if (value.IsUndefined()) return nodes;
  for (const std::uint32_t node : to_u32_column(value, "nodes")) {
    if (node > kHighestNode) throw invalid_argument(value.Env(), "no machine has node " + std::to_string(node));
    nodes.push_back(static_cast<int>(node));
  }
  return nodes;
}

Napi::Value allocate(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return promised(env, [&]() -> Napi::Value {
    const std::uint64_t bytes = to_u64(info[0], "bytes");
    const memory::HugePages huge_pages = to_huge_pages(info[1]);
    const memory::NodeOfEach nodes = to_nodes(info[2]);
    return run(
        env, Addon::of(env).runtime(),
        [bytes, huge_pages, nodes] { return memory::allocate(bytes, huge_pages, nodes); }, to_handle);
  });
}

Napi::Value create_shared(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return promised(env, [&]() -> Napi::Value {
    const std::string name = to_text(info[0], "name");
    const std::uint64_t bytes = to_u64(info[1], "bytes");
    const memory::NodeOfEach nodes = to_nodes(info[2]);
    return run(
        env, Addon::of(env).runtime(), [name, bytes, nodes] { return memory::create_shared(name, bytes, nodes); },
        to_handle);
  });
}

Napi::Value map_file(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return promised(env, [&]() -> Napi::Value {
    const std::string path = to_text(info[0], "path");
    const std::uint64_t offset = to_u64(info[1], "offset");
    const std::uint64_t bytes = to_u64(info[2], "bytes");
    return run(
        env, Addon::of(env).runtime(), [path, offset, bytes] { return memory::map_file(path, offset, bytes); },
        to_handle);
  });
}

Napi::Value adopt_buffer(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!info[0].IsArrayBuffer()) {
    throw invalid_argument(env, "expected an ArrayBuffer for buffer; a SharedArrayBuffer cannot be adopted");
  }
  auto buffer = info[0].As<Napi::ArrayBuffer>();
  if (buffer.Get("resizable").ToBoolean()) {
    throw invalid_argument(env, "buffer is a resizable ArrayBuffer, whose memory may go while it is adopted");
  }
  if (buffer.IsDetached()) throw invalid_argument(env, "buffer is a detached ArrayBuffer");
  const std::size_t size = buffer.ByteLength();
  const std::size_t offset = to_integer(info[1], "byteOffset", 0, kLargestSafe);
  const std::size_t length = to_integer(info[2], "byteLength", 0, kLargestSafe);
  if (offset > size || length > size - offset) {
    throw invalid_argument(env, "byteOffset and byteLength leave the buffer of " + std::to_string(size) + " bytes");
  }

  Addon& addon = Addon::of(env);
  addon.renew_cleanup_hook();
  const std::uint64_t pin = addon.pin(buffer);
  // The last owner may be a native thread; the reference goes on the thread that it belongs to.
  const std::shared_ptr<void> keep_alive(nullptr, [runtime = addon.runtime(), pin](void*) {
    runtime->settler().notify([pin](Napi::Env at) { Addon::of(at).unpin(pin); });
  });
  auto region = memory::adopt(static_cast<std::byte*>(buffer.Data()) + offset, length, true, keep_alive);
  if (!region.ok()) throw fault(env, region.status());
  return RegionHandle::create(env, {.region = std::move(region.value()), .pin = pin});
}

Napi::Value adopt_address(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::uint64_t address = to_u64(info[0], "address");
  const std::uint64_t bytes = to_u64(info[1], "bytes");
  const bool writable = to_flag(info[2], "writable");
  auto region = memory::adopt(reinterpret_cast<std::byte*>(address), bytes, writable, nullptr);
  if (!region.ok()) throw fault(env, region.status());
  return to_handle(env, std::move(region.value()));
}

Napi::Value copy_region(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return promised(env, [&]() -> Napi::Value {
    const memory::RegionPtr from = RegionHandle::unwrap(info[0], "from").region(env);
    const memory::RegionPtr into = RegionHandle::unwrap(info[1], "into").region(env);
    const std::uint32_t threads = to_u32(info[2], "threads", 1, kMostThreads);
    if (from == into) throw invalid_argument(env, "from and into are the same region");
    if (from->size() != into->size()) throw invalid_argument(env, "from and into differ in size");
    if (!into->writable()) throw invalid_argument(env, "into is a read-only region");
    const std::uint64_t write = RegionHandle::begin_write(env, info[1]);
    return run_to_end(
        env, Addon::of(env).runtime(),
        [from, into, threads]() -> Result<Nothing> {
          if (Status status = memory::copy(*from, *into, threads); !status.ok()) return status;
          return Nothing{};
        },
        [write](Napi::Env at, const Result<Nothing>& result) -> Napi::Value {
          RegionHandle::end_write(at, write);
          if (!result.ok()) throw fault(at, result.status());
          return at.Undefined();
        });
  });
}

}  // namespace

void define_memory_functions(Napi::Env env, Napi::Object exports) {
  exports.Set("limits", Napi::Function::New<limits>(env, "limits"));
  exports.Set("memlockAdvice", Napi::Function::New<memlock_advice>(env, "memlockAdvice"));
  exports.Set("allocate", Napi::Function::New<allocate>(env, "allocate"));
  exports.Set("createShared", Napi::Function::New<create_shared>(env, "createShared"));
  exports.Set("mapFile", Napi::Function::New<map_file>(env, "mapFile"));
  exports.Set("adoptBuffer", Napi::Function::New<adopt_buffer>(env, "adoptBuffer"));
  exports.Set("adoptAddress", Napi::Function::New<adopt_address>(env, "adoptAddress"));
  exports.Set("copyRegion", Napi::Function::New<copy_region>(env, "copyRegion"));
}

}  // namespace weightcast::binding
