#include "binding/endpoint_handle.h"

#include <algorithm>
#include <limits>
#include <span>
#include <utility>

#include "binding/arguments.h"

namespace weightcast::binding {
namespace {

constexpr std::uint32_t kLargestPathMtu = 4096;

transport::rdma::PeerQueuePairs to_peer(const Napi::Value& value) {
  const Napi::Object object = to_object(value, "peer");
  const Napi::Value gid = member(object, "gid");
  const Napi::Value lid = member(object, "lid");
  const Napi::Value numbers = member(object, "numbers");
  const Napi::Value path_mtu = member(object, "pathMtu");
  const Napi::Value max_reads = member(object, "maxReads");
  return {
      .gid = to_text(gid, "peer.gid"),
      .lid = static_cast<std::uint16_t>(to_u32(lid, "peer.lid", 0, std::numeric_limits<std::uint16_t>::max())),
      .numbers = to_u32_column(numbers, "peer.numbers"),
      .path_mtu = to_u32(path_mtu, "peer.pathMtu", 0, kLargestPathMtu),
      .max_reads = to_u32(max_reads, "peer.maxReads"),
  };
}

}  // namespace

void EndpointHandle::define(Addon& addon, Napi::Env env) {
  Handle::define(
      addon, env,
      {InstanceMethod<&EndpointHandle::connect>("connect"), InstanceMethod<&EndpointHandle::close>("close")});
}

EndpointHandle::EndpointHandle(const Napi::CallbackInfo& info)
    : Handle(info), endpoint_(newborn(info).endpoint), role_(newborn(info).role) {
  const auto self = info.This().As<Napi::Object>();
  const std::span<const std::uint32_t> own = endpoint_->numbers();
  Napi::Uint32Array numbers = Napi::Uint32Array::New(info.Env(), own.size());
  std::ranges::copy(own, numbers.Data());
  define_constant(self, "numbers", numbers);
  define_constant(self, "maxReads", Napi::Number::New(info.Env(), 0));
}

EndpointHandle::~EndpointHandle() { forget(std::move(endpoint_)); }

const std::shared_ptr<transport::rdma::Endpoint>& EndpointHandle::free_for_lane(Napi::Env env) const {
  if (endpoint_ == nullptr) throw closed(env, "the endpoint");
  if (role_ != transport::rdma::Role::kInitiator) {
    throw invalid_argument(env, "endpoint is a responder; reads need an initiator");
  }
  if (state_ != State::kConnected) throw invalid_argument(env, "endpoint is not connected");
  if (!lane_.expired()) throw invalid_argument(env, "endpoint is held by another lane; close that first");
  return endpoint_;
}

Napi::Value EndpointHandle::connect(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return promised(env, [&]() -> Napi::Value {
    const transport::rdma::PeerQueuePairs peer = to_peer(info[0]);
    const auto endpoint = endpoint_;
    if (endpoint == nullptr) throw closed(env, "the endpoint");
    if (state_ != State::kNew) throw invalid_argument(env, "endpoint has been connected before");
    state_ = State::kConnecting;
    const std::uint64_t self = Addon::of(env).pin(info.This().As<Napi::Object>());
    return run_to_end(
        env, runtime(),
        [endpoint, peer]() -> Result<std::uint32_t> {
          if (Status status = endpoint->connect(peer); !status.ok()) return status;
          return endpoint->max_reads();
        },
        [self](Napi::Env at, const Result<std::uint32_t>& result) -> Napi::Value {
          const Napi::Object handle = Addon::of(at).pinned(self);
          Addon::of(at).unpin(self);
          unwrap(handle, "this").state_ = result.ok() ? State::kConnected : State::kFailed;
          if (!result.ok()) throw fault(at, result.status());
          define_constant(handle, "maxReads", Napi::Number::New(at, result.value()));
          return at.Undefined();
        });
  });
}

Napi::Value EndpointHandle::close(const Napi::CallbackInfo& info) { return close_once(info.Env(), endpoint_); }

}  // namespace weightcast::binding
