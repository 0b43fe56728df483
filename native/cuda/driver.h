#pragma once

#include <memory>
#include <string>

#include "common/status.h"
#include "cuda/api.h"

namespace weightcast::cuda {

/// NVIDIA's driver library, loaded at run time, so that whatever contains this code loads on machines without it.
/// Fields are named as the functions without `cu`. Those of the second group are null with drivers that are too old for
/// them.
///
/// Immutable once loaded; thread-safe. Never unloaded.
struct Driver {
  std::string path;  ///< of the file that was loaded
  int version = 0;   ///< 12080 stands for 12.8

  InitFn init = nullptr;
  DriverGetVersionFn driver_get_version = nullptr;
  GetErrorNameFn get_error_name = nullptr;
  GetErrorStringFn get_error_string = nullptr;
  DeviceGetCountFn device_get_count = nullptr;
  DeviceGetFn device_get = nullptr;
  DeviceGetNameFn device_get_name = nullptr;
  DeviceGetAttributeFn device_get_attribute = nullptr;
  DeviceGetPciBusIdFn device_get_pci_bus_id = nullptr;
  DeviceTotalMemFn device_total_mem = nullptr;
  DevicePrimaryCtxRetainFn device_primary_ctx_retain = nullptr;
  DevicePrimaryCtxReleaseFn device_primary_ctx_release = nullptr;
  CtxPushCurrentFn ctx_push_current = nullptr;
  CtxPopCurrentFn ctx_pop_current = nullptr;
  CtxGetFlagsFn ctx_get_flags = nullptr;
  MemAllocFn mem_alloc = nullptr;
  MemFreeFn mem_free = nullptr;
  MemGetAddressRangeFn mem_get_address_range = nullptr;
  MemHostRegisterFn mem_host_register = nullptr;
  MemHostUnregisterFn mem_host_unregister = nullptr;
  PointerGetAttributeFn pointer_get_attribute = nullptr;
  PointerSetAttributeFn pointer_set_attribute = nullptr;
  MemcpyHtoDAsyncFn memcpy_htod_async = nullptr;
  MemcpyDtoHAsyncFn memcpy_dtoh_async = nullptr;
  StreamCreateFn stream_create = nullptr;
  StreamDestroyFn stream_destroy = nullptr;
  StreamSynchronizeFn stream_synchronize = nullptr;
  EventCreateFn event_create = nullptr;
  EventDestroyFn event_destroy = nullptr;
  EventRecordFn event_record = nullptr;
  EventQueryFn event_query = nullptr;
  EventSynchronizeFn event_synchronize = nullptr;
  IpcGetMemHandleFn ipc_get_mem_handle = nullptr;
  IpcOpenMemHandleFn ipc_open_mem_handle = nullptr;
  IpcCloseMemHandleFn ipc_close_mem_handle = nullptr;

  MemGetHandleForAddressRangeFn mem_get_handle_for_address_range = nullptr;  ///< 11.7
  FlushGpuDirectRdmaWritesFn flush_gpu_direct_rdma_writes = nullptr;         ///< 11.3
  CtxSetFlagsFn ctx_set_flags = nullptr;                                     ///< 12.1
  MemGetAllocationGranularityFn mem_get_allocation_granularity = nullptr;    ///< 10.2, as those that follow
  MemCreateFn mem_create = nullptr;
  MemReleaseFn mem_release = nullptr;
  MemExportToShareableHandleFn mem_export_to_shareable_handle = nullptr;
  MemImportFromShareableHandleFn mem_import_from_shareable_handle = nullptr;
  MemAddressReserveFn mem_address_reserve = nullptr;
  MemAddressFreeFn mem_address_free = nullptr;
  MemMapFn mem_map = nullptr;
  MemUnmapFn mem_unmap = nullptr;
  MemSetAccessFn mem_set_access = nullptr;
  MemRetainAllocationHandleFn mem_retain_allocation_handle = nullptr;  ///< 11.0

  /// "CUDA_ERROR_INVALID_VALUE, invalid argument".
  [[nodiscard]] std::string words(Code code) const;
  /// kOutOfMemory, kDeviceUnavailable (no device, driver shut down) or kDevice: "`doing` (`call`: the driver's words)".
  [[nodiscard]] Status failed(Code code, const char* call, std::string doing) const;
};

using DriverPtr = std::shared_ptr<const Driver>;

/// The process's driver: the file that WEIGHTCAST_CUDA_LIB names, else libcuda.so.1. Loaded and initialised at the
/// first success and then kept; a failure (kDeviceUnavailable) is tried anew at the next call. Any thread.
Result<DriverPtr> load_driver();

/// Loads one file (a path, or a name for the dynamic linker to find) and initialises it, uncached.
Result<DriverPtr> load_driver_file(const std::string& file);

}  // namespace weightcast::cuda
