// A test double of AMD's HIP and HSA runtimes, in one library: what hip/api.h declares, on top of the stand-in for
// NVIDIA's driver, whose memory, streams, modes and ledger it uses. Refusals name the functions of this file.
#include <cstdint>
#include <cstring>
#include <string>

#include "../cuda/ledger.h"
#include "../cuda/standin.h"
#include "cuda/api.h"
#include "hip/api.h"

namespace cuda = weightcast::cuda;
namespace hip = weightcast::hip;
using hip::Code;

extern "C" {
cuda::Code cuInit(unsigned flags);
cuda::Code cuDeviceGetCount(int* count);
cuda::Code cuDeviceGetName(char* name, int length, cuda::DeviceNumber device);
cuda::Code cuDeviceTotalMem_v2(std::size_t* bytes, cuda::DeviceNumber device);
cuda::Code cuDeviceGetPCIBusId(char* id, int length, cuda::DeviceNumber device);
cuda::Code cuDevicePrimaryCtxRetain(cuda::Context* context, cuda::DeviceNumber device);
cuda::Code cuDevicePrimaryCtxRelease_v2(cuda::DeviceNumber device);
cuda::Code cuCtxPushCurrent_v2(cuda::Context context);
cuda::Code cuCtxPopCurrent_v2(cuda::Context* context);
cuda::Code cuMemAlloc_v2(cuda::DevicePointer* pointer, std::size_t bytes);
cuda::Code cuMemFree_v2(cuda::DevicePointer pointer);
cuda::Code cuMemGetAddressRange_v2(cuda::DevicePointer* base, std::size_t* bytes, cuda::DevicePointer pointer);
cuda::Code cuMemGetHandleForAddressRange(void* handle, cuda::DevicePointer pointer, std::size_t bytes,
                                         cuda::RangeHandleType type, std::uint64_t flags);
cuda::Code cuMemHostRegister_v2(void* host, std::size_t bytes, unsigned flags);
cuda::Code cuMemHostUnregister(void* host);
cuda::Code cuPointerGetAttribute(void* value, cuda::PointerAttribute attribute, cuda::DevicePointer pointer);
cuda::Code cuPointerSetAttribute(const void* value, cuda::PointerAttribute attribute, cuda::DevicePointer pointer);
cuda::Code cuMemcpyHtoDAsync_v2(cuda::DevicePointer to, const void* from, std::size_t bytes, cuda::Stream stream);
cuda::Code cuMemcpyDtoHAsync_v2(void* to, cuda::DevicePointer from, std::size_t bytes, cuda::Stream stream);
cuda::Code cuStreamCreate(cuda::Stream* stream, unsigned flags);
cuda::Code cuStreamDestroy_v2(cuda::Stream stream);
cuda::Code cuStreamSynchronize(cuda::Stream stream);
cuda::Code cuEventCreate(cuda::Event* event, unsigned flags);
cuda::Code cuEventDestroy_v2(cuda::Event event);
cuda::Code cuEventRecord(cuda::Event event, cuda::Stream stream);
cuda::Code cuEventQuery(cuda::Event event);
cuda::Code cuEventSynchronize(cuda::Event event);
}

namespace {

thread_local int current = 0;

constexpr int kMostDevices = 8;
volatile unsigned flush_control[kMostDevices];

Code same(cuda::Code code) { return static_cast<Code>(code); }
cuda::DevicePointer device_pointer(const void* pointer) { return reinterpret_cast<cuda::DevicePointer>(pointer); }

/// What to return instead of working, if anything; counted.
bool refused(const char* function, Code& code) {
  const std::lock_guard lock(standin::Ledger::get().mutex);
  const auto told = standin::Ledger::get().enter(function);
  if (told.has_value()) code = same(*told);
  return told.has_value();
}

/// HIP has no contexts: the thread's current device has one for as long as a call.
template <typename Call>
Code on_device(const char* function, Call call) {
  Code code{};
  if (refused(function, code)) return code;
  cuda::Context context = nullptr;
  if (const cuda::Code failed = cuDevicePrimaryCtxRetain(&context, current); failed != cuda::Code::kSuccess)
    return same(failed);
  (void)cuCtxPushCurrent_v2(context);
  code = same(call());
  (void)cuCtxPopCurrent_v2(&context);
  (void)cuDevicePrimaryCtxRelease_v2(current);
  return code;
}

template <typename Call>
Code plain(const char* function, Call call) {
  Code code{};
  return refused(function, code) ? code : same(call());
}

}  // namespace

