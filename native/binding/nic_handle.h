#pragma once

#include <memory>

#include "binding/handle.h"
#include "transport/rdma/nic.h"

namespace weightcast::binding {

/// `NativeNic`.
class NicHandle final : public Handle<NicHandle, std::shared_ptr<transport::rdma::Nic>> {
 public:
  static constexpr HandleClass kClass = HandleClass::kNic;
  static constexpr const char* kName = "NativeNic";

  explicit NicHandle(const Napi::CallbackInfo& info);
  ~NicHandle() override;
  static void define(Addon& addon, Napi::Env env);

 private:
  [[nodiscard]] const std::shared_ptr<transport::rdma::Nic>& nic(Napi::Env env) const;
  Napi::Value register_memory(const Napi::CallbackInfo& info);
  Napi::Value register_all(const Napi::CallbackInfo& info);
  Napi::Value create_endpoint(const Napi::CallbackInfo& info);
  Napi::Value close(const Napi::CallbackInfo& info);

  std::shared_ptr<transport::rdma::Nic> nic_;
};

}  // namespace weightcast::binding
