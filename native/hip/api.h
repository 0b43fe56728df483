#pragma once

#include <cstddef>
#include <cstdint>

/// What Weightcast uses of AMD's HIP runtime (ROCm 6 and later) and of its HSA runtime, declared anew, so that building
/// needs no header of either. Names are those of hip_runtime_api.h without `hip`; numbers and layouts are its ABI.
namespace weightcast::hip {

/// hipError_t. Any other value of it may come, too.
enum class Code : int {
  kSuccess = 0,
  kInvalidValue = 1,
  kOutOfMemory = 2,
  kNotInitialized = 3,
  kNoDevice = 100,
  kInvalidDevice = 101,
  kNotFound = 500,
  kNotReady = 600,
  kHostMemoryAlreadyRegistered = 712,
  kHostMemoryNotRegistered = 713,
  kNotSupported = 801,
};

using Stream = struct HipStreamTag*;
using Event = struct HipEventTag*;

/// hipPointer_attribute: the numbers are CUDA's.
enum class PointerAttribute : int {
  kMemoryType = 2,     // MemoryType
  kSyncMemops = 6,     // int
  kBufferId = 7,       // unsigned long long
  kIsManaged = 8,      // bool
  kDeviceOrdinal = 9,  // int
};

/// hipMemoryType, as of ROCm 6: before, it counted otherwise.
enum class MemoryType : int { kUnregistered = 0, kHost = 1, kDevice = 2, kManaged = 3, kArray = 10, kUnified = 11 };

/// hipDeviceAttribute_t
enum class DeviceAttribute : int {
  kHdpMemoryFlushControl = 10005,  // unsigned*, of a register that the process may write: eight bytes
};

/// hipMemcpyKind
enum class CopyKind : int { kHostToDevice = 1, kDeviceToHost = 2 };

/// hipRuntimeGetVersion of ROCm 6.0.
inline constexpr int kOldestVersion = 60000000;

inline constexpr unsigned kStreamNonBlocking = 1;
inline constexpr unsigned kEventBlockingSync = 1;
inline constexpr unsigned kEventDisableTiming = 2;
inline constexpr unsigned kHostRegisterPortable = 1;

using InitFn = Code (*)(unsigned flags);
using RuntimeGetVersionFn = Code (*)(int* version);
using GetErrorNameFn = const char* (*)(Code code);
using GetErrorStringFn = const char* (*)(Code code);
using GetDeviceCountFn = Code (*)(int* count);
using GetDeviceFn = Code (*)(int* device);
using SetDeviceFn = Code (*)(int device);
using DeviceGetNameFn = Code (*)(char* name, int length, int device);
using DeviceTotalMemFn = Code (*)(std::size_t* bytes, int device);
using DeviceGetPciBusIdFn = Code (*)(char* id, int length, int device);
using DeviceGetAttributeFn = Code (*)(int* value, DeviceAttribute attribute, int device);
using MallocFn = Code (*)(void** pointer, std::size_t bytes);
using FreeFn = Code (*)(void* pointer);
using MemGetAddressRangeFn = Code (*)(void** base, std::size_t* bytes, void* pointer);
using PointerGetAttributeFn = Code (*)(void* value, PointerAttribute attribute, void* pointer);
using PointerSetAttributeFn = Code (*)(const void* value, PointerAttribute attribute, void* pointer);
using HostRegisterFn = Code (*)(void* host, std::size_t bytes, unsigned flags);
using HostUnregisterFn = Code (*)(void* host);
using MemcpyAsyncFn = Code (*)(void* to, const void* from, std::size_t bytes, CopyKind kind, Stream stream);
using StreamCreateFn = Code (*)(Stream* stream, unsigned flags);
using StreamDestroyFn = Code (*)(Stream stream);
using StreamSynchronizeFn = Code (*)(Stream stream);
using EventCreateFn = Code (*)(Event* event, unsigned flags);
using EventDestroyFn = Code (*)(Event event);
using EventRecordFn = Code (*)(Event event, Stream stream);
using EventQueryFn = Code (*)(Event event);
using EventSynchronizeFn = Code (*)(Event event);

/// hsa_status_t: 0 is success.
using HsaInitFn = int (*)();
using HsaExportDmabufFn = int (*)(const void* pointer, std::size_t bytes, int* descriptor, std::uint64_t* offset);

}  // namespace weightcast::hip
