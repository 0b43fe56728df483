#include "cuda/inventory.h"

#include <array>

#include "cuda/device.h"
#include "cuda/driver.h"

namespace weightcast::cuda {
namespace {

memory::DeviceInfo describe(const Driver& driver, int ordinal, DeviceNumber number) {
  memory::DeviceInfo gpu{.ordinal = static_cast<std::uint32_t>(ordinal)};
  std::array<char, 128> name{};
  if (driver.device_get_name(name.data(), static_cast<int>(name.size()) - 1, number) == Code::kSuccess)
    gpu.name = name.data();
  std::size_t bytes = 0;
  if (driver.device_total_mem(&bytes, number) == Code::kSuccess) gpu.bytes = bytes;
  if (auto address = pci_address_of(driver, number); address.ok()) gpu.pci_address = std::move(address.value());
  gpu.numa_node = memory::numa_node_of(gpu.pci_address);
  int supported = 0;
  const bool known =
      driver.device_get_attribute(&supported, DeviceAttribute::kDmaBufSupported, number) == Code::kSuccess;
  if (driver.mem_get_handle_for_address_range == nullptr || !known) {
    gpu.dmabuf_reason = "the driver is too old: CUDA 11.7 or later is needed";
  } else if (supported == 0) {
    gpu.dmabuf_reason = "the open kernel modules of NVIDIA's driver (515 or later) and Linux 5.12 or later are needed";
  } else {
    gpu.dmabuf = true;
  }
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
  inventory.version = std::to_string(driver.version / 1000) + "." + std::to_string(driver.version % 1000 / 10);
  int count = 0;
  if (const Code code = driver.device_get_count(&count); code != Code::kSuccess) {
    inventory.reason = driver.failed(code, "cuDeviceGetCount", "cannot ask how many GPUs there are").message;
    return inventory;
  }
  for (int ordinal = 0; ordinal < count; ++ordinal) {
    DeviceNumber number = 0;
    if (driver.device_get(&number, ordinal) == Code::kSuccess)
      inventory.devices.push_back(describe(driver, ordinal, number));
  }
  if (inventory.devices.empty()) inventory.reason = "the driver has no GPU, or CUDA_VISIBLE_DEVICES hides all";
  return inventory;
}

}  // namespace weightcast::cuda
