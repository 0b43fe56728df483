#include "memory/device.h"

namespace weightcast::memory {

const char* device_kind_name(DeviceKind kind) { return kind == DeviceKind::kHip ? "hip" : "cuda"; }

}  // namespace weightcast::memory
