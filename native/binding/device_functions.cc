#include <cstdint>
#include <string>
#include <utility>

#include "accelerators/accelerators.h"
#include "binding/arguments.h"
#include "binding/functions.h"
#include "binding/promised.h"
#include "binding/region_handle.h"
#include "memory/device.h"

namespace weightcast::binding {
namespace {

constexpr std::uint32_t kHighestOrdinal = 65535;

memory::DeviceKind to_kind(const Napi::Value& value) {
  const std::string text = to_text(value, "kind");
  if (text == "cuda") return memory::DeviceKind::kCuda;
  if (text == "hip") return memory::DeviceKind::kHip;
  throw invalid_argument(value.Env(), "expected cuda or hip for kind but received " + text);
}

Napi::Value to_handle(Napi::Env env, memory::RegionPtr region) {
  return RegionHandle::create(env, {.region = std::move(region), .pin = std::nullopt});
}

Napi::Object to_accelerator(Napi::Env env, const accelerators::Accelerator& accelerator) {
  const Napi::Object result = Napi::Object::New(env);
  result.Set("kind", Napi::String::New(env, memory::device_kind_name(accelerator.kind)));
  result.Set("ordinal", Napi::Number::New(env, accelerator.info.ordinal));
  result.Set("name", Napi::String::New(env, accelerator.info.name));
  result.Set("pciAddress", Napi::String::New(env, accelerator.info.pci_address));
  result.Set("numaNode", Napi::Number::New(env, accelerator.info.numa_node));
  result.Set("bytes", Napi::BigInt::New(env, accelerator.info.bytes));
  result.Set("dmabuf", Napi::Boolean::New(env, accelerator.info.dmabuf));
  result.Set("dmabufReason", Napi::String::New(env, accelerator.info.dmabuf_reason));
  return result;
}

Napi::Object to_driver(Napi::Env env, const accelerators::Driver& driver) {
  const Napi::Object result = Napi::Object::New(env);
  result.Set("kind", Napi::String::New(env, memory::device_kind_name(driver.kind)));
  result.Set("path", Napi::String::New(env, driver.path));
  result.Set("version", Napi::String::New(env, driver.version));
  result.Set("reason", Napi::String::New(env, driver.reason));
  return result;
}

Napi::Value to_inventory(Napi::Env env, const accelerators::Inventory& inventory) {
  const Napi::Array accelerators = Napi::Array::New(env);
  for (const auto& one : inventory.accelerators) accelerators.Set(accelerators.Length(), to_accelerator(env, one));
  const Napi::Array drivers = Napi::Array::New(env);
  for (const auto& one : inventory.drivers) drivers.Set(drivers.Length(), to_driver(env, one));
  const Napi::Object result = Napi::Object::New(env);
  result.Set("accelerators", accelerators);
  result.Set("drivers", drivers);
  result.Set("peerMemory", Napi::String::New(env, inventory.peer_memory));
  return result;
}

Napi::Value list_accelerators(const Napi::CallbackInfo& info) {
  return run(
      info.Env(), Addon::of(info.Env()).runtime(),
      []() -> Result<accelerators::Inventory> { return accelerators::list(); }, to_inventory);
}

Napi::Value allocate_on_device(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return promised(env, [&]() -> Napi::Value {
    const memory::DeviceKind kind = to_kind(info[0]);
    const std::uint32_t ordinal = to_u32(info[1], "ordinal", 0, kHighestOrdinal);
    const std::uint64_t bytes = to_u64(info[2], "bytes");
    return run(env, Addon::of(env).runtime(), [=] { return accelerators::allocate(kind, ordinal, bytes); }, to_handle);
  });
}

Napi::Value adopt_on_device(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return promised(env, [&]() -> Napi::Value {
    const memory::DeviceKind kind = to_kind(info[0]);
    const std::uint64_t address = to_u64(info[1], "address");
    const std::uint64_t bytes = to_u64(info[2], "bytes");
    const bool writable = to_flag(info[3], "writable");
    return run(
        env, Addon::of(env).runtime(), [=] { return accelerators::adopt(kind, address, bytes, writable); }, to_handle);
  });
}

Napi::Value device_allocation(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return promised(env, [&]() -> Napi::Value {
    const memory::DeviceKind kind = to_kind(info[0]);
    const std::uint64_t address = to_u64(info[1], "address");
    return run(
        env, Addon::of(env).runtime(), [=] { return accelerators::allocation(kind, address); },
        [](Napi::Env at, const accelerators::Allocation& found) -> Napi::Value {
          const Napi::Object result = Napi::Object::New(at);
          result.Set("base", Napi::BigInt::New(at, found.base));
          result.Set("bytes", Napi::BigInt::New(at, found.bytes));
          result.Set("ordinal", Napi::Number::New(at, found.ordinal));
          return result;
        });
  });
}

}  // namespace

void define_device_functions(Napi::Env env, Napi::Object exports) {
  exports.Set("listAccelerators", Napi::Function::New<list_accelerators>(env, "listAccelerators"));
  exports.Set("allocateOnDevice", Napi::Function::New<allocate_on_device>(env, "allocateOnDevice"));
  exports.Set("adoptOnDevice", Napi::Function::New<adopt_on_device>(env, "adoptOnDevice"));
  exports.Set("deviceAllocation", Napi::Function::New<device_allocation>(env, "deviceAllocation"));
}

}  // namespace weightcast::binding
