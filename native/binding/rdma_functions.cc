#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "binding/arguments.h"
#include "binding/endpoint_handle.h"
#include "binding/functions.h"
#include "binding/inventory.h"
#include "binding/lane_handle.h"
#include "binding/nic_handle.h"
#include "binding/registration_handle.h"
#include "transport/rdma/inventory.h"
#include "transport/rdma/lane.h"
#include "verbs/library.h"

namespace weightcast::binding {
namespace {

using transport::rdma::Nic;
using transport::rdma::NicOptions;
using transport::rdma::RdmaLane;
using transport::rdma::RdmaLaneOptions;

constexpr std::uint32_t kMostPorts = std::numeric_limits<std::uint8_t>::max();
constexpr std::uint32_t kHighestGidIndex = std::numeric_limits<std::uint8_t>::max();
constexpr std::uint32_t kLongestTimeoutMs = std::numeric_limits<std::int32_t>::max();

Napi::Value rdma_library(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Result<verbs::LibraryPtr> library = verbs::load_library();
  const Napi::Object result = Napi::Object::New(env);
  result.Set("path", Napi::String::New(env, library.ok() ? library.value()->path : ""));
  result.Set("reason", Napi::String::New(env, library.ok() ? "" : library.status().message));
  return result;
}

Napi::Value list_devices(const Napi::CallbackInfo& info) {
  return run(info.Env(), Addon::of(info.Env()).runtime(), [] { return transport::rdma::list_devices(); }, to_inventory);
}

Napi::Value open_nic(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return promised(env, [&]() -> Napi::Value {
    NicOptions options;
    options.device = to_text(info[0], "device");
    options.port = static_cast<std::uint8_t>(to_u32(info[1], "port", 1, kMostPorts));
    if (!info[2].IsUndefined()) {
      options.gid_index = static_cast<std::uint8_t>(to_u32(info[2], "gidIndex", 0, kHighestGidIndex));
    }
    return run(
        env, Addon::of(env).runtime(), [options] { return Nic::open(options); },
        [](Napi::Env at, std::shared_ptr<Nic> nic) -> Napi::Value { return NicHandle::create(at, std::move(nic)); });
  });
}

Napi::Value create_lane(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Napi::Object object = to_object(info[0], "options");
  const Napi::Value name = member(object, "name");
  const Napi::Value endpoint_value = member(object, "endpoint");
  const Napi::Value remote_keys_value = member(object, "remoteKeys");
  const std::vector<Napi::Value> registration_values =
      to_list(member(object, "registrations"), "options.registrations");
  const Napi::Value depth = member(object, "depth");
  const Napi::Value queue_pairs = member(object, "queuePairs");
  const Napi::Value spin = member(object, "spinMicroseconds");
  const Napi::Value stall_timeout = member(object, "stallTimeoutMs");
  const Napi::Value processors = member(object, "processors");

  RdmaLaneOptions options;
  options.name = to_text(name, "options.name");
  options.depth = to_u32(depth, "options.depth");
  options.queue_pairs = to_u32(queue_pairs, "options.queuePairs");
  options.spin_us = to_u32(spin, "options.spinMicroseconds");
  options.stall_timeout =
      std::chrono::milliseconds(to_u32(stall_timeout, "options.stallTimeoutMs", 1, kLongestTimeoutMs));
  options.processors = to_numbers(processors, "options.processors");
  std::vector<std::uint32_t> remote_keys = to_u32_column(remote_keys_value, "options.remoteKeys");
  EndpointHandle& holder = EndpointHandle::unwrap(endpoint_value, "options.endpoint");
  const std::shared_ptr<transport::rdma::Endpoint>& endpoint = holder.free_for_lane(env);
  std::vector<std::shared_ptr<transport::rdma::Registration>> local;
  for (const RegistrationHandle* registration :
       RegistrationHandle::unwrap_all(registration_values, "options.registrations")) {
    local.push_back(registration->registration(env));
    if (!registration->is_on(*endpoint->nic())) {
      throw invalid_argument(env, "options.registrations[" + std::to_string(local.size() - 1) +
                                      "] was made on another NIC than options.endpoint");
    }
  }

  const RdmaBounds bounds{.remote_keys = remote_keys.size(),
                          .registrations = local.size(),
                          .max_segments = endpoint->nic()->max_sge(),
                          .max_message = endpoint->nic()->max_message()};
  const auto lane = std::make_shared<RdmaLane>(endpoint, std::move(remote_keys), std::move(local), std::move(options));
  holder.claim(lane);
  return LaneHandle::create(env, {.lane = lane, .bounds = bounds});
}

}  // namespace

void define_rdma_functions(Napi::Env env, Napi::Object exports) {
  exports.Set("rdmaLibrary", Napi::Function::New<rdma_library>(env, "rdmaLibrary"));
  exports.Set("listDevices", Napi::Function::New<list_devices>(env, "listDevices"));
  exports.Set("openNic", Napi::Function::New<open_nic>(env, "openNic"));
  exports.Set("createRdmaLane", Napi::Function::New<create_lane>(env, "createRdmaLane"));
}

}  // namespace weightcast::binding
