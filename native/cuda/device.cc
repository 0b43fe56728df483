#include "cuda/device.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <mutex>
#include <utility>

#include "cuda/stream.h"

namespace weightcast::cuda {
namespace {

class CudaPinnedHost final : public memory::PinnedHost {
 public:
  CudaPinnedHost(std::shared_ptr<const CudaDevice> device, std::byte* host) : device_(std::move(device)), host_(host) {}
  CudaPinnedHost(const CudaPinnedHost&) = delete;
  CudaPinnedHost& operator=(const CudaPinnedHost&) = delete;
  ~CudaPinnedHost() override {
    const Current current(*device_);
    if (current.status().ok()) (void)device_->driver().mem_host_unregister(host_);
  }

 private:
  std::shared_ptr<const CudaDevice> device_;
  std::byte* host_;
};

}  // namespace

Result<std::string> pci_address_of(const Driver& driver, DeviceNumber number) {
  std::array<char, 32> text{};
  const Code code = driver.device_get_pci_bus_id(text.data(), static_cast<int>(text.size()), number);
  if (code != Code::kSuccess) return driver.failed(code, "cuDeviceGetPCIBusId", "cannot ask where a GPU is");
  std::string address(text.data());
  std::transform(address.begin(), address.end(), address.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return address;
}

Result<std::shared_ptr<CudaDevice>> CudaDevice::open(std::uint32_t ordinal) {
  static std::mutex mutex;
  static std::map<std::uint32_t, std::weak_ptr<CudaDevice>> opened;
  const std::lock_guard lock(mutex);
  if (auto device = opened[ordinal].lock()) return device;

  auto loaded = load_driver();
  if (!loaded.ok()) return loaded.status();
  const DriverPtr& driver = loaded.value();
  const std::string name = "cuda:" + std::to_string(ordinal);
  int count = 0;
  if (const Code code = driver->device_get_count(&count); code != Code::kSuccess)
    return driver->failed(code, "cuDeviceGetCount", "cannot ask how many GPUs there are");
  if (ordinal >= static_cast<std::uint32_t>(count)) {
    return Status::error(weightcast::Code::kNotFound, "there is no " + name + ": the driver has " +
                                                          std::to_string(count) +
                                                          " GPUs, of those that CUDA_VISIBLE_DEVICES leaves visible");
  }
  DeviceNumber number = 0;
  if (const Code code = driver->device_get(&number, static_cast<int>(ordinal)); code != Code::kSuccess)
    return driver->failed(code, "cuDeviceGet", "cannot open " + name);
  auto pci_address = pci_address_of(*driver, number);
  if (!pci_address.ok()) return pci_address.status();
  Context context = nullptr;
  if (const Code code = driver->device_primary_ctx_retain(&context, number); code != Code::kSuccess)
    return driver->failed(code, "cuDevicePrimaryCtxRetain", "cannot use " + name);
  std::shared_ptr<CudaDevice> device(new CudaDevice(driver, ordinal, number, context, std::move(pci_address.value())));
  opened[ordinal] = device;
  return device;
}

CudaDevice::~CudaDevice() { (void)driver_->device_primary_ctx_release(number_); }

Result<std::unique_ptr<memory::CopyStream>> CudaDevice::open_stream() {
  auto stream = CudaStream::open(shared_from_this());
  if (!stream.ok()) return stream.status();
  return std::unique_ptr<memory::CopyStream>(std::move(stream.value()));
}

Result<std::unique_ptr<memory::PinnedHost>> CudaDevice::pin(std::byte* host, std::uint64_t length) {
  const Current current(*this);
  if (!current.status().ok()) return current.status();
  // Portable: the staging memory of one pull may serve several GPUs.
  const Code code = driver_->mem_host_register(host, length, kHostRegisterPortable);
  if (code == Code::kHostMemoryAlreadyRegistered) {
    // By another of the process's GPUs, whose pin holds for all.
    return std::make_unique<memory::PinnedHost>();
  }
  if (code != Code::kSuccess) {
    return driver_->failed(code, "cuMemHostRegister",
                           "cannot pin " + std::to_string(length) + " bytes of host memory for copies with " + name());
  }
  return std::unique_ptr<memory::PinnedHost>(std::make_unique<CudaPinnedHost>(shared_from_this(), host));
}

Status CudaDevice::flush() {
  auto ordering = attribute(DeviceAttribute::kGpuDirectRdmaWritesOrdering);
  if (!ordering.ok()) return ordering.status();
  if (ordering.value() >= kOrderedForOwner) return Status::success();
  auto options = attribute(DeviceAttribute::kGpuDirectRdmaFlushWritesOptions);
  if (!options.ok()) return options.status();
  const bool by_host = (options.value() & kFlushByHost) != 0;
  if (driver_->flush_gpu_direct_rdma_writes == nullptr || !by_host) return Status::success();
  const Current current(*this);
  if (!current.status().ok()) return current.status();
  const Code code = driver_->flush_gpu_direct_rdma_writes(FlushTarget::kCurrentContext, FlushScope::kToOwner);
  if (code == Code::kSuccess) return Status::success();
  return driver_->failed(code, "cuFlushGPUDirectRDMAWrites", "cannot make what was read visible on " + name());
}

Result<int> CudaDevice::attribute(DeviceAttribute attribute) const {
  int value = 0;
  const Code code = driver_->device_get_attribute(&value, attribute, number_);
  if (code == Code::kSuccess) return value;
  if (code == Code::kInvalidValue) return 0;
  return driver_->failed(code, "cuDeviceGetAttribute", "cannot ask what " + name() + " can do");
}

Status CudaDevice::synchronise_copies() const {
  if (driver_->ctx_set_flags == nullptr) return Status::success();
  const Current current(*this);
  if (!current.status().ok()) return current.status();
  unsigned flags = 0;
  if (const Code code = driver_->ctx_get_flags(&flags); code != Code::kSuccess)
    return driver_->failed(code, "cuCtxGetFlags", "cannot ask for the flags of " + name() + "'s context");
  if ((flags & kContextSyncMemops) != 0) return Status::success();
  const Code code = driver_->ctx_set_flags(flags | kContextSyncMemops);
  if (code == Code::kSuccess) return Status::success();
  return driver_->failed(code, "cuCtxSetFlags",
                         "cannot make copies of " + name() + " synchronous (CU_CTX_SYNC_MEMOPS)");
}

Current::Current(const CudaDevice& device) : device_(device) {
  const Code code = device.driver_->ctx_push_current(device.context_);
  if (code != Code::kSuccess) status_ = device.driver_->failed(code, "cuCtxPushCurrent", "cannot use " + device.name());
}

Current::~Current() {
  Context popped = nullptr;
  if (status_.ok()) (void)device_.driver_->ctx_pop_current(&popped);
}

}  // namespace weightcast::cuda
