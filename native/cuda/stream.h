#pragma once

#include "cuda/api.h"
#include "cuda/device.h"
#include "memory/event_stream.h"

namespace weightcast::cuda {

struct StreamApi {
  using Device = CudaDevice;
  using Current = cuda::Current;
  using Stream = cuda::Stream;
  using Event = cuda::Event;
  using Code = cuda::Code;

  static Code to_device(const Driver& driver, std::byte* device, const std::byte* host, std::uint64_t length,
                        Stream stream) {
    return driver.memcpy_htod_async(reinterpret_cast<DevicePointer>(device), host, length, stream);
  }
  static Code to_host(const Driver& driver, std::byte* host, const std::byte* device, std::uint64_t length,
                      Stream stream) {
    return driver.memcpy_dtoh_async(host, reinterpret_cast<DevicePointer>(device), length, stream);
  }

  static constexpr unsigned kStreamFlags = kStreamNonBlocking;
  /// Who waits for one sleeps: the processor is the lanes'.
  static constexpr unsigned kEventFlags = kEventDisableTiming | kEventBlockingSync;
  static constexpr const char* kStreamCreate = "cuStreamCreate";
  static constexpr const char* kToDevice = "cuMemcpyHtoDAsync";
  static constexpr const char* kToHost = "cuMemcpyDtoHAsync";
  static constexpr const char* kEventCreate = "cuEventCreate";
  static constexpr const char* kEventRecord = "cuEventRecord";
  static constexpr const char* kEventQuery = "cuEventQuery";
  static constexpr const char* kEventSynchronize = "cuEventSynchronize";
};

using CudaStream = memory::EventStream<StreamApi>;

}  // namespace weightcast::cuda
