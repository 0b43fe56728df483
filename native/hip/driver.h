#pragma once

#include <memory>
#include <string>

#include "common/status.h"
#include "hip/api.h"

namespace weightcast::hip {

/// AMD's runtime libraries, loaded at run time, as native/cuda/driver.h. Fields are named as the functions without
/// `hip`.
struct Driver {
  std::string path;  ///< of the HIP runtime that was loaded
  int version = 0;   ///< 60241133 stands for 6.2

  InitFn init = nullptr;
  RuntimeGetVersionFn runtime_get_version = nullptr;
  GetErrorNameFn get_error_name = nullptr;
  GetErrorStringFn get_error_string = nullptr;
  GetDeviceCountFn get_device_count = nullptr;
  GetDeviceFn get_device = nullptr;
  SetDeviceFn set_device = nullptr;
  DeviceGetNameFn device_get_name = nullptr;
  DeviceTotalMemFn device_total_mem = nullptr;
  DeviceGetPciBusIdFn device_get_pci_bus_id = nullptr;
  DeviceGetAttributeFn device_get_attribute = nullptr;
  MallocFn malloc = nullptr;
  FreeFn free = nullptr;
  MemGetAddressRangeFn mem_get_address_range = nullptr;
  PointerGetAttributeFn pointer_get_attribute = nullptr;
  PointerSetAttributeFn pointer_set_attribute = nullptr;
  HostRegisterFn host_register = nullptr;
  HostUnregisterFn host_unregister = nullptr;
  MemcpyAsyncFn memcpy_async = nullptr;
  StreamCreateFn stream_create = nullptr;
  StreamDestroyFn stream_destroy = nullptr;
  StreamSynchronizeFn stream_synchronize = nullptr;
  EventCreateFn event_create = nullptr;
  EventDestroyFn event_destroy = nullptr;
  EventRecordFn event_record = nullptr;
  EventQueryFn event_query = nullptr;
  EventSynchronizeFn event_synchronize = nullptr;

  HsaExportDmabufFn export_dmabuf = nullptr;  ///< of the HSA runtime; null without it, or before ROCm 5.3
  std::string dmabuf_reason;                  ///< why dma-bufs cannot be used here; empty: they can

  /// "hipErrorInvalidValue 1, invalid argument".
  [[nodiscard]] std::string words(Code code) const;
  /// kOutOfMemory, kDeviceUnavailable (no device) or kDevice: "`doing` (`call`: the runtime's words)".
  [[nodiscard]] Status failed(Code code, const char* call, std::string doing) const;
};

using DriverPtr = std::shared_ptr<const Driver>;

/// The process's: the files that WEIGHTCAST_HIP_LIB and WEIGHTCAST_HSA_LIB name, else libamdhip64.so.7, .6, .so and
/// libhsa-runtime64.so.1. Loaded at the first success and then kept; a failure (kDeviceUnavailable) is tried anew. Any
/// thread.
Result<DriverPtr> load_driver();

/// Loads these two files, uncached.
Result<DriverPtr> load_driver_files(const std::string& hip, const std::string& hsa);

}  // namespace weightcast::hip
