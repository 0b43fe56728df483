// Our declarations of NVIDIA's driver API against the toolkit's own header. Compiled where there is one (see
// CMakeLists.txt); it does nothing when it runs.
#include <cuda.h>

#include "cuda/api.h"

namespace ours = weightcast::cuda;

#define SAME(own, theirs) static_assert(static_cast<long long>(own) == static_cast<long long>(theirs))

SAME(ours::Code::kSuccess, CUDA_SUCCESS);
SAME(ours::Code::kInvalidValue, CUDA_ERROR_INVALID_VALUE);
SAME(ours::Code::kOutOfMemory, CUDA_ERROR_OUT_OF_MEMORY);
SAME(ours::Code::kNotInitialized, CUDA_ERROR_NOT_INITIALIZED);
SAME(ours::Code::kDeinitialized, CUDA_ERROR_DEINITIALIZED);
SAME(ours::Code::kStubLibrary, CUDA_ERROR_STUB_LIBRARY);
SAME(ours::Code::kNoDevice, CUDA_ERROR_NO_DEVICE);
SAME(ours::Code::kInvalidDevice, CUDA_ERROR_INVALID_DEVICE);
SAME(ours::Code::kInvalidContext, CUDA_ERROR_INVALID_CONTEXT);
SAME(ours::Code::kAlreadyMapped, CUDA_ERROR_ALREADY_MAPPED);
SAME(ours::Code::kInvalidHandle, CUDA_ERROR_INVALID_HANDLE);
SAME(ours::Code::kIllegalState, CUDA_ERROR_ILLEGAL_STATE);
SAME(ours::Code::kNotFound, CUDA_ERROR_NOT_FOUND);
SAME(ours::Code::kNotReady, CUDA_ERROR_NOT_READY);
SAME(ours::Code::kIllegalAddress, CUDA_ERROR_ILLEGAL_ADDRESS);
SAME(ours::Code::kPeerAccessNotEnabled, CUDA_ERROR_PEER_ACCESS_NOT_ENABLED);
SAME(ours::Code::kHostMemoryAlreadyRegistered, CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
SAME(ours::Code::kHostMemoryNotRegistered, CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
SAME(ours::Code::kNotPermitted, CUDA_ERROR_NOT_PERMITTED);
SAME(ours::Code::kNotSupported, CUDA_ERROR_NOT_SUPPORTED);
SAME(ours::Code::kSystemDriverMismatch, CUDA_ERROR_SYSTEM_DRIVER_MISMATCH);
SAME(ours::Code::kUnknown, CUDA_ERROR_UNKNOWN);

SAME(ours::DeviceAttribute::kPciBusId, CU_DEVICE_ATTRIBUTE_PCI_BUS_ID);
SAME(ours::DeviceAttribute::kPciDeviceId, CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID);
SAME(ours::DeviceAttribute::kPciDomainId, CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID);
SAME(ours::DeviceAttribute::kVirtualMemoryManagementSupported, CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED);
SAME(ours::DeviceAttribute::kHandleTypePosixFileDescriptorSupported,
     CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED);
SAME(ours::DeviceAttribute::kGpuDirectRdmaWithCudaVmmSupported,
     CU_DEVICE_ATTRIBUTE_GPU_DIRECT_RDMA_WITH_CUDA_VMM_SUPPORTED);
SAME(ours::DeviceAttribute::kGpuDirectRdmaSupported, CU_DEVICE_ATTRIBUTE_GPU_DIRECT_RDMA_SUPPORTED);
SAME(ours::DeviceAttribute::kGpuDirectRdmaFlushWritesOptions, CU_DEVICE_ATTRIBUTE_GPU_DIRECT_RDMA_FLUSH_WRITES_OPTIONS);
SAME(ours::DeviceAttribute::kGpuDirectRdmaWritesOrdering, CU_DEVICE_ATTRIBUTE_GPU_DIRECT_RDMA_WRITES_ORDERING);
SAME(ours::DeviceAttribute::kDmaBufSupported, CU_DEVICE_ATTRIBUTE_DMA_BUF_SUPPORTED);

SAME(ours::PointerAttribute::kContext, CU_POINTER_ATTRIBUTE_CONTEXT);
SAME(ours::PointerAttribute::kMemoryType, CU_POINTER_ATTRIBUTE_MEMORY_TYPE);
SAME(ours::PointerAttribute::kSyncMemops, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS);
SAME(ours::PointerAttribute::kBufferId, CU_POINTER_ATTRIBUTE_BUFFER_ID);
SAME(ours::PointerAttribute::kIsManaged, CU_POINTER_ATTRIBUTE_IS_MANAGED);
SAME(ours::PointerAttribute::kDeviceOrdinal, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL);
SAME(ours::PointerAttribute::kIsLegacyCudaIpcCapable, CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE);
SAME(ours::PointerAttribute::kRangeStartAddress, CU_POINTER_ATTRIBUTE_RANGE_START_ADDR);
SAME(ours::PointerAttribute::kRangeSize, CU_POINTER_ATTRIBUTE_RANGE_SIZE);
SAME(ours::PointerAttribute::kAllowedHandleTypes, CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES);
SAME(ours::PointerAttribute::kIsGpuDirectRdmaCapable, CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE);
SAME(ours::PointerAttribute::kMappingSize, CU_POINTER_ATTRIBUTE_MAPPING_SIZE);
SAME(ours::PointerAttribute::kMappingBaseAddress, CU_POINTER_ATTRIBUTE_MAPPING_BASE_ADDR);

SAME(ours::MemoryType::kHost, CU_MEMORYTYPE_HOST);
SAME(ours::MemoryType::kDevice, CU_MEMORYTYPE_DEVICE);
SAME(ours::MemoryType::kUnified, CU_MEMORYTYPE_UNIFIED);
SAME(ours::RangeHandleType::kDmabufDescriptor, CU_MEM_RANGE_HANDLE_TYPE_DMA_BUF_FD);
SAME(ours::ShareableHandleType::kPosixFileDescriptor, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR);
SAME(ours::AllocationType::kPinned, CU_MEM_ALLOCATION_TYPE_PINNED);
SAME(ours::LocationType::kDevice, CU_MEM_LOCATION_TYPE_DEVICE);
SAME(ours::Granularity::kMinimum, CU_MEM_ALLOC_GRANULARITY_MINIMUM);
SAME(ours::Granularity::kRecommended, CU_MEM_ALLOC_GRANULARITY_RECOMMENDED);
SAME(ours::AccessFlags::kRead, CU_MEM_ACCESS_FLAGS_PROT_READ);
SAME(ours::AccessFlags::kReadWrite, CU_MEM_ACCESS_FLAGS_PROT_READWRITE);
SAME(ours::FlushTarget::kCurrentContext, CU_FLUSH_GPU_DIRECT_RDMA_WRITES_TARGET_CURRENT_CTX);
SAME(ours::FlushScope::kToOwner, CU_FLUSH_GPU_DIRECT_RDMA_WRITES_TO_OWNER);
SAME(ours::FlushScope::kToAllDevices, CU_FLUSH_GPU_DIRECT_RDMA_WRITES_TO_ALL_DEVICES);
SAME(ours::kFlushByHost, CU_FLUSH_GPU_DIRECT_RDMA_WRITES_OPTION_HOST);
SAME(ours::kOrderedForOwner, CU_GPU_DIRECT_RDMA_WRITES_ORDERING_OWNER);
SAME(ours::kStreamNonBlocking, CU_STREAM_NON_BLOCKING);
SAME(ours::kEventDisableTiming, CU_EVENT_DISABLE_TIMING);
SAME(ours::kEventBlockingSync, CU_EVENT_BLOCKING_SYNC);
SAME(ours::kHostRegisterPortable, CU_MEMHOSTREGISTER_PORTABLE);
SAME(ours::kIpcLazyEnablePeerAccess, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS);
SAME(ours::kContextSyncMemops, CU_CTX_SYNC_MEMOPS);
SAME(ours::kProcAddressDefault, CU_GET_PROC_ADDRESS_DEFAULT);

SAME(sizeof(ours::IpcMemHandle), sizeof(CUipcMemHandle));
SAME(sizeof(ours::DevicePointer), sizeof(CUdeviceptr));
SAME(sizeof(ours::AllocationHandle), sizeof(CUmemGenericAllocationHandle));
SAME(sizeof(ours::Location), sizeof(CUmemLocation));
SAME(offsetof(ours::Location, id), offsetof(CUmemLocation, id));
SAME(sizeof(ours::AllocationProperties), sizeof(CUmemAllocationProp));
SAME(offsetof(ours::AllocationProperties, requested_handle_types), offsetof(CUmemAllocationProp, requestedHandleTypes));
SAME(offsetof(ours::AllocationProperties, location), offsetof(CUmemAllocationProp, location));
SAME(offsetof(ours::AllocationProperties, flags.gpu_direct_rdma_capable),
     offsetof(CUmemAllocationProp, allocFlags.gpuDirectRDMACapable));
SAME(sizeof(ours::AccessDescription), sizeof(CUmemAccessDesc));
SAME(offsetof(ours::AccessDescription, flags), offsetof(CUmemAccessDesc, flags));
