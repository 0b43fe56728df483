#include "hip/inventory.h"

#include <array>

#include "hip/device.h"
#include "hip/driver.h"

namespace weightcast::hip {
namespace {

memory::DeviceInfo describe(const Driver& driver, int ordinal) {
  memory::DeviceInfo gpu{.ordinal = static_cast<std::uint32_t>(ordinal)};
  std::array<char, 128> name{};
  if (driver.device_get_name(name.data(), static_cast<int>(name.size()) - 1, ordinal) == Code::kSuccess)
    gpu.name = name.data();
  std::size_t bytes = 0;
  if (driver.device_total_mem(&bytes, ordinal) == Code::kSuccess) gpu.bytes = bytes;
  if (auto address = pci_address_of(driver, ordinal); address.ok()) gpu.pci_address = std::move(address.value());
  gpu.numa_node = memory::numa_node_of(gpu.pci_address);
  gpu.dmabuf = driver.dmabuf_reason.empty();
  gpu.dmabuf_reason = driver.dmabuf_reason;
  return gpu;
}

}  // namespace

memory::DeviceInventory list() {
  memory::DeviceInventory inventory;
  auto loaded = load_driver();
  if (!loaded.ok()) {
    inventory.reason = loaded.status().message;
    return inventory;
  }
  const Driver& driver = *loaded.value();
  inventory.path = driver.path;
  // Major × 10^7 + minor × 10^5 + patch.
  inventory.version = std::to_string(driver.version / 10000000) + "." + std::to_string(driver.version / 100000 % 100);
  int count = 0;
  if (const Code code = driver.get_device_count(&count); code != Code::kSuccess) {
    inventory.reason = driver.failed(code, "hipGetDeviceCount", "cannot ask how many GPUs there are").message;
    return inventory;
  }
  for (int ordinal = 0; ordinal < count; ++ordinal) inventory.devices.push_back(describe(driver, ordinal));
  if (inventory.devices.empty()) inventory.reason = "the runtime has no GPU, or HIP_VISIBLE_DEVICES hides all";
  return inventory;
}

}  // namespace weightcast::hip
