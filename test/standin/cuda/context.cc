// The library itself, devices, primary contexts.
#include "context.h"

#include <array>
#include <cstdio>
#include <cstring>
#include <vector>

#include "ledger.h"
#include "registration.h"

namespace cuda = weightcast::cuda;
using cuda::Code;
using cuda::Context;
using cuda::DeviceNumber;
using standin::Ledger;

namespace weightcast::cuda {
/// A primary context.
struct ContextTag {
  int device = 0;
  int retained = 0;
  unsigned flags = 0;
};
}  // namespace weightcast::cuda

namespace {

constexpr int kMostDevices = 8;
std::array<cuda::ContextTag, kMostDevices> contexts;
thread_local std::vector<Context> stack;

bool is_device(DeviceNumber device) {
  return device >= 0 && device < Ledger::get().mode("devices") && device < kMostDevices;
}

const char* name_of(Code code) {
  switch (code) {
    case Code::kSuccess:
      return "CUDA_SUCCESS";
    case Code::kInvalidValue:
      return "CUDA_ERROR_INVALID_VALUE";
    case Code::kOutOfMemory:
      return "CUDA_ERROR_OUT_OF_MEMORY";
    case Code::kNotInitialized:
      return "CUDA_ERROR_NOT_INITIALIZED";
    case Code::kNoDevice:
      return "CUDA_ERROR_NO_DEVICE";
    case Code::kInvalidDevice:
      return "CUDA_ERROR_INVALID_DEVICE";
    case Code::kInvalidContext:
      return "CUDA_ERROR_INVALID_CONTEXT";
    case Code::kNotReady:
      return "CUDA_ERROR_NOT_READY";
    case Code::kIllegalAddress:
      return "CUDA_ERROR_ILLEGAL_ADDRESS";
    case Code::kNotSupported:
      return "CUDA_ERROR_NOT_SUPPORTED";
    case Code::kUnknown:
      return "CUDA_ERROR_UNKNOWN";
    default:
      return "CUDA_ERROR_OF_THE_STANDIN";
  }
}

}  // namespace

int standin::current_device() { return stack.empty() || stack.back()->retained == 0 ? -1 : stack.back()->device; }

bool standin::copies_wait(int device) {
  return (contexts[static_cast<std::size_t>(device)].flags & cuda::kContextSyncMemops) != 0;
}

