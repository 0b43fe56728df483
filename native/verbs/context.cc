#include "verbs/context.h"

#include <cerrno>
#include <cstring>
#include <span>

namespace weightcast::verbs {
namespace {

/// ibv_get_device_list for the length of a scope.
class DeviceList {
 public:
  static Result<DeviceList> get(LibraryPtr library) {
    int count = 0;
    errno = 0;
    ibv_device** devices = library->get_device_list(&count);
    if (devices != nullptr) return DeviceList(std::move(library), devices, count);
    const int error = errno;
    const char* advice =
        error == ENOSYS ? "this kernel has no RDMA support, or it is not loaded (modprobe ib_uverbs, and the driver "
                          "of the NIC; rdma_rxe for Soft-RoCE)"
                        : "the list of RDMA devices cannot be read; in a container, /sys and /dev/infiniband must be "
                          "those of the host";
    return Status::system(Code::kRdmaUnavailable, "ibv_get_device_list", error,
                          std::string("RDMA is not available: ") + advice);
  }
  ~DeviceList() {
    if (devices_ != nullptr) library_->free_device_list(devices_);
  }
  DeviceList(DeviceList&& other) noexcept
      : library_(std::move(other.library_)), devices_(std::exchange(other.devices_, nullptr)), count_(other.count_) {}
  DeviceList(const DeviceList&) = delete;
  DeviceList& operator=(const DeviceList&) = delete;
  DeviceList& operator=(DeviceList&&) = delete;

  [[nodiscard]] std::span<ibv_device* const> devices() const { return {devices_, static_cast<std::size_t>(count_)}; }

 private:
  DeviceList(LibraryPtr library, ibv_device** devices, int count)
      : library_(std::move(library)), devices_(devices), count_(count) {}
  LibraryPtr library_;
  ibv_device** devices_;
  int count_;
};

}  // namespace

Result<std::vector<std::string>> device_names() {
  auto library = load_library();
  if (!library.ok()) return library.status();
  auto list = DeviceList::get(library.value());
  if (!list.ok()) return list.status();
  std::vector<std::string> names;
  for (const ibv_device* device : list.value().devices()) names.emplace_back(device->name);
  return names;
}

Result<std::shared_ptr<Context>> Context::open(const std::string& device) {
  auto library = load_library();
  if (!library.ok()) return library.status();
  auto list = DeviceList::get(library.value());
  if (!list.ok()) return list.status();
  std::string here;
  for (ibv_device* candidate : list.value().devices()) {
    if (device == candidate->name) {
      errno = 0;
      ibv_context* context = library.value()->open_device(candidate);
      if (context != nullptr) return std::shared_ptr<Context>(new Context(std::move(library.value()), context, device));
      const int error = errno;
      return Status::system(Code::kRdmaUnavailable, "ibv_open_device", error,
                            "cannot open RDMA device " + device + ": this process needs /dev/infiniband/" +
                                candidate->dev_name + " (in a container: --device /dev/infiniband)");
    }
    here += (here.empty() ? "" : ", ") + std::string(candidate->name);
  }
  return Status::error(Code::kNotFound, "RDMA device '" + device + "' is not on this machine; devices here: " +
                                            (here.empty() ? "none" : here));
}

Context::~Context() { (void)library_->close_device(context_); }

bool Context::is_iwarp() const { return context_->device->transport_type == IBV_TRANSPORT_IWARP; }

Result<ibv_device_attr> Context::query_device() const {
  ibv_device_attr attributes{};
  const int error = library_->query_device(context_, &attributes);
  if (error == 0) return attributes;
  return Status::system(Code::kVerbs, "ibv_query_device", error, "cannot query RDMA device " + device_);
}

Result<ibv_port_attr> Context::query_port(std::uint8_t port) const {
  ibv_port_attr attributes{};  // the library's function fills only what it knew in version 1.1
  const int error = library_->query_port(context_, port, reinterpret_cast<_compat_ibv_port_attr*>(&attributes));
  if (error == 0) return attributes;
  return Status::system(Code::kVerbs, "ibv_query_port", error,
                        "cannot query port " + std::to_string(port) + " of RDMA device " + device_);
}

Result<std::shared_ptr<ProtectionDomain>> ProtectionDomain::create(std::shared_ptr<Context> context) {
  errno = 0;
  ibv_pd* pd = context->library().alloc_pd(context->get());
  if (pd != nullptr) return std::shared_ptr<ProtectionDomain>(new ProtectionDomain(std::move(context), pd));
  const int error = errno;
  return Status::system(Code::kVerbs, "ibv_alloc_pd", error,
                        "cannot make a protection domain on RDMA device " + context->device());
}

ProtectionDomain::~ProtectionDomain() { (void)context_->library().dealloc_pd(pd_); }

}  // namespace weightcast::verbs
