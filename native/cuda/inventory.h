#pragma once

#include "memory/device_inventory.h"

namespace weightcast::cuda {

/// Never fails; makes no context.
memory::DeviceInventory list();

}  // namespace weightcast::cuda
