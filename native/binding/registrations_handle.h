#pragma once

#include <memory>
#include <vector>

#include "binding/handle.h"
#include "transport/rdma/nic.h"

namespace weightcast::binding {

using Registrations = std::vector<std::shared_ptr<transport::rdma::Registration>>;

/// `NativeRegistrations`.
class RegistrationsHandle final : public Handle<RegistrationsHandle, std::shared_ptr<Registrations>> {
 public:
  static constexpr HandleClass kClass = HandleClass::kRegistrations;
  static constexpr const char* kName = "NativeRegistrations";

  explicit RegistrationsHandle(const Napi::CallbackInfo& info);
  ~RegistrationsHandle() override;
  static void define(Addon& addon, Napi::Env env);

 private:
  Napi::Value close(const Napi::CallbackInfo& info);

  std::shared_ptr<Registrations> registrations_;
};

}  // namespace weightcast::binding
