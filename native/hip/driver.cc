#include "hip/driver.h"

#include <dlfcn.h>

#include <array>
#include <cstdlib>
#include <mutex>
#include <utility>

#include "common/loaded_path.h"
#include "hip/kernel.h"

namespace weightcast::hip {
namespace {

Status unavailable(const std::string& reason) {
  return Status::error(weightcast::Code::kDeviceUnavailable, "HIP is not available: " + reason);
}

/// The first function that the library lacks; null.
const char* find_all(void* handle, Driver& driver) {
  const char* missing = nullptr;
  const auto need = [&](auto& function, const char* name) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(handle, name));
    if (function == nullptr && missing == nullptr) missing = name;
  };
  need(driver.init, "hipInit");
  need(driver.runtime_get_version, "hipRuntimeGetVersion");
  need(driver.get_error_name, "hipGetErrorName");
  need(driver.get_error_string, "hipGetErrorString");
  need(driver.get_device_count, "hipGetDeviceCount");
  need(driver.get_device, "hipGetDevice");
  need(driver.set_device, "hipSetDevice");
  need(driver.device_get_name, "hipDeviceGetName");
  need(driver.device_total_mem, "hipDeviceTotalMem");
  need(driver.device_get_pci_bus_id, "hipDeviceGetPCIBusId");
  need(driver.device_get_attribute, "hipDeviceGetAttribute");
  need(driver.malloc, "hipMalloc");
  need(driver.free, "hipFree");
  need(driver.mem_get_address_range, "hipMemGetAddressRange");
  need(driver.pointer_get_attribute, "hipPointerGetAttribute");
  need(driver.pointer_set_attribute, "hipPointerSetAttribute");
  need(driver.host_register, "hipHostRegister");
  need(driver.host_unregister, "hipHostUnregister");
  need(driver.memcpy_async, "hipMemcpyAsync");
  need(driver.stream_create, "hipStreamCreateWithFlags");
  need(driver.stream_destroy, "hipStreamDestroy");
  need(driver.stream_synchronize, "hipStreamSynchronize");
  need(driver.event_create, "hipEventCreateWithFlags");
  need(driver.event_destroy, "hipEventDestroy");
  need(driver.event_record, "hipEventRecord");
  need(driver.event_query, "hipEventQuery");
  need(driver.event_synchronize, "hipEventSynchronize");
  return missing;
}

/// What it takes to export dma-bufs; where something lacks, the reason is kept and the rest works all the same.
void load_hsa(const std::string& file, Driver& driver) {
  void* handle = dlopen(file.c_str(), RTLD_LAZY | RTLD_LOCAL);
  if (handle == nullptr) {
    const char* error = dlerror();
    driver.dmabuf_reason = "cannot load the HSA runtime (" + std::string(error != nullptr ? error : file) + ")";
    return;
  }
  const auto init = reinterpret_cast<HsaInitFn>(dlsym(handle, "hsa_init"));
  const auto exporter = reinterpret_cast<HsaExportDmabufFn>(dlsym(handle, "hsa_amd_portable_export_dmabuf"));
  if (init == nullptr || exporter == nullptr) {
    driver.dmabuf_reason =
        "the HSA runtime " + loaded_path(handle, file) + " exports no dma-bufs: ROCm 5.3 or later is needed";
  } else if (const int status = init(); status != 0) {
    driver.dmabuf_reason = "the HSA runtime does not start (hsa_init: status " + std::to_string(status) + ")";
  } else {
    driver.export_dmabuf = exporter;
    driver.dmabuf_reason = why_kernel_cannot_share();
  }
}

}  // namespace

std::string Driver::words(Code code) const {
  const char* name = get_error_name(code);
  const char* text = get_error_string(code);
  return std::string(name != nullptr ? name : "HIP error") + " " + std::to_string(static_cast<int>(code)) + ", " +
         (text != nullptr ? text : "unknown");
}

Status Driver::failed(Code code, const char* call, std::string doing) const {
  auto ours = weightcast::Code::kDevice;
  if (code == Code::kOutOfMemory) ours = weightcast::Code::kOutOfMemory;
  if (code == Code::kNoDevice || code == Code::kNotInitialized) ours = weightcast::Code::kDeviceUnavailable;
  doing += std::string(" (") + call + ": " + words(code) + ")";
  return {.code = ours, .message = std::move(doing), .call = call};
}

Result<DriverPtr> load_driver_files(const std::string& hip, const std::string& hsa) {
  void* handle = dlopen(hip.c_str(), RTLD_LAZY | RTLD_LOCAL);
  if (handle == nullptr) {
    const char* error = dlerror();
    return unavailable("cannot load the runtime's library (" + std::string(error != nullptr ? error : hip) +
                       "); install AMD's ROCm 6 or later, or name the file in WEIGHTCAST_HIP_LIB");
  }
  auto driver = std::make_shared<Driver>();
  driver->path = loaded_path(handle, hip);
  if (const char* missing = find_all(handle, *driver); missing != nullptr) {
    return unavailable(driver->path + " has no function " + missing + "; it is too old: ROCm 6 or later is needed");
  }
  if (const Code code = driver->init(0); code != Code::kSuccess)
    return unavailable(driver->path + " finds no GPU that it can use (hipInit: " + driver->words(code) + ")");
  if (const Code code = driver->runtime_get_version(&driver->version); code != Code::kSuccess)
    return driver->failed(code, "hipRuntimeGetVersion", "cannot ask " + driver->path + " for its version");
  if (driver->version < kOldestVersion) {
    return unavailable(driver->path + " is of version " + std::to_string(driver->version) +
                       "; ROCm 6.0 or later is needed");
  }
  load_hsa(hsa, *driver);
  return DriverPtr(std::move(driver));
}

Result<DriverPtr> load_driver() {
  static std::mutex mutex;
  static DriverPtr loaded;
  const std::lock_guard lock(mutex);
  if (loaded != nullptr) return loaded;
  const auto named = [](const char* variable) -> std::string {
    const char* value = std::getenv(variable);
    return value != nullptr ? value : "";
  };
  const std::string hip = named("WEIGHTCAST_HIP_LIB");
  const std::string hsa = named("WEIGHTCAST_HSA_LIB").empty() ? "libhsa-runtime64.so.1" : named("WEIGHTCAST_HSA_LIB");
  constexpr std::array<const char*, 3> kNames{"libamdhip64.so.7", "libamdhip64.so.6", "libamdhip64.so"};
  auto result = load_driver_files(hip.empty() ? kNames.front() : hip, hsa);
  // What is there and does not work is the answer; what is not there may have another name.
  for (std::size_t next = 1; hip.empty() && !result.ok() && next < kNames.size(); ++next) {
    auto other = load_driver_files(kNames[next], hsa);
    if (other.ok() || other.status().message.find("cannot load") == std::string::npos) result = std::move(other);
  }
  if (result.ok()) loaded = result.value();
  return result;
}

}  // namespace weightcast::hip
