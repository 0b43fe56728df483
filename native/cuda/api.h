#pragma once

#include <cstddef>
#include <cstdint>

/// What Weightcast uses of NVIDIA's driver API, declared anew, so that building needs no header of CUDA. Names are
/// those of cuda.h without `CU`/`cu`; numbers and layouts are its ABI (checked against the toolkit's own header where
/// there is one: test/native/cuda_api_check.cc).
namespace weightcast::cuda {

/// CUresult. Any other value of it may come, too.
enum class Code : int {
  kSuccess = 0,
  kInvalidValue = 1,
  kOutOfMemory = 2,
  kNotInitialized = 3,
  kDeinitialized = 4,
  kStubLibrary = 34,
  kNoDevice = 100,
  kInvalidDevice = 101,
  kInvalidContext = 201,
  kAlreadyMapped = 208,
  kInvalidHandle = 400,
  kIllegalState = 401,
  kNotFound = 500,
  kNotReady = 600,
  kIllegalAddress = 700,
  kPeerAccessNotEnabled = 705,
  kHostMemoryAlreadyRegistered = 712,
  kHostMemoryNotRegistered = 713,
  kNotPermitted = 800,
  kNotSupported = 801,
  kSystemDriverMismatch = 803,
  kUnknown = 999,
};

using DeviceNumber = int;             // CUdevice
using DevicePointer = std::uint64_t;  // CUdeviceptr
using Context = struct ContextTag*;
using Stream = struct CudaStreamTag*;
using Event = struct CudaEventTag*;
using AllocationHandle = std::uint64_t;  // CUmemGenericAllocationHandle

/// CUipcMemHandle
struct IpcMemHandle {
  std::byte reserved[64];
};

/// CUdevice_attribute
enum class DeviceAttribute : int {
  kPciBusId = 33,
  kPciDeviceId = 34,
  kPciDomainId = 50,
  kVirtualMemoryManagementSupported = 102,
  kHandleTypePosixFileDescriptorSupported = 103,
  kGpuDirectRdmaWithCudaVmmSupported = 110,
  kGpuDirectRdmaSupported = 116,
  kGpuDirectRdmaFlushWritesOptions = 117,
  kGpuDirectRdmaWritesOrdering = 118,
  kDmaBufSupported = 124,
};

/// CUpointer_attribute
enum class PointerAttribute : int {
  kContext = 1,
  kMemoryType = 2,     // unsigned
  kSyncMemops = 6,     // bool, in an int
  kBufferId = 7,       // unsigned long long
  kIsManaged = 8,      // unsigned, of which the first byte counts
  kDeviceOrdinal = 9,  // int
  kIsLegacyCudaIpcCapable = 10,
  kRangeStartAddress = 11,
  kRangeSize = 12,
  kAllowedHandleTypes = 14,
  kIsGpuDirectRdmaCapable = 15,
  kMappingSize = 18,
  kMappingBaseAddress = 19,
};

/// CUmemorytype
enum class MemoryType : unsigned { kHost = 1, kDevice = 2, kArray = 3, kUnified = 4 };

/// CUmemRangeHandleType
enum class RangeHandleType : int { kDmabufDescriptor = 1 };

/// CUmemAllocationHandleType
enum class ShareableHandleType : int { kNone = 0, kPosixFileDescriptor = 1 };

enum class AllocationType : int { kPinned = 1 };
enum class LocationType : int { kDevice = 1 };
enum class Granularity : int { kMinimum = 0, kRecommended = 1 };
enum class AccessFlags : int { kNone = 0, kRead = 1, kReadWrite = 3 };

/// CUmemLocation
struct Location {
  LocationType type;
  int id;
};

/// CUmemAllocationProp
struct AllocationProperties {
  AllocationType type;
  ShareableHandleType requested_handle_types;
  Location location;
  void* win32_handle_meta_data;
  struct {
    std::uint8_t compression_type;
    std::uint8_t gpu_direct_rdma_capable;
    std::uint16_t usage;
    std::uint8_t reserved[4];
  } flags;
};
static_assert(sizeof(AllocationProperties) == 32);

/// CUmemAccessDesc
struct AccessDescription {
  Location location;
  AccessFlags flags;
};
static_assert(sizeof(AccessDescription) == 12);

/// CUflushGPUDirectRDMAWritesTarget, …Scope
enum class FlushTarget : int { kCurrentContext = 0 };
enum class FlushScope : int { kToOwner = 100, kToAllDevices = 200 };
/// CUflushGPUDirectRDMAWritesOptions
inline constexpr int kFlushByHost = 1;
/// CUGPUDirectRDMAWritesOrdering
inline constexpr int kOrderedForOwner = 100;

inline constexpr unsigned kStreamNonBlocking = 1;        // CU_STREAM_NON_BLOCKING
inline constexpr unsigned kEventDisableTiming = 2;       // CU_EVENT_DISABLE_TIMING
inline constexpr unsigned kEventBlockingSync = 1;        // CU_EVENT_BLOCKING_SYNC
inline constexpr unsigned kHostRegisterPortable = 1;     // CU_MEMHOSTREGISTER_PORTABLE
inline constexpr unsigned kIpcLazyEnablePeerAccess = 1;  // CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS
inline constexpr unsigned kContextSyncMemops = 0x80;     // CU_CTX_SYNC_MEMOPS
inline constexpr std::uint64_t kProcAddressDefault = 0;  // CU_GET_PROC_ADDRESS_DEFAULT

// Function types, named as the functions without `cu`.
using GetProcAddressFn = Code (*)(const char* symbol, void** function, int version, std::uint64_t flags);
using InitFn = Code (*)(unsigned flags);
using DriverGetVersionFn = Code (*)(int* version);
using GetErrorNameFn = Code (*)(Code code, const char** text);
using GetErrorStringFn = Code (*)(Code code, const char** text);
using DeviceGetCountFn = Code (*)(int* count);
using DeviceGetFn = Code (*)(DeviceNumber* device, int ordinal);
using DeviceGetNameFn = Code (*)(char* name, int length, DeviceNumber device);
using DeviceGetAttributeFn = Code (*)(int* value, DeviceAttribute attribute, DeviceNumber device);
using DeviceGetPciBusIdFn = Code (*)(char* id, int length, DeviceNumber device);
using DeviceTotalMemFn = Code (*)(std::size_t* bytes, DeviceNumber device);
using DevicePrimaryCtxRetainFn = Code (*)(Context* context, DeviceNumber device);
using DevicePrimaryCtxReleaseFn = Code (*)(DeviceNumber device);
using CtxPushCurrentFn = Code (*)(Context context);
using CtxPopCurrentFn = Code (*)(Context* context);
using CtxGetFlagsFn = Code (*)(unsigned* flags);
using CtxSetFlagsFn = Code (*)(unsigned flags);
using MemAllocFn = Code (*)(DevicePointer* pointer, std::size_t bytes);
using MemFreeFn = Code (*)(DevicePointer pointer);
using MemGetAddressRangeFn = Code (*)(DevicePointer* base, std::size_t* bytes, DevicePointer pointer);
using MemGetHandleForAddressRangeFn = Code (*)(void* handle, DevicePointer pointer, std::size_t bytes,
                                               RangeHandleType type, std::uint64_t flags);
using MemHostRegisterFn = Code (*)(void* host, std::size_t bytes, unsigned flags);
using MemHostUnregisterFn = Code (*)(void* host);
using PointerGetAttributeFn = Code (*)(void* value, PointerAttribute attribute, DevicePointer pointer);
using PointerSetAttributeFn = Code (*)(const void* value, PointerAttribute attribute, DevicePointer pointer);
using MemcpyHtoDAsyncFn = Code (*)(DevicePointer to, const void* from, std::size_t bytes, Stream stream);
using MemcpyDtoHAsyncFn = Code (*)(void* to, DevicePointer from, std::size_t bytes, Stream stream);
using StreamCreateFn = Code (*)(Stream* stream, unsigned flags);
using StreamDestroyFn = Code (*)(Stream stream);
using StreamSynchronizeFn = Code (*)(Stream stream);
using EventCreateFn = Code (*)(Event* event, unsigned flags);
using EventDestroyFn = Code (*)(Event event);
using EventRecordFn = Code (*)(Event event, Stream stream);
using EventQueryFn = Code (*)(Event event);
using EventSynchronizeFn = Code (*)(Event event);
using FlushGpuDirectRdmaWritesFn = Code (*)(FlushTarget target, FlushScope scope);
using IpcGetMemHandleFn = Code (*)(IpcMemHandle* handle, DevicePointer pointer);
using IpcOpenMemHandleFn = Code (*)(DevicePointer* pointer, IpcMemHandle handle, unsigned flags);
using IpcCloseMemHandleFn = Code (*)(DevicePointer pointer);
using MemGetAllocationGranularityFn = Code (*)(std::size_t* bytes, const AllocationProperties* properties,
                                               Granularity which);
using MemCreateFn = Code (*)(AllocationHandle* handle, std::size_t bytes, const AllocationProperties* properties,
                             std::uint64_t flags);
using MemReleaseFn = Code (*)(AllocationHandle handle);
using MemRetainAllocationHandleFn = Code (*)(AllocationHandle* handle, void* address);
using MemExportToShareableHandleFn = Code (*)(void* shareable, AllocationHandle handle, ShareableHandleType type,
                                              std::uint64_t flags);
using MemImportFromShareableHandleFn = Code (*)(AllocationHandle* handle, void* shareable, ShareableHandleType type);
using MemAddressReserveFn = Code (*)(DevicePointer* address, std::size_t bytes, std::size_t alignment,
                                     DevicePointer wanted, std::uint64_t flags);
using MemAddressFreeFn = Code (*)(DevicePointer address, std::size_t bytes);
using MemMapFn = Code (*)(DevicePointer address, std::size_t bytes, std::size_t offset, AllocationHandle handle,
                          std::uint64_t flags);
using MemUnmapFn = Code (*)(DevicePointer address, std::size_t bytes);
using MemSetAccessFn = Code (*)(DevicePointer address, std::size_t bytes, const AccessDescription* access,
                                std::size_t count);

}  // namespace weightcast::cuda
