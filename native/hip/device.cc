#include "hip/device.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <mutex>
#include <utility>

#include "hip/stream.h"

namespace weightcast::hip {
namespace {

class HipPinnedHost final : public memory::PinnedHost {
 public:
  HipPinnedHost(std::shared_ptr<const HipDevice> device, std::byte* host) : device_(std::move(device)), host_(host) {}
  HipPinnedHost(const HipPinnedHost&) = delete;
  HipPinnedHost& operator=(const HipPinnedHost&) = delete;
  ~HipPinnedHost() override {
    const Current current(*device_);
    if (current.status().ok()) (void)device_->driver().host_unregister(host_);
  }

 private:
  std::shared_ptr<const HipDevice> device_;
  std::byte* host_;
};

}  // namespace

Result<std::string> pci_address_of(const Driver& driver, int ordinal) {
  std::array<char, 32> text{};
  const Code code = driver.device_get_pci_bus_id(text.data(), static_cast<int>(text.size()), ordinal);
  if (code != Code::kSuccess) return driver.failed(code, "hipDeviceGetPCIBusId", "cannot ask where a GPU is");
  std::string address(text.data());
  std::transform(address.begin(), address.end(), address.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return address;
}

Result<std::shared_ptr<HipDevice>> HipDevice::open(std::uint32_t ordinal) {
  static std::mutex mutex;
  static std::map<std::uint32_t, std::weak_ptr<HipDevice>> opened;
  const std::lock_guard lock(mutex);
  if (auto device = opened[ordinal].lock()) return device;

  auto loaded = load_driver();
  if (!loaded.ok()) return loaded.status();
  const DriverPtr& driver = loaded.value();
  int count = 0;
  if (const Code code = driver->get_device_count(&count); code != Code::kSuccess)
    return driver->failed(code, "hipGetDeviceCount", "cannot ask how many GPUs there are");
  if (ordinal >= static_cast<std::uint32_t>(count)) {
    return Status::error(weightcast::Code::kNotFound, "there is no hip:" + std::to_string(ordinal) +
                                                          ": the runtime has " + std::to_string(count) +
                                                          " GPUs, of those that HIP_VISIBLE_DEVICES leaves visible");
  }
  auto pci_address = pci_address_of(*driver, static_cast<int>(ordinal));
  if (!pci_address.ok()) return pci_address.status();
  std::shared_ptr<HipDevice> device(new HipDevice(driver, ordinal, std::move(pci_address.value())));
  opened[ordinal] = device;
  return device;
}

Result<std::unique_ptr<memory::CopyStream>> HipDevice::open_stream() {
  auto stream = HipStream::open(shared_from_this());
  if (!stream.ok()) return stream.status();
  return std::unique_ptr<memory::CopyStream>(std::move(stream.value()));
}

Result<std::unique_ptr<memory::PinnedHost>> HipDevice::pin(std::byte* host, std::uint64_t length) {
  const Current current(*this);
  if (!current.status().ok()) return current.status();
  const Code code = driver_->host_register(host, length, kHostRegisterPortable);
  if (code == Code::kHostMemoryAlreadyRegistered)
    return std::make_unique<memory::PinnedHost>();  // by another GPU, for all
  if (code != Code::kSuccess) {
    return driver_->failed(code, "hipHostRegister",
                           "cannot pin " + std::to_string(length) + " bytes of host memory for copies with " + name());
  }
  return std::unique_ptr<memory::PinnedHost>(std::make_unique<HipPinnedHost>(shared_from_this(), host));
}

Status HipDevice::flush() {
  // As wide as the pointer that is written through it.
  std::uint64_t address = 0;
  const Code code = driver_->device_get_attribute(reinterpret_cast<int*>(&address),
                                                  DeviceAttribute::kHdpMemoryFlushControl, static_cast<int>(ordinal_));
  if (code == Code::kInvalidValue || code == Code::kNotSupported) return Status::success();
  if (code != Code::kSuccess)
    return driver_->failed(code, "hipDeviceGetAttribute", "cannot make what was read visible on " + name());
  // NOLINTNEXTLINE(performance-no-int-to-ptr): the runtime hands the register over as a number
  if (auto* control = reinterpret_cast<volatile unsigned*>(address); control != nullptr) {
    *control = 1;
    (void)*control;  // the write has arrived when this has come back
  }
  return Status::success();
}

Current::Current(const HipDevice& device) : device_(device) {
  const Driver& driver = device.driver();
  Code code = driver.get_device(&before_);
  if (code == Code::kSuccess) code = driver.set_device(static_cast<int>(device.ordinal()));
  if (code != Code::kSuccess) status_ = driver.failed(code, "hipSetDevice", "cannot use " + device.name());
}

Current::~Current() {
  if (status_.ok()) (void)device_.driver().set_device(before_);
}

}  // namespace weightcast::hip
