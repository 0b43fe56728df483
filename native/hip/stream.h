#pragma once

#include "hip/api.h"
#include "hip/device.h"
#include "memory/event_stream.h"

namespace weightcast::hip {

struct StreamApi {
  using Device = HipDevice;
  using Current = hip::Current;
  using Stream = hip::Stream;
  using Event = hip::Event;
  using Code = hip::Code;

  static Code to_device(const Driver& driver, std::byte* device, const std::byte* host, std::uint64_t length,
                        Stream stream) {
    return driver.memcpy_async(device, host, length, CopyKind::kHostToDevice, stream);
  }
  static Code to_host(const Driver& driver, std::byte* host, const std::byte* device, std::uint64_t length,
                      Stream stream) {
    return driver.memcpy_async(host, device, length, CopyKind::kDeviceToHost, stream);
  }

  static constexpr unsigned kStreamFlags = kStreamNonBlocking;
  /// Who waits for one sleeps: the processor is the lanes'.
  static constexpr unsigned kEventFlags = kEventDisableTiming | kEventBlockingSync;
  static constexpr const char* kStreamCreate = "hipStreamCreateWithFlags";
  static constexpr const char* kToDevice = "hipMemcpyAsync";
  static constexpr const char* kToHost = "hipMemcpyAsync";
  static constexpr const char* kEventCreate = "hipEventCreateWithFlags";
  static constexpr const char* kEventRecord = "hipEventRecord";
  static constexpr const char* kEventQuery = "hipEventQuery";
  static constexpr const char* kEventSynchronize = "hipEventSynchronize";
};

using HipStream = memory::EventStream<StreamApi>;

}  // namespace weightcast::hip
