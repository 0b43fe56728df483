#include <infiniband/verbs.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include "memory/device.h"
#include "memory/limits.h"
#include "transport/rdma/nic.h"
#include "verbs/memory_region.h"

namespace weightcast::transport::rdma {
namespace {

/// Asks without touching a byte; flushing asynchronously does nothing but look at the mappings.
bool is_mapped(std::byte* first, std::uint64_t length) {
  const std::uint64_t skip = reinterpret_cast<std::uint64_t>(first) % static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  return msync(first - skip, length + skip, MS_ASYNC) == 0 || errno != ENOMEM;
}

/// What ibv_reg_mr's errno means for this memory. Unmapped memory is EFAULT or ENOMEM, depending on who finds it first.
Status explain(Status status, const memory::Region& region, std::uint64_t offset, std::uint64_t length) {
  if (!is_mapped(region.data() + offset, length)) {
    status.message += "; a part of the range is not mapped in this process";
  } else if (status.error_number == ENOMEM) {
    const memory::Limits limits = memory::read_limits();
    const bool limited = limits.memlock_soft.has_value() && !limits.ipc_lock;
    status.code = limited ? Code::kMemlockLimit : Code::kOutOfMemory;
    status.message += "; " + (limited ? memory::memlock_advice(length) : "the host has not enough memory to pin it");
  } else if (status.error_number == EFAULT) {
    status.message += region.kind() == memory::RegionKind::kFile
                          ? "; the kernel cannot pin this file mapping: copy the file into memory instead"
                          : "; the kernel cannot pin this mapping with the access that was asked for";
  }
  return status;
}

/// The ladder: an accelerator's memory on one NIC.
class DeviceRegistrar {
 public:
  DeviceRegistrar(const Nic& nic, const memory::RegionPtr& region, std::uint64_t offset, std::uint64_t length,
                  unsigned flags)
      : nic_(nic), region_(region), device_(*region->on_device()), offset_(offset), length_(length), flags_(flags) {}

  Result<std::shared_ptr<Registration>> run(PathChoice choice) {
    if (Status ready = device_.prepare_registration(offset_, length_); !ready.ok()) return ready;
    Status refused{.code = Code::kRegistration};
    for (const Path path : {Path::kDmabuf, Path::kPeerMemory}) {
      if (choice == PathChoice::kDmabuf && path != Path::kDmabuf) continue;
      if (choice == PathChoice::kPeerMemory && path != Path::kPeerMemory) continue;
      auto made = path == Path::kDmabuf ? by_dmabuf() : by_peer_memory();
      if (made.ok()) return made;
      refused.message +=
          std::string(refused.message.empty() ? "" : "; ") + path_name(path) + ": " + made.status().message;
      refused.call = made.status().call;
      refused.error_number = made.status().error_number;
    }
    refused.message = "cannot register " + std::to_string(length_) + " bytes of " + device_.device()->name() +
                      " on RDMA device " + nic_.device() + ": " + refused.message;
    if (choice == PathChoice::kAuto) refused.message += "; go through host memory instead (staging)";
    return refused;
  }

 private:
  Result<std::shared_ptr<Registration>> by_dmabuf() {
    if (!nic_.imports_dmabuf().ok()) return nic_.imports_dmabuf();
    auto exported = device_.export_dmabuf(offset_, length_);
    if (!exported.ok()) return exported.status();
    const memory::Dmabuf& dmabuf = *exported.value();
    auto created = verbs::MemoryRegion::create_dmabuf(nic_.protection_domain(), dmabuf.descriptor.get(), dmabuf.offset,
                                                      length_, region_->address() + offset_, flags_);
    if (!created.ok()) return std::move(created.status());
    return std::make_shared<Registration>(region_, std::move(created.value()), Path::kDmabuf,
                                          std::move(exported.value()));
  }

  Result<std::shared_ptr<Registration>> by_peer_memory() {
    auto created = verbs::MemoryRegion::create(nic_.protection_domain(), region_->data() + offset_, length_, flags_);
    if (created.ok()) {
      return std::make_shared<Registration>(region_, std::move(created.value()), Path::kPeerMemory);
    }
    Status status = std::move(created.status());
    if (status.error_number == EFAULT) {
      status.message +=
          "; no peer-memory module of the kernel (nvidia_peermem, amdkfd) is loaded, or this memory is of a kind that "
          "none can pin (VMM, as PyTorch's expandable_segments)";
    }
    return status;
  }

  const Nic& nic_;
  const memory::RegionPtr& region_;
  const memory::DeviceRegion& device_;
  std::uint64_t offset_;
  std::uint64_t length_;
  unsigned flags_;
};

}  // namespace

const char* path_name(Path path) {
  switch (path) {
    case Path::kHost:
      return "host";
    case Path::kDmabuf:
      return "dma-buf";
    case Path::kPeerMemory:
      return "peer-memory";
  }
  return "host";
}

Registration::Registration(memory::RegionPtr region, std::unique_ptr<verbs::MemoryRegion> memory_region, Path path,
                           std::shared_ptr<const memory::Dmabuf> dmabuf)
    : region_(std::move(region)), dmabuf_(std::move(dmabuf)), memory_region_(std::move(memory_region)), path_(path) {}

Registration::~Registration() = default;

std::uint32_t Registration::local_key() const { return memory_region_->local_key(); }

std::uint32_t Registration::remote_key() const { return memory_region_->remote_key(); }

Result<std::shared_ptr<Registration>> Nic::register_memory(const memory::RegionPtr& region, std::uint64_t offset,
                                                           std::uint64_t length, Access access, PathChoice choice) {
  if (length == 0 || offset > region->size() || length > region->size() - offset) {
    return Status::error(Code::kOutOfRange, "cannot register " + std::to_string(length) + " bytes at offset " +
                                                std::to_string(offset) + " of a region of " +
                                                std::to_string(region->size()) + " bytes");
  }
  if (access == Access::kLocalWrite && !region->writable()) {
    return Status::error(Code::kInvalidArgument, "cannot register a read-only region to receive reads into");
  }
  const unsigned flags =
      access == Access::kLocalWrite ? unsigned{IBV_ACCESS_LOCAL_WRITE} : unsigned{IBV_ACCESS_REMOTE_READ};
  if (region->on_device() != nullptr) return DeviceRegistrar(*this, region, offset, length, flags).run(choice);
  auto created = verbs::MemoryRegion::create(pd_, region->data() + offset, length, flags);
  if (!created.ok()) return explain(std::move(created.status()), *region, offset, length);
  return std::make_shared<Registration>(region, std::move(created.value()), Path::kHost);
}

}  // namespace weightcast::transport::rdma
