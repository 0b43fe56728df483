#pragma once

#include <napi.h>

#include <string>

#include "common/status.h"

namespace weightcast::binding {

/// The string of a code in `src/native-fault.ts`, `NativeCode`.
const char* code_name(Code code);

/// The JavaScript error of a failed status: `NativeFault` in `src/native-fault.ts`. Throw it, or reject with its
/// `Value()`.
Napi::Error fault(Napi::Env env, const Status& status);

/// A wrong argument; the message names it. For the caller to `throw`.
Napi::Error invalid_argument(Napi::Env env, std::string message);

/// Use of a handle after its `close`. For the caller to `throw`.
Napi::Error closed(Napi::Env env, const char* what);

}  // namespace weightcast::binding
