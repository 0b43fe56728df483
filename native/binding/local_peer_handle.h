#pragma once

#include <memory>

#include "binding/handle.h"
#include "transport/local/peer.h"

namespace weightcast::binding {

using HeldPeer = std::shared_ptr<const transport::local::Peer>;

/// `NativeLocalPeer`.
class LocalPeerHandle final : public Handle<LocalPeerHandle, HeldPeer> {
 public:
  static constexpr HandleClass kClass = HandleClass::kLocalPeer;
  static constexpr const char* kName = "NativeLocalPeer";

  explicit LocalPeerHandle(const Napi::CallbackInfo& info);
  ~LocalPeerHandle() override;
  static void define(Addon& addon, Napi::Env env);

 private:
  Napi::Value lane(const Napi::CallbackInfo& info);
  Napi::Value map(const Napi::CallbackInfo& info);
  Napi::Value close(const Napi::CallbackInfo& info);
  [[nodiscard]] const HeldPeer& peer(Napi::Env env) const;

  HeldPeer peer_;
};

}  // namespace weightcast::binding
