#include <cstdint>
#include <string>
#include <vector>

#include "binding/addon.h"
#include "binding/arguments.h"
#include "binding/functions.h"
#include "binding/promised.h"
#include "topology/locality.h"

namespace weightcast::binding {
namespace {

Napi::Object to_node(Napi::Env env, const topology::Node& node) {
  const Napi::Object result = Napi::Object::New(env);
  result.Set("node", Napi::Number::New(env, node.number));
  result.Set("processors", Napi::String::New(env, topology::format_numbers(node.processors)));
  result.Set("memory", Napi::Boolean::New(env, node.memory));
  return result;
}

Napi::Object to_nic(Napi::Env env, const topology::NicLocality& nic) {
  const Napi::Object result = Napi::Object::New(env);
  result.Set("device", Napi::String::New(env, nic.device));
  result.Set("node", Napi::Number::New(env, nic.node));
  result.Set("processors", Napi::String::New(env, topology::format_numbers(nic.processors)));
  result.Set("threadsReason", Napi::String::New(env, nic.threads_reason));
  result.Set("memoryReason", Napi::String::New(env, nic.memory_reason));
  return result;
}

Napi::Value to_locality(Napi::Env env, const topology::Locality& locality) {
  const Napi::Array nodes = Napi::Array::New(env, locality.nodes.size());
  for (std::uint32_t index = 0; index < nodes.Length(); ++index) nodes.Set(index, to_node(env, locality.nodes[index]));
  const Napi::Array nics = Napi::Array::New(env, locality.nics.size());
  for (std::uint32_t index = 0; index < nics.Length(); ++index) nics.Set(index, to_nic(env, locality.nics[index]));
  const Napi::Object result = Napi::Object::New(env);
  result.Set("nodes", nodes);
  result.Set("nics", nics);
  return result;
}

Napi::Value locate(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return promised(env, [&]() -> Napi::Value {
    std::vector<std::string> devices;
    for (const Napi::Value& device : to_list(info[0], "devices")) devices.push_back(to_text(device, "devices[]"));
    return run(
        env, Addon::of(env).runtime(),
        [devices]() -> Result<topology::Locality> {
          return topology::locate(devices, topology::system_root(), topology::system_kernel());
        },
        to_locality);
  });
}

}  // namespace

void define_topology_functions(Napi::Env env, Napi::Object exports) {
  exports.Set("locate", Napi::Function::New<locate>(env, "locate"));
}

}  // namespace weightcast::binding
