#pragma once

#include <memory>

#include "binding/handle.h"
#include "transport/rdma/nic.h"

namespace weightcast::binding {

struct HeldRegistration {
  std::shared_ptr<transport::rdma::Registration> registration;
  std::shared_ptr<transport::rdma::Nic> nic;
};

/// `NativeRegistration`.
class RegistrationHandle final : public Handle<RegistrationHandle, HeldRegistration> {
 public:
  static constexpr HandleClass kClass = HandleClass::kRegistration;
  static constexpr const char* kName = "NativeRegistration";

  explicit RegistrationHandle(const Napi::CallbackInfo& info);
  ~RegistrationHandle() override;
  static void define(Addon& addon, Napi::Env env);

  /// Throws CLOSED.
  [[nodiscard]] const std::shared_ptr<transport::rdma::Registration>& registration(Napi::Env env) const;
  [[nodiscard]] bool is_on(const transport::rdma::Nic& nic) const { return nic_ == &nic; }

 private:
  Napi::Value close(const Napi::CallbackInfo& info);

  std::shared_ptr<transport::rdma::Registration> registration_;
  const transport::rdma::Nic* nic_;  // to compare only; the registration keeps it alive
};

}  // namespace weightcast::binding
