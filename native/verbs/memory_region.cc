#include "verbs/memory_region.h"

#include <unistd.h>

#include <cerrno>

namespace weightcast::verbs {
namespace {

Status no_dmabuf_call(const Library& library) {
  return Status::error(Code::kRegistration, library.path + " has no ibv_reg_dmabuf_mr; it needs rdma-core 34 or newer");
}

}  // namespace

Result<std::unique_ptr<MemoryRegion>> MemoryRegion::create(std::shared_ptr<ProtectionDomain> pd, void* address,
                                                           std::size_t length, unsigned access) {
  const Library& library = pd->context()->library();
  ibv_mr* region = nullptr;
  errno = 0;
  if (library.reg_mr_iova2 != nullptr) {
    region = library.reg_mr_iova2(pd->get(), address, length, reinterpret_cast<std::uintptr_t>(address),
                                  access | IBV_ACCESS_RELAXED_ORDERING);
  }
  // Only a refusal of the flag is worth a second try: pinning terabytes twice just to see ENOMEM again is not.
  const bool flag_refused = region == nullptr && (errno == 0 || errno == EINVAL || errno == EOPNOTSUPP);
  if (flag_refused) {
    errno = 0;
    region = library.reg_mr(pd->get(), address, length, static_cast<int>(access));
  }
  if (region != nullptr) return std::unique_ptr<MemoryRegion>(new MemoryRegion(std::move(pd), region));
  const int error = errno;
  return Status::system(
      Code::kRegistration, "ibv_reg_mr", error,
      "cannot register " + std::to_string(length) + " bytes on RDMA device " + pd->context()->device());
}

Result<std::unique_ptr<MemoryRegion>> MemoryRegion::create_dmabuf(std::shared_ptr<ProtectionDomain> pd, int descriptor,
                                                                  std::uint64_t offset, std::size_t length,
                                                                  std::uint64_t iova, unsigned access) {
  const Library& library = pd->context()->library();
  if (library.reg_dmabuf_mr == nullptr) return no_dmabuf_call(library);
  const auto attempt = [&](unsigned flags) {
    errno = 0;
    return library.reg_dmabuf_mr(pd->get(), offset, length, iova, descriptor, static_cast<int>(flags));
  };
  ibv_mr* region = attempt(access | IBV_ACCESS_RELAXED_ORDERING);
  if (region == nullptr && (errno == 0 || errno == EINVAL)) region = attempt(access);
  if (region != nullptr) return std::unique_ptr<MemoryRegion>(new MemoryRegion(std::move(pd), region));
  const int error = errno;
  return Status::system(
      Code::kRegistration, "ibv_reg_dmabuf_mr", error,
      "cannot register " + std::to_string(length) + " bytes of a dma-buf on RDMA device " + pd->context()->device());
}

Status MemoryRegion::imports_dmabuf(const ProtectionDomain& pd) {
  const Library& library = pd.context()->library();
  if (library.reg_dmabuf_mr == nullptr) return no_dmabuf_call(library);
  errno = 0;
  // No descriptor: whoever could import one says EBADF.
  ibv_mr* region = library.reg_dmabuf_mr(pd.get(), 0, static_cast<std::size_t>(sysconf(_SC_PAGESIZE)), 0, -1,
                                         IBV_ACCESS_LOCAL_WRITE);
  const int error = errno;
  if (region != nullptr) (void)library.dereg_mr(region);
  if (region != nullptr || (error != EOPNOTSUPP && error != EPROTONOSUPPORT && error != ENOSYS)) {
    return Status::success();
  }
  return Status::system(Code::kRegistration, "ibv_reg_dmabuf_mr", error,
                        "the driver of RDMA device " + pd.context()->device() + " does not import dma-bufs");
}

MemoryRegion::~MemoryRegion() { (void)pd_->context()->library().dereg_mr(region_); }

}  // namespace weightcast::verbs
