#include "binding/region_handle.h"

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "binding/arguments.h"
#include "memory/device.h"

namespace weightcast::binding {
namespace {

/// One byte less than what Node 20 can look at through one typed array. A longer external buffer is not refused there:
/// it aborts the process.
constexpr std::uint64_t kLongestWindow = (std::uint64_t{1} << 32) - 1;

const char* kind_name(memory::RegionKind kind) {
  switch (kind) {
    case memory::RegionKind::kAnonymous:
      return "anonymous";
    case memory::RegionKind::kShared:
      return "shared";
    case memory::RegionKind::kFile:
      return "file";
    case memory::RegionKind::kAdopted:
      return "adopted";
    case memory::RegionKind::kDevice:
      return "device";
  }
  return "anonymous";
}

Napi::Value to_device(Napi::Env env, const memory::Region& region) {
  const memory::DeviceRegion* on_device = region.on_device();
  if (on_device == nullptr) return env.Undefined();
  const Napi::Object device = Napi::Object::New(env);
  device.Set("kind", Napi::String::New(env, memory::device_kind_name(on_device->device()->kind())));
  device.Set("ordinal", Napi::Number::New(env, on_device->device()->ordinal()));
  return device;
}

Napi::Value to_placement(Napi::Env env, const memory::Region& region) {
  const memory::Placement* placement = region.placement();
  if (placement == nullptr) return env.Undefined();
  const Napi::Object result = Napi::Object::New(env);
  const Napi::Array nodes = Napi::Array::New(env, placement->nodes.size());
  for (std::uint32_t index = 0; index < nodes.Length(); ++index) nodes.Set(index, placement->nodes[index]);
  result.Set("nodes", nodes);
  result.Set("refusal", Napi::String::New(env, placement->refusal));
  return result;
}

/// Copies what was read into the caller's array, which may have shrunk or gone in the meantime.
void fill(Napi::Env env, const Napi::Object& into, const std::vector<std::byte>& bytes) {
  napi_typedarray_type type{};
  std::size_t length = 0;
  void* data = nullptr;
  const napi_status status = napi_get_typedarray_info(env, into, &type, &length, &data, nullptr, nullptr);
  if (status != napi_ok || length != bytes.size()) {
    throw invalid_argument(env, "into was detached or resized while the region was being read");
  }
  if (length > 0) std::memcpy(data, bytes.data(), length);
}

}  // namespace

void RegionHandle::define(Addon& addon, Napi::Env env) {
  Handle::define(addon, env,
                 {InstanceMethod<&RegionHandle::view>("view"), InstanceMethod<&RegionHandle::read>("read"),
                  InstanceMethod<&RegionHandle::write>("write"), InstanceMethod<&RegionHandle::flush>("flush"),
                  InstanceMethod<&RegionHandle::close>("close")});
}

RegionHandle::RegionHandle(const Napi::CallbackInfo& info) : Handle(info), held_(newborn(info)), windows_(runtime()) {
  const memory::Region& region = *held_.region;
  const Napi::Env env = info.Env();
  const auto self = info.This().As<Napi::Object>();
  define_constant(self, "kind", Napi::String::New(env, kind_name(region.kind())));
  define_constant(self, "device", to_device(env, region));
  define_constant(self, "address", Napi::BigInt::New(env, region.address()));
  define_constant(self, "byteLength", Napi::BigInt::New(env, region.size()));
  define_constant(self, "pageSize", Napi::Number::New(env, static_cast<double>(region.page_size())));
  define_constant(self, "placement", to_placement(env, region));
  define_constant(self, "writable", Napi::Boolean::New(env, region.writable()));
  // Only what we allocated: the pages of files and of other owners are not freed by collecting this handle.
  if (region.kind() == memory::RegionKind::kAnonymous || region.kind() == memory::RegionKind::kShared) {
    accounted_ = static_cast<std::int64_t>(region.size());
    Napi::MemoryManagement::AdjustExternalMemory(env, accounted_);
  }
}

RegionHandle::~RegionHandle() { give_up(); }

void RegionHandle::give_up() {
  runtime()->drop(std::exchange(held_.region, nullptr));
  if (accounted_ != 0) {
    std::int64_t adjusted = 0;
    napi_adjust_external_memory(Env(), -std::exchange(accounted_, 0), &adjusted);
  }
}

const memory::RegionPtr& RegionHandle::region(Napi::Env env) const {
  if (held_.region == nullptr) throw closed(env, "the region");
  if (held_.pin.has_value()) {
    const Napi::Object buffer = Addon::of(env).pinned(*held_.pin);
    if (buffer.As<Napi::ArrayBuffer>().IsDetached()) {
      throw fault(env,
                  Status::error(Code::kClosed, "the ArrayBuffer of this adopted region was transferred or detached"));
    }
  }
  return held_.region;
}

const memory::RegionPtr& RegionHandle::range(Napi::Env env, std::uint64_t offset, std::uint64_t length) const {
  const memory::RegionPtr& all = region(env);
  if (offset > all->size() || length > all->size() - offset) {
    throw fault(env, Status::error(Code::kOutOfRange, "the range of " + std::to_string(length) + " bytes at offset " +
                                                          std::to_string(offset) + " leaves the region of " +
                                                          std::to_string(all->size()) + " bytes"));
  }
  return all;
}

std::uint64_t RegionHandle::begin_write(Napi::Env env, const Napi::Value& handle) {
  unwrap(handle, "region").windows_.begin_write();
  return Addon::of(env).pin(handle.As<Napi::Object>());
}

void RegionHandle::end_write(Napi::Env env, std::uint64_t number) {
  const Napi::Object handle = Addon::of(env).pinned(number);
  Addon::of(env).unpin(number);
  unwrap(handle, "region").windows_.end_write(env);
}

Napi::Value RegionHandle::view(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::uint64_t offset = to_u64(info[0], "offset");
  const auto length = static_cast<std::uint32_t>(to_integer(info[1], "length", 0, kLongestWindow));
  const memory::RegionPtr& region = range(env, offset, length);
  if (region->on_device() != nullptr) {
    throw invalid_argument(env, "the region is memory of " + region->on_device()->device()->name() +
                                    ", which the processor cannot look at: copy with read() and write()");
  }
  if (!region->writable()) {
    throw invalid_argument(env, "the region is read-only: a store through a view would fault; copy with read()");
  }
  return windows_.open(env, region, offset, length);
}

Napi::Value RegionHandle::read(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return promised(env, [&]() -> Napi::Value {
    const std::uint64_t offset = to_u64(info[0], "offset");
    if (!info[1].IsTypedArray() || info[1].As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
      throw invalid_argument(env, "expected a Uint8Array for into");
    }
    const std::size_t length = info[1].As<Napi::TypedArray>().ByteLength();
    const memory::RegionPtr region = range(env, offset, length);
    // Not straight into the array: JavaScript may transfer it away meanwhile, and nothing in N-API holds its memory.
    const auto bytes = std::make_shared<std::vector<std::byte>>();
    const std::uint64_t pin = Addon::of(env).pin(info[1].As<Napi::Object>());
    return run_to_end(
        env, runtime(),
        [region, offset, length, bytes]() -> Result<Nothing> {
          bytes->resize(length);
          if (Status status = region->copy_out(offset, std::span(*bytes)); !status.ok()) return status;
          return Nothing{};
        },
        [bytes, pin](Napi::Env at, const Result<Nothing>& result) -> Napi::Value {
          const Napi::Object into = Addon::of(at).pinned(pin);
          Addon::of(at).unpin(pin);
          if (!result.ok()) throw fault(at, result.status());
          fill(at, into, *bytes);
          return at.Undefined();
        });
  });
}

Napi::Value RegionHandle::write(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return promised(env, [&]() -> Napi::Value {
    const std::uint64_t offset = to_u64(info[0], "offset");
    // A copy: JavaScript may change the array, or transfer it away, before a native thread comes to it.
    const auto bytes = std::make_shared<const std::vector<std::uint8_t>>(to_u8_column(info[1], "from"));
    const memory::RegionPtr region = range(env, offset, bytes->size());
    const std::uint64_t write = begin_write(env, info.This());
    return run_to_end(
        env, runtime(),
        [region, offset, bytes]() -> Result<Nothing> {
          if (Status status = memory::copy_in(*region, offset, std::as_bytes(std::span(*bytes))); !status.ok()) {
            return status;
          }
          return Nothing{};
        },
        [write](Napi::Env at, const Result<Nothing>& result) -> Napi::Value {
          end_write(at, write);
          if (!result.ok()) throw fault(at, result.status());
          return at.Undefined();
        });
  });
}

Napi::Value RegionHandle::flush(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return promised(env, [&]() -> Napi::Value {
    const memory::RegionPtr all = region(env);
    return run(
        env, runtime(),
        [all]() -> Result<Nothing> {
          if (all->on_device() == nullptr) return Nothing{};
          if (Status status = all->on_device()->device()->flush(); !status.ok()) return status;
          return Nothing{};
        },
        to_undefined);
  });
}

void RegionHandle::close(const Napi::CallbackInfo& info) {
  give_up();
  windows_.close(info.Env());
}

}  // namespace weightcast::binding
