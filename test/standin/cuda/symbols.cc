// cuGetProcAddress: functions by name and by the CUDA version whose signature the caller knows.
#include <dlfcn.h>

#include <cstring>
#include <string>

#include "ledger.h"

namespace cuda = weightcast::cuda;
using cuda::Code;

namespace {

struct Entry {
  const char* name;
  int since;  ///< CUDA version of the signature in cuda/api.h
  const char* exported;
};

constexpr Entry kEntries[] = {
    {"cuCtxGetFlags", 7000, "cuCtxGetFlags"},
    {"cuCtxPopCurrent", 4000, "cuCtxPopCurrent_v2"},
    {"cuCtxPushCurrent", 4000, "cuCtxPushCurrent_v2"},
    {"cuCtxSetFlags", 12010, "cuCtxSetFlags"},
    {"cuDeviceGet", 2000, "cuDeviceGet"},
    {"cuDeviceGetAttribute", 2000, "cuDeviceGetAttribute"},
    {"cuDeviceGetCount", 2000, "cuDeviceGetCount"},
    {"cuDeviceGetName", 2000, "cuDeviceGetName"},
    {"cuDeviceGetPCIBusId", 4010, "cuDeviceGetPCIBusId"},
    {"cuDevicePrimaryCtxRelease", 11000, "cuDevicePrimaryCtxRelease_v2"},
    {"cuDevicePrimaryCtxRetain", 7000, "cuDevicePrimaryCtxRetain"},
    {"cuDeviceTotalMem", 3020, "cuDeviceTotalMem_v2"},
    {"cuDriverGetVersion", 2020, "cuDriverGetVersion"},
    {"cuEventCreate", 2000, "cuEventCreate"},
    {"cuEventDestroy", 4000, "cuEventDestroy_v2"},
    {"cuEventQuery", 2000, "cuEventQuery"},
    {"cuEventRecord", 2000, "cuEventRecord"},
    {"cuEventSynchronize", 2000, "cuEventSynchronize"},
    {"cuFlushGPUDirectRDMAWrites", 11030, "cuFlushGPUDirectRDMAWrites"},
    {"cuGetErrorName", 6000, "cuGetErrorName"},
    {"cuGetErrorString", 6000, "cuGetErrorString"},
    {"cuInit", 2000, "cuInit"},
    {"cuIpcCloseMemHandle", 4010, "cuIpcCloseMemHandle"},
    {"cuIpcGetMemHandle", 4010, "cuIpcGetMemHandle"},
    {"cuIpcOpenMemHandle", 11000, "cuIpcOpenMemHandle_v2"},
    {"cuMemAddressFree", 10020, "cuMemAddressFree"},
    {"cuMemAddressReserve", 10020, "cuMemAddressReserve"},
    {"cuMemAlloc", 3020, "cuMemAlloc_v2"},
    {"cuMemCreate", 10020, "cuMemCreate"},
    {"cuMemExportToShareableHandle", 10020, "cuMemExportToShareableHandle"},
    {"cuMemFree", 3020, "cuMemFree_v2"},
    {"cuMemGetAddressRange", 3020, "cuMemGetAddressRange_v2"},
    {"cuMemGetAllocationGranularity", 10020, "cuMemGetAllocationGranularity"},
    {"cuMemGetHandleForAddressRange", 11070, "cuMemGetHandleForAddressRange"},
    {"cuMemHostRegister", 6050, "cuMemHostRegister_v2"},
    {"cuMemHostUnregister", 4000, "cuMemHostUnregister"},
    {"cuMemImportFromShareableHandle", 10020, "cuMemImportFromShareableHandle"},
    {"cuMemMap", 10020, "cuMemMap"},
    {"cuMemRelease", 10020, "cuMemRelease"},
    {"cuMemRetainAllocationHandle", 11000, "cuMemRetainAllocationHandle"},
    {"cuMemSetAccess", 10020, "cuMemSetAccess"},
    {"cuMemUnmap", 10020, "cuMemUnmap"},
    {"cuMemcpyDtoHAsync", 3020, "cuMemcpyDtoHAsync_v2"},
    {"cuMemcpyHtoDAsync", 3020, "cuMemcpyHtoDAsync_v2"},
    {"cuPointerGetAttribute", 4000, "cuPointerGetAttribute"},
    {"cuPointerSetAttribute", 6000, "cuPointerSetAttribute"},
    {"cuStreamCreate", 2000, "cuStreamCreate"},
    {"cuStreamDestroy", 4000, "cuStreamDestroy_v2"},
    {"cuStreamSynchronize", 2000, "cuStreamSynchronize"},
};

void* symbol_of(const char* name) {
  Dl_info own{};
  if (dladdr(reinterpret_cast<const void*>(&symbol_of), &own) == 0) return nullptr;
  void* library = dlopen(own.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
  if (library == nullptr) return nullptr;
  void* found = dlsym(library, name);
  dlclose(library);
  return found;
}

}  // namespace

extern "C" {

Code cuGetProcAddress(const char* symbol, void** function, int version, std::uint64_t flags) {
  const std::lock_guard lock(standin::Ledger::get().mutex);
  standin::Ledger& ledger = standin::Ledger::get();
  *function = nullptr;
  if (flags != cuda::kProcAddressDefault) return ledger.fault(Code::kInvalidValue, "cuGetProcAddress with flags");
  for (const Entry& entry : kEntries) {
    if (std::strcmp(entry.name, symbol) != 0) continue;
    // The real one hands out the older function, of other types: a pointer has 32 bits in cuMemAlloc of CUDA 3.1.
    if (version < entry.since)
      return ledger.fault(Code::kNotFound, std::string(symbol) + " was asked for in an older form than api.h has");
    if (ledger.mode("version") < entry.since) return Code::kNotFound;
    *function = symbol_of(entry.exported);
    return *function == nullptr ? Code::kNotFound : Code::kSuccess;
  }
  return Code::kNotFound;
}
}