extern "C" {

Code hipInit(unsigned flags) { return same(cuInit(flags)); }
Code hipRuntimeGetVersion(int* version) {
  return plain("hipRuntimeGetVersion", [=] {
    *version = 60241133;
    return cuda::Code::kSuccess;
  });
}
const char* hipGetErrorName(Code code) { return code == Code::kSuccess ? "hipSuccess" : "hipErrorOfTheStandin"; }
const char* hipGetErrorString(Code code) {
  return code == Code::kSuccess ? "no error" : "an error of the stand-in runtime";
}
Code hipGetDeviceCount(int* count) {
  return plain("hipGetDeviceCount", [=] { return cuDeviceGetCount(count); });
}
Code hipGetDevice(int* device) {
  return plain("hipGetDevice", [=] {
    *device = current;
    return cuda::Code::kSuccess;
  });
}
Code hipSetDevice(int device) {
  return plain("hipSetDevice", [=] {
    int count = 0;
    (void)cuDeviceGetCount(&count);
    if (device < 0 || device >= count) return cuda::Code::kInvalidDevice;
    current = device;
    return cuda::Code::kSuccess;
  });
}
Code hipDeviceGetName(char* name, int length, int device) {
  return plain("hipDeviceGetName", [=] { return cuDeviceGetName(name, length, device); });
}
Code hipDeviceTotalMem(std::size_t* bytes, int device) {
  return plain("hipDeviceTotalMem", [=] { return cuDeviceTotalMem_v2(bytes, device); });
}
Code hipDeviceGetPCIBusId(char* id, int length, int device) {
  return plain("hipDeviceGetPCIBusId", [=] { return cuDeviceGetPCIBusId(id, length, device); });
}
/// The register's address is written with eight bytes, as the runtime does.
Code hipDeviceGetAttribute(int* value, hip::DeviceAttribute attribute, int device) {
  return plain("hipDeviceGetAttribute", [=] {
    if (attribute != hip::DeviceAttribute::kHdpMemoryFlushControl || device < 0 || device >= kMostDevices)
      return cuda::Code::kInvalidValue;
    volatile unsigned* control = &flush_control[device];
    std::memcpy(value, &control, sizeof control);
    return cuda::Code::kSuccess;
  });
}
/// What was last written to a device's register.
unsigned standin_flush_control(int device) { return flush_control[device]; }

Code hipMemGetAddressRange(void** base, std::size_t* bytes, void* pointer) {
  return on_device("hipMemGetAddressRange", [=] {
    // Of the current device's memory only.
    int owner = -1;
    if (cuPointerGetAttribute(&owner, cuda::PointerAttribute::kDeviceOrdinal, device_pointer(pointer)) !=
            cuda::Code::kSuccess ||
        owner != current) {
      return cuda::Code::kNotFound;
    }
    return cuMemGetAddressRange_v2(reinterpret_cast<cuda::DevicePointer*>(base), bytes, device_pointer(pointer));
  });
}
Code hipMalloc(void** pointer, std::size_t bytes) {
  return on_device("hipMalloc", [=] { return cuMemAlloc_v2(reinterpret_cast<cuda::DevicePointer*>(pointer), bytes); });
}
Code hipFree(void* pointer) {
  return on_device("hipFree", [=] { return cuMemFree_v2(device_pointer(pointer)); });
}
Code hipPointerGetAttribute(void* value, hip::PointerAttribute attribute, void* pointer) {
  return on_device("hipPointerGetAttribute", [=] {
    const cuda::DevicePointer address = device_pointer(pointer);
    constexpr int kManaged = 3;
    switch (attribute) {
      case hip::PointerAttribute::kMemoryType:
        if (standin_kind_of(address) == 0) return cuda::Code::kInvalidValue;
        *static_cast<hip::MemoryType*>(value) =
            standin_kind_of(address) == kManaged ? hip::MemoryType::kManaged : hip::MemoryType::kDevice;
        return cuda::Code::kSuccess;
      default:
        return cuPointerGetAttribute(value, static_cast<cuda::PointerAttribute>(attribute), address);
    }
  });
}
Code hipPointerSetAttribute(const void* value, hip::PointerAttribute attribute, void* pointer) {
  return on_device("hipPointerSetAttribute", [=] {
    return cuPointerSetAttribute(value, static_cast<cuda::PointerAttribute>(attribute), device_pointer(pointer));
  });
}
Code hipHostRegister(void* host, std::size_t bytes, unsigned flags) {
  return on_device("hipHostRegister", [=] { return cuMemHostRegister_v2(host, bytes, flags); });
}
Code hipHostUnregister(void* host) {
  return on_device("hipHostUnregister", [=] { return cuMemHostUnregister(host); });
}
Code hipMemcpyAsync(void* to, const void* from, std::size_t bytes, hip::CopyKind kind, hip::Stream stream) {
  return on_device("hipMemcpyAsync", [=] {
    const auto own = reinterpret_cast<cuda::Stream>(stream);
    return kind == hip::CopyKind::kHostToDevice ? cuMemcpyHtoDAsync_v2(device_pointer(to), from, bytes, own)
                                                : cuMemcpyDtoHAsync_v2(to, device_pointer(from), bytes, own);
  });
}

Code hipStreamCreateWithFlags(hip::Stream* stream, unsigned flags) {
  return on_device("hipStreamCreateWithFlags",
                   [=] { return cuStreamCreate(reinterpret_cast<cuda::Stream*>(stream), flags); });
}
Code hipStreamDestroy(hip::Stream stream) {
  return on_device("hipStreamDestroy", [=] { return cuStreamDestroy_v2(reinterpret_cast<cuda::Stream>(stream)); });
}
Code hipStreamSynchronize(hip::Stream stream) {
  return on_device("hipStreamSynchronize", [=] { return cuStreamSynchronize(reinterpret_cast<cuda::Stream>(stream)); });
}
Code hipEventCreateWithFlags(hip::Event* event, unsigned flags) {
  return on_device("hipEventCreateWithFlags",
                   [=] { return cuEventCreate(reinterpret_cast<cuda::Event*>(event), flags); });
}
Code hipEventDestroy(hip::Event event) {
  return on_device("hipEventDestroy", [=] { return cuEventDestroy_v2(reinterpret_cast<cuda::Event>(event)); });
}
Code hipEventRecord(hip::Event event, hip::Stream stream) {
  return on_device("hipEventRecord", [=] {
    return cuEventRecord(reinterpret_cast<cuda::Event>(event), reinterpret_cast<cuda::Stream>(stream));
  });
}
Code hipEventQuery(hip::Event event) {
  return on_device("hipEventQuery", [=] { return cuEventQuery(reinterpret_cast<cuda::Event>(event)); });
}
Code hipEventSynchronize(hip::Event event) {
  return on_device("hipEventSynchronize", [=] { return cuEventSynchronize(reinterpret_cast<cuda::Event>(event)); });
}

int hsa_init() { return 0; }

/// Of the pages that the range lies in; it says where the range begins in them.
int hsa_amd_portable_export_dmabuf(const void* pointer, std::size_t bytes, int* descriptor, std::uint64_t* offset) {
  constexpr std::uint64_t kPage = 4096;
  constexpr int kInvalidArgument = 0x1001;  // HSA_STATUS_ERROR_INVALID_ARGUMENT
  const cuda::DevicePointer address = device_pointer(pointer);
  const cuda::DevicePointer first = address & ~(kPage - 1);
  const Code code = on_device("hsa_amd_portable_export_dmabuf", [=] {
    return cuMemGetHandleForAddressRange(descriptor, first, (address - first + bytes + kPage - 1) & ~(kPage - 1),
                                         cuda::RangeHandleType::kDmabufDescriptor, 0);
  });
  *offset = address - first;
  return code == Code::kSuccess ? 0 : kInvalidArgument;
}
}
