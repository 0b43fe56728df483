#pragma once

#include <napi.h>

#include "binding/transfer_task.h"

namespace weightcast::binding {

/// `NativeOutcome` of `src/native.ts`.
Napi::Value to_outcome(Napi::Env env, const TransferResult& result);

}  // namespace weightcast::binding
