#pragma once

#include <infiniband/verbs.h>

#include <cstddef>
#include <cstdint>
#include <memory>

#include "common/status.h"
#include "verbs/context.h"

namespace weightcast::verbs {

/// A registered (pinned) range of memory; deregistered when destroyed. Does not own the memory, which must stay mapped
/// for as long. Keys are constant: thread-safe.
class MemoryRegion {
 public:
  /// `access` is a set of ibv_access_flags. Relaxed ordering is asked for as well and dropped where it is refused: a
  /// completion is all that readers wait for, and PCIe is faster with it.
  /// On failure: kRegistration with the errno of ibv_reg_mr; the caller knows what the memory is and says why.
  static Result<std::unique_ptr<MemoryRegion>> create(std::shared_ptr<ProtectionDomain> pd, void* address,
                                                      std::size_t length, unsigned access);
  /// The same for `length` bytes at `offset` of a dma-buf, which the registration keeps alive by itself. Peers and work
  /// requests name them by addresses from `iova`, whose offset in its page must be that of `offset`.
  /// On failure: kRegistration with the errno of ibv_reg_dmabuf_mr, or what is missing for there to be one.
  static Result<std::unique_ptr<MemoryRegion>> create_dmabuf(std::shared_ptr<ProtectionDomain> pd, int descriptor,
                                                             std::uint64_t offset, std::size_t length,
                                                             std::uint64_t iova, unsigned access);
  /// Whether this library, this kernel and this device import dma-bufs at all; asked without any memory. kRegistration
  /// with what is missing.
  static Status imports_dmabuf(const ProtectionDomain& pd);
  ~MemoryRegion();
  MemoryRegion(const MemoryRegion&) = delete;
  MemoryRegion& operator=(const MemoryRegion&) = delete;

  [[nodiscard]] std::uint32_t local_key() const { return region_->lkey; }
  [[nodiscard]] std::uint32_t remote_key() const { return region_->rkey; }

 private:
  MemoryRegion(std::shared_ptr<ProtectionDomain> pd, ibv_mr* region) : pd_(std::move(pd)), region_(region) {}
  std::shared_ptr<ProtectionDomain> pd_;  // outlives region_
  ibv_mr* region_;
};

}  // namespace weightcast::verbs
