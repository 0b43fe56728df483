#include "binding/inventory.h"

#include <cstdint>

namespace weightcast::binding {
namespace {

Napi::Object to_gid(Napi::Env env, const transport::rdma::GidEntry& entry) {
  const Napi::Object gid = Napi::Object::New(env);
  gid.Set("index", Napi::Number::New(env, entry.index));
  gid.Set("gid", Napi::String::New(env, entry.gid));
  gid.Set("type", Napi::String::New(env, entry.type));
  gid.Set("netdev", Napi::String::New(env, entry.netdev));
  return gid;
}

Napi::Object to_port(Napi::Env env, const transport::rdma::DevicePort& port) {
  const Napi::Object result = Napi::Object::New(env);
  const auto text = [&](const char* key, const std::string& value) { result.Set(key, Napi::String::New(env, value)); };
  const auto number = [&](const char* key, double value) { result.Set(key, Napi::Number::New(env, value)); };
  const auto flag = [&](const char* key, bool value) { result.Set(key, Napi::Boolean::New(env, value)); };
  text("device", port.device);
  text("provider", port.provider);
  flag("software", port.software);
  text("firmware", port.firmware);
  number("port", port.port);
  flag("active", port.active);
  text("state", port.state);
  text("linkLayer", port.link_layer);
  number("lid", port.lid);
  number("activeMtu", port.active_mtu);
  number("rateGbps", port.rate_gbps);
  number("numaNode", port.numa_node);
  text("netdev", port.netdev);
  const Napi::Array gids = Napi::Array::New(env, port.gids.size());
  for (std::uint32_t index = 0; index < port.gids.size(); ++index) gids.Set(index, to_gid(env, port.gids[index]));
  result.Set("gids", gids);
  number("chosenGidIndex", port.chosen_gid_index);
  number("maxMessage", port.max_message);
  number("maxSge", port.max_sge);
  number("maxInitiatorReads", port.max_initiator_reads);
  number("maxResponderReads", port.max_responder_reads);
  number("maxQp", port.max_qp);
  number("maxMr", port.max_mr);
  result.Set("maxMrBytes", Napi::BigInt::New(env, port.max_mr_bytes));
  flag("dmabuf", port.dmabuf);
  text("dmabufReason", port.dmabuf_reason);
  return result;
}

}  // namespace

Napi::Value to_inventory(Napi::Env env, const std::vector<transport::rdma::DevicePort>& ports) {
  const Napi::Array result = Napi::Array::New(env, ports.size());
  for (std::uint32_t index = 0; index < ports.size(); ++index) result.Set(index, to_port(env, ports[index]));
  return result;
}

}  // namespace weightcast::binding
