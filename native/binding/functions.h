#pragma once

#include <napi.h>

namespace weightcast::binding {

/// The functions of the module, `NativeModule` in `src/native.ts`; one file a topic. Each adds its own to `exports`.
void define_memory_functions(Napi::Env env, Napi::Object exports);
void define_device_functions(Napi::Env env, Napi::Object exports);
void define_topology_functions(Napi::Env env, Napi::Object exports);
void define_rdma_functions(Napi::Env env, Napi::Object exports);
void define_tcp_functions(Napi::Env env, Napi::Object exports);
void define_local_functions(Napi::Env env, Napi::Object exports);
void define_engine_functions(Napi::Env env, Napi::Object exports);
void define_transfer_functions(Napi::Env env, Napi::Object exports);

}  // namespace weightcast::binding
