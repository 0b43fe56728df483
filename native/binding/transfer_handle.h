#pragma once

#include <memory>

#include "binding/handle.h"
#include "binding/transfer_task.h"

namespace weightcast::binding {

struct HeldTransfer {
  std::shared_ptr<TransferTask> task;
  Napi::Promise done;
};

/// `NativeTransfer`. The transfer goes on when the handle is collected.
class TransferHandle final : public Handle<TransferHandle, HeldTransfer> {
 public:
  static constexpr HandleClass kClass = HandleClass::kTransfer;
  static constexpr const char* kName = "NativeTransfer";

  explicit TransferHandle(const Napi::CallbackInfo& info);
  static void define(Addon& addon, Napi::Env env);

 private:
  Napi::Value progress(const Napi::CallbackInfo& info);
  Napi::Value take_landed(const Napi::CallbackInfo& info);
  void cancel(const Napi::CallbackInfo& info);

  std::shared_ptr<TransferTask> task_;
};

}  // namespace weightcast::binding
