#include <infiniband/verbs.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

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

}  // namespace

Registration::Registration(memory::RegionPtr region, std::unique_ptr<verbs::MemoryRegion> memory_region, Path path)
    : region_(std::move(region)), memory_region_(std::move(memory_region)), path_(path) {}

Registration::~Registration() = default;

std::uint32_t Registration::local_key() const { return memory_region_->local_key(); }

std::uint32_t Registration::remote_key() const { return memory_region_->remote_key(); }

Result<std::shared_ptr<Registration>> Nic::register_memory(const memory::RegionPtr& region, std::uint64_t offset,
                                                           std::uint64_t length, Access access) {
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
  auto created = verbs::MemoryRegion::create(pd_, region->data() + offset, length, flags);
  if (!created.ok()) return explain(std::move(created.status()), *region, offset, length);
  return std::make_shared<Registration>(region, std::move(created.value()));
}

}  // namespace weightcast::transport::rdma