extern "C" {

Code cuInit(unsigned flags) {
  STANDIN_ENTER("cuInit");
  if (flags != 0) return Ledger::get().fault(Code::kInvalidValue, "cuInit with flags");
  if (Ledger::get().mode("devices") == 0) return Code::kNoDevice;
  Ledger::get().initialised = true;
  return Code::kSuccess;
}

Code cuDriverGetVersion(int* version) {
  STANDIN_ENTER("cuDriverGetVersion");
  *version = Ledger::get().mode("version");
  return Code::kSuccess;
}

Code cuGetErrorName(Code code, const char** text) {
  *text = name_of(code);
  return Code::kSuccess;
}

Code cuGetErrorString(Code code, const char** text) {
  *text = code == Code::kSuccess ? "no error" : "an error of the stand-in driver";
  return Code::kSuccess;
}

Code cuDeviceGetCount(int* count) {
  STANDIN_ENTER("cuDeviceGetCount");
  *count = Ledger::get().mode("devices");
  return Code::kSuccess;
}

Code cuDeviceGet(DeviceNumber* device, int ordinal) {
  STANDIN_ENTER("cuDeviceGet");
  if (!is_device(ordinal)) return Code::kInvalidDevice;
  *device = ordinal;
  return Code::kSuccess;
}

Code cuDeviceGetName(char* name, int length, DeviceNumber device) {
  STANDIN_ENTER("cuDeviceGetName");
  if (!is_device(device)) return Code::kInvalidDevice;
  (void)std::snprintf(name, static_cast<std::size_t>(length), "stand-in for a GPU, number %d", device);
  return Code::kSuccess;
}

Code cuDeviceGetAttribute(int* value, cuda::DeviceAttribute attribute, DeviceNumber device) {
  STANDIN_ENTER("cuDeviceGetAttribute");
  if (!is_device(device)) return Code::kInvalidDevice;
  using Attribute = cuda::DeviceAttribute;
  switch (attribute) {
    case Attribute::kDmaBufSupported:
      *value = Ledger::get().mode("dmabuf");
      return Code::kSuccess;
    case Attribute::kGpuDirectRdmaWritesOrdering:
      *value = Ledger::get().mode("ordering");
      return Code::kSuccess;
    case Attribute::kGpuDirectRdmaFlushWritesOptions:
      *value = Ledger::get().mode("flush");
      return Code::kSuccess;
    case Attribute::kVirtualMemoryManagementSupported:
    case Attribute::kHandleTypePosixFileDescriptorSupported:
    case Attribute::kGpuDirectRdmaSupported:
    case Attribute::kGpuDirectRdmaWithCudaVmmSupported:
      *value = 1;
      return Code::kSuccess;
    default:
      return Code::kInvalidValue;
  }
}

Code cuDeviceGetPCIBusId(char* id, int length, DeviceNumber device) {
  STANDIN_ENTER("cuDeviceGetPCIBusId");
  if (!is_device(device)) return Code::kInvalidDevice;
  (void)std::snprintf(id, static_cast<std::size_t>(length), "0000:%02X:00.0", 0xa0 + device);
  return Code::kSuccess;
}

Code cuDeviceTotalMem_v2(std::size_t* bytes, DeviceNumber device) {
  STANDIN_ENTER("cuDeviceTotalMem");
  if (!is_device(device)) return Code::kInvalidDevice;
  *bytes = std::size_t{16} << 30U;
  return Code::kSuccess;
}

Code cuDevicePrimaryCtxRetain(Context* context, DeviceNumber device) {
  STANDIN_ENTER("cuDevicePrimaryCtxRetain");
  if (!is_device(device)) return Code::kInvalidDevice;
  Context own = &contexts[static_cast<std::size_t>(device)];
  own->device = device;
  if (own->retained++ == 0) own->flags = 0;
  ++Ledger::get().alive["contexts"];
  *context = own;
  return Code::kSuccess;
}

Code cuDevicePrimaryCtxRelease_v2(DeviceNumber device) {
  STANDIN_ENTER("cuDevicePrimaryCtxRelease");
  if (!is_device(device)) return Code::kInvalidDevice;
  if (contexts[static_cast<std::size_t>(device)].retained == 0)
    return Ledger::get().fault(Code::kInvalidContext, "a context was released more often than retained");
  --contexts[static_cast<std::size_t>(device)].retained;
  --Ledger::get().alive["contexts"];
  return Code::kSuccess;
}

Code cuCtxPushCurrent_v2(Context context) {
  STANDIN_ENTER("cuCtxPushCurrent");
  if (context == nullptr || context->retained == 0)
    return Ledger::get().fault(Code::kInvalidContext, "a context was pushed that nobody retains");
  stack.push_back(context);
  return Code::kSuccess;
}

Code cuCtxPopCurrent_v2(Context* context) {
  STANDIN_ENTER("cuCtxPopCurrent");
  if (stack.empty()) return Ledger::get().fault(Code::kInvalidContext, "a context was popped that was not pushed");
  if (context != nullptr) *context = stack.back();
  stack.pop_back();
  return Code::kSuccess;
}

Code cuCtxGetFlags(unsigned* flags) {
  STANDIN_ENTER("cuCtxGetFlags");
  STANDIN_NEED_CONTEXT(device);
  *flags = contexts[static_cast<std::size_t>(device)].flags;
  return Code::kSuccess;
}

Code cuCtxSetFlags(unsigned flags) {
  STANDIN_ENTER("cuCtxSetFlags");
  STANDIN_NEED_CONTEXT(device);
  contexts[static_cast<std::size_t>(device)].flags = flags;
  return Code::kSuccess;
}

Code cuFlushGPUDirectRDMAWrites(cuda::FlushTarget target, cuda::FlushScope scope) {
  STANDIN_ENTER("cuFlushGPUDirectRDMAWrites");
  STANDIN_NEED_CONTEXT(device);
  if (target != cuda::FlushTarget::kCurrentContext) return Code::kInvalidValue;
  if (scope != cuda::FlushScope::kToOwner && scope != cuda::FlushScope::kToAllDevices) return Code::kInvalidValue;
  if (Ledger::get().mode("flush") == 0)
    return Ledger::get().fault(Code::kNotSupported, "a flush that the device has not");
  standin::note_flush(device);
  return Code::kSuccess;
}
}
