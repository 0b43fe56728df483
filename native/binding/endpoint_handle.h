#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "binding/handle.h"
#include "transport/rdma/endpoint.h"
#include "transport/transport.h"
#include "verbs/queue_pair.h"  // whole, for the inline members of endpoint.h

namespace weightcast::binding {

struct HeldEndpoint {
  std::shared_ptr<transport::rdma::Endpoint> endpoint;
  transport::rdma::Role role;
};

/// `NativeEndpoint`.
class EndpointHandle final : public Handle<EndpointHandle, HeldEndpoint> {
 public:
  static constexpr HandleClass kClass = HandleClass::kEndpoint;
  static constexpr const char* kName = "NativeEndpoint";

  explicit EndpointHandle(const Napi::CallbackInfo& info);
  ~EndpointHandle() override;
  static void define(Addon& addon, Napi::Env env);

  /// The endpoint for a new lane: connected, an initiator, and not held by another lane, since one thread owns it.
  /// Throws INVALID_ARGUMENT, CLOSED. `claim` it afterwards.
  [[nodiscard]] const std::shared_ptr<transport::rdma::Endpoint>& free_for_lane(Napi::Env env) const;
  void claim(const std::shared_ptr<transport::Lane>& lane) { lane_ = lane; }

 private:
  /// Between two states only one native thread touches the endpoint.
  enum class State : std::uint8_t { kNew, kConnecting, kConnected, kFailed };

  Napi::Value connect(const Napi::CallbackInfo& info);
  Napi::Value close(const Napi::CallbackInfo& info);

  std::shared_ptr<transport::rdma::Endpoint> endpoint_;
  transport::rdma::Role role_;
  State state_ = State::kNew;
  std::weak_ptr<transport::Lane> lane_;
};

}  // namespace weightcast::binding
