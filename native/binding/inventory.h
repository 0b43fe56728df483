#pragma once

#include <napi.h>

#include <vector>

#include "transport/rdma/inventory.h"

namespace weightcast::binding {

/// `NativeDevicePort[]` of `src/native.ts`.
Napi::Value to_inventory(Napi::Env env, const std::vector<transport::rdma::DevicePort>& ports);

}  // namespace weightcast::binding
