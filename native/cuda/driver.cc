#include "cuda/driver.h"

#include <dlfcn.h>

#include <cstdlib>
#include <mutex>
#include <utility>

#include "common/loaded_path.h"

namespace weightcast::cuda {
namespace {

/// CUDA versions since which functions have the signatures in api.h: cuGetProcAddress hands out older ones for less.
constexpr int kAlways = 2000;

Status unavailable(const std::string& reason) {
  return Status::error(weightcast::Code::kDeviceUnavailable, "CUDA is not available: " + reason);
}

/// Finds functions: by cuGetProcAddress, which knows versions; with drivers before 11.3, which lack it, by their
/// symbols.
class Symbols {
 public:
  explicit Symbols(void* handle)
      : handle_(handle), by_version_(reinterpret_cast<GetProcAddressFn>(dlsym(handle, "cuGetProcAddress"))) {}

  /// `symbol`: of the library, where that differs from the name.
  template <typename Function>
  void find(Function& function, const char* name, int version, const char* symbol = nullptr) {
    void* found = nullptr;
    if (by_version_ != nullptr) {
      if (by_version_(name, &found, version, kProcAddressDefault) != Code::kSuccess) found = nullptr;
    } else {
      found = dlsym(handle_, symbol != nullptr ? symbol : name);
    }
    function = reinterpret_cast<Function>(found);
  }

  template <typename Function>
  void need(Function& function, const char* name, int version, const char* symbol = nullptr) {
    find(function, name, version, symbol);
    if (function == nullptr && missing_ == nullptr) missing_ = name;
  }

  [[nodiscard]] const char* missing() const { return missing_; }

