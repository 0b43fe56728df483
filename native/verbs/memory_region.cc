#include "verbs/memory_region.h"

#include <cerrno>

namespace weightcast::verbs {

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

MemoryRegion::~MemoryRegion() { (void)pd_->context()->library().dereg_mr(region_); }

}  // namespace weightcast::verbs
