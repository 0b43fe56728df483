#include "binding/tcp_server_handle.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "binding/arguments.h"
#include "binding/region_handle.h"

namespace weightcast::binding {

void TcpServerHandle::define(Addon& addon, Napi::Env env) {
  Handle::define(
      addon, env,
      {InstanceMethod<&TcpServerHandle::serve>("serve"), InstanceMethod<&TcpServerHandle::counters>("counters"),
       InstanceMethod<&TcpServerHandle::close>("close")});
}

TcpServerHandle::TcpServerHandle(const Napi::CallbackInfo& info) : Handle(info), watched_(newborn(info)) {
  runtime()->watch(watched_);
  define_constant(info.This().As<Napi::Object>(), "port", Napi::Number::New(info.Env(), watched_->server->port()));
}

TcpServerHandle::~TcpServerHandle() { forget(std::move(watched_)); }

void TcpServerHandle::serve(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::vector<Napi::Value> list = to_list(info[0], "regions");
  const std::vector<RegionHandle*> regions = RegionHandle::unwrap_all(list, "regions");
  const std::vector<std::uint64_t> addresses = to_u64_column(info[1], "addresses");
  const std::vector<std::uint64_t> lengths = to_u64_column(info[2], "lengths");
  if (watched_ == nullptr) throw closed(env, "the TCP server");
  if (addresses.size() != regions.size() || lengths.size() != regions.size()) {
    throw invalid_argument(env, "regions, addresses and lengths differ in length: " + std::to_string(regions.size()) +
                                    ", " + std::to_string(addresses.size()) + ", " + std::to_string(lengths.size()));
  }
  std::vector<transport::tcp::ServedRange> ranges;
  ranges.reserve(regions.size());
  for (std::size_t index = 0; index < regions.size(); ++index) {
    const memory::RegionPtr& region = regions[index]->region(env);
    if (addresses[index] < region->address()) {
      throw fault(env,
                  Status::error(Code::kOutOfRange, "addresses[" + std::to_string(index) + "] lies before its region"));
    }
    regions[index]->range(env, addresses[index] - region->address(), lengths[index]);
    ranges.push_back({.region = region, .address = addresses[index], .length = lengths[index]});
  }
  watched_->server->serve(std::move(ranges));
}

Napi::Value TcpServerHandle::counters(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const transport::tcp::ServerCounters now = watched_ == nullptr ? at_close_ : watched_->server->counters();
  const Napi::Object result = Napi::Object::New(env);
  result.Set("connections", Napi::BigInt::New(env, now.connections));
  result.Set("requests", Napi::BigInt::New(env, now.requests));
  result.Set("rejected", Napi::BigInt::New(env, now.rejected));
  result.Set("bytes", Napi::BigInt::New(env, now.bytes));
  return result;
}

Napi::Value TcpServerHandle::close(const Napi::CallbackInfo& info) {
  if (watched_ != nullptr) at_close_ = watched_->server->counters();
  return close_once(info.Env(), watched_);
}

}  // namespace weightcast::binding