 private:
  void* handle_;
  GetProcAddressFn by_version_;
  const char* missing_ = nullptr;
};

void find_needed(Symbols& symbols, Driver& driver) {
  symbols.need(driver.init, "cuInit", kAlways);
  symbols.need(driver.driver_get_version, "cuDriverGetVersion", 2020);
  symbols.need(driver.get_error_name, "cuGetErrorName", 6000);
  symbols.need(driver.get_error_string, "cuGetErrorString", 6000);
  symbols.need(driver.device_get_count, "cuDeviceGetCount", kAlways);
  symbols.need(driver.device_get, "cuDeviceGet", kAlways);
  symbols.need(driver.device_get_name, "cuDeviceGetName", kAlways);
  symbols.need(driver.device_get_attribute, "cuDeviceGetAttribute", kAlways);
  symbols.need(driver.device_get_pci_bus_id, "cuDeviceGetPCIBusId", 4010);
  symbols.need(driver.device_total_mem, "cuDeviceTotalMem", 3020, "cuDeviceTotalMem_v2");
  symbols.need(driver.device_primary_ctx_retain, "cuDevicePrimaryCtxRetain", 7000);
  symbols.need(driver.device_primary_ctx_release, "cuDevicePrimaryCtxRelease", 11000, "cuDevicePrimaryCtxRelease_v2");
  symbols.need(driver.ctx_push_current, "cuCtxPushCurrent", 4000, "cuCtxPushCurrent_v2");
  symbols.need(driver.ctx_pop_current, "cuCtxPopCurrent", 4000, "cuCtxPopCurrent_v2");
  symbols.need(driver.ctx_get_flags, "cuCtxGetFlags", 7000);
  symbols.need(driver.mem_alloc, "cuMemAlloc", 3020, "cuMemAlloc_v2");
  symbols.need(driver.mem_free, "cuMemFree", 3020, "cuMemFree_v2");
  symbols.need(driver.mem_get_address_range, "cuMemGetAddressRange", 3020, "cuMemGetAddressRange_v2");
  symbols.need(driver.mem_host_register, "cuMemHostRegister", 6050, "cuMemHostRegister_v2");
  symbols.need(driver.mem_host_unregister, "cuMemHostUnregister", 4000);
  symbols.need(driver.pointer_get_attribute, "cuPointerGetAttribute", 4000);
  symbols.need(driver.pointer_set_attribute, "cuPointerSetAttribute", 6000);
  symbols.need(driver.memcpy_htod_async, "cuMemcpyHtoDAsync", 3020, "cuMemcpyHtoDAsync_v2");
  symbols.need(driver.memcpy_dtoh_async, "cuMemcpyDtoHAsync", 3020, "cuMemcpyDtoHAsync_v2");
  symbols.need(driver.stream_create, "cuStreamCreate", kAlways);
  symbols.need(driver.stream_destroy, "cuStreamDestroy", 4000, "cuStreamDestroy_v2");
  symbols.need(driver.stream_synchronize, "cuStreamSynchronize", kAlways);
  symbols.need(driver.event_create, "cuEventCreate", kAlways);
  symbols.need(driver.event_destroy, "cuEventDestroy", 4000, "cuEventDestroy_v2");
  symbols.need(driver.event_record, "cuEventRecord", kAlways);
  symbols.need(driver.event_query, "cuEventQuery", kAlways);
  symbols.need(driver.event_synchronize, "cuEventSynchronize", kAlways);
  symbols.need(driver.ipc_get_mem_handle, "cuIpcGetMemHandle", 4010);
  symbols.need(driver.ipc_open_mem_handle, "cuIpcOpenMemHandle", 11000, "cuIpcOpenMemHandle_v2");
  symbols.need(driver.ipc_close_mem_handle, "cuIpcCloseMemHandle", 4010);
}

void find_optional(Symbols& symbols, Driver& driver) {
  symbols.find(driver.mem_get_handle_for_address_range, "cuMemGetHandleForAddressRange", 11070);
  symbols.find(driver.flush_gpu_direct_rdma_writes, "cuFlushGPUDirectRDMAWrites", 11030);
  symbols.find(driver.ctx_set_flags, "cuCtxSetFlags", 12010);
  symbols.find(driver.mem_get_allocation_granularity, "cuMemGetAllocationGranularity", 10020);
  symbols.find(driver.mem_create, "cuMemCreate", 10020);
  symbols.find(driver.mem_release, "cuMemRelease", 10020);
  symbols.find(driver.mem_export_to_shareable_handle, "cuMemExportToShareableHandle", 10020);
  symbols.find(driver.mem_import_from_shareable_handle, "cuMemImportFromShareableHandle", 10020);
  symbols.find(driver.mem_address_reserve, "cuMemAddressReserve", 10020);
  symbols.find(driver.mem_address_free, "cuMemAddressFree", 10020);
  symbols.find(driver.mem_map, "cuMemMap", 10020);
  symbols.find(driver.mem_unmap, "cuMemUnmap", 10020);
  symbols.find(driver.mem_set_access, "cuMemSetAccess", 10020);
  symbols.find(driver.mem_retain_allocation_handle, "cuMemRetainAllocationHandle", 11000);
}

}  // namespace

std::string Driver::words(Code code) const {
  const char* name = nullptr;
  const char* text = nullptr;
  if (get_error_name(code, &name) != Code::kSuccess || name == nullptr) name = "CUDA error";
  if (get_error_string(code, &text) != Code::kSuccess || text == nullptr) text = "unknown";
  return std::string(name) + " " + std::to_string(static_cast<int>(code)) + ", " + text;
}

Status Driver::failed(Code code, const char* call, std::string doing) const {
  auto ours = weightcast::Code::kDevice;
  if (code == Code::kOutOfMemory) ours = weightcast::Code::kOutOfMemory;
  if (code == Code::kNoDevice || code == Code::kDeinitialized || code == Code::kNotInitialized)
    ours = weightcast::Code::kDeviceUnavailable;
  doing += std::string(" (") + call + ": " + words(code) + ")";
  return {.code = ours, .message = std::move(doing), .call = call};
}

Result<DriverPtr> load_driver_file(const std::string& file) {
  void* handle = dlopen(file.c_str(), RTLD_LAZY | RTLD_LOCAL);
  if (handle == nullptr) {
    const char* error = dlerror();
    return unavailable("cannot load the driver's library (" + std::string(error != nullptr ? error : file) +
                       "); install NVIDIA's driver, or name the file in WEIGHTCAST_CUDA_LIB");
  }
  auto driver = std::make_shared<Driver>();
  driver->path = loaded_path(handle, file);
  Symbols symbols(handle);
  find_needed(symbols, *driver);
  find_optional(symbols, *driver);
  if (symbols.missing() != nullptr) {
    // Not unloaded: a driver may have started threads.
    return unavailable(driver->path + " has no function " + symbols.missing() +
                       "; its driver is too old: 11.0 or later is needed");
  }
  if (const Code code = driver->init(0); code != Code::kSuccess) {
    Status status = unavailable(driver->path + " finds no GPU that it can use (cuInit: " + driver->words(code) + ")");
    status.call = "cuInit";
    return status;
  }
  if (const Code code = driver->driver_get_version(&driver->version); code != Code::kSuccess) {
    return driver->failed(code, "cuDriverGetVersion", "cannot ask " + driver->path + " for its version");
  }
  return DriverPtr(std::move(driver));
}

Result<DriverPtr> load_driver() {
  static std::mutex mutex;
  static DriverPtr loaded;
  const std::lock_guard lock(mutex);
  if (loaded != nullptr) return loaded;
  const char* named = std::getenv("WEIGHTCAST_CUDA_LIB");
  auto result = load_driver_file(named != nullptr && *named != '\0' ? named : "libcuda.so.1");
  if (result.ok()) loaded = result.value();
  return result;
}

}  // namespace weightcast::cuda
