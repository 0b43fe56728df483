#pragma once

#include "memory/device_inventory.h"

namespace weightcast::hip {

/// Never fails.
memory::DeviceInventory list();

}  // namespace weightcast::hip
