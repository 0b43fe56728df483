// A test double around the real libibverbs, for NICs that know no device memory: Soft-RoCE of Linux 6.1 has no
// dma-bufs. It registers the bytes behind the stand-in driver's device memory where a real NIC and driver would,
// refuses where they would, and passes all else on. WEIGHTCAST_IBVERBS_LIB names it; what it does not define is found
// in the libibverbs that it needs.
#include <dlfcn.h>
#include <infiniband/verbs.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstdint>
#include <map>
#include <mutex>

#include "../cuda/standin.h"

#undef ibv_reg_mr
#undef ibv_reg_mr_iova

namespace {

constexpr std::uint64_t kPage = 4096;
constexpr int kAllowed = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ |
                         IBV_ACCESS_REMOTE_ATOMIC | IBV_ACCESS_RELAXED_ORDERING;

template <typename Function>
Function real(const char* name, const char* version) {
  static void* library = dlopen("libibverbs.so.1", RTLD_NOW | RTLD_LOCAL);
  return reinterpret_cast<Function>(dlvsym(library, name, version));
}

std::mutex mutex;
std::map<ibv_mr*, std::uint64_t> registered;  // of device memory, and the driver's key of it

/// Registers `bytes` at `mapped + skip` as what lies at `iova` for peers. The mapping goes: pages stay pinned.
ibv_mr* register_mapped(ibv_pd* pd, void* mapped, std::size_t mapped_bytes, std::size_t skip, std::size_t bytes,
                        std::uint64_t iova, unsigned access) {
  using RegIova2 = ibv_mr* (*)(ibv_pd*, void*, std::size_t, std::uint64_t, unsigned);
  static const auto reg = real<RegIova2>("ibv_reg_mr_iova2", "IBVERBS_1.8");
  ibv_mr* region = reg(pd, static_cast<std::byte*>(mapped) + skip, bytes, iova, access);
  const int error = errno;
  munmap(mapped, mapped_bytes);
  if (region != nullptr) {
    const std::lock_guard lock(mutex);
    registered[region] = standin_register(iova, bytes, (access & IBV_ACCESS_LOCAL_WRITE) != 0 ? 1 : 0);
  }
  errno = error;
  return region;
}

/// By a peer-memory module, if there is one; as if the kernel were asked to pin the addresses, if not.
ibv_mr* register_device(ibv_pd* pd, std::uint64_t address, std::size_t bytes, std::uint64_t iova, unsigned access) {
  constexpr int kAllocation = 1;
  void* mapped = standin_has_peer_memory() != 0 && standin_kind_of(address) == kAllocation
                     ? standin_map_range(address, bytes)
                     : nullptr;
  if (mapped == nullptr) {
    errno = EFAULT;
    return nullptr;
  }
  const std::size_t skip = address % kPage;
  return register_mapped(pd, mapped, (skip + bytes + kPage - 1) & ~(kPage - 1), skip, bytes, iova, access);
}

}  // namespace

extern "C" {

ibv_mr* ibv_reg_mr(ibv_pd* pd, void* address, std::size_t length, int access) {
  const auto at = reinterpret_cast<std::uint64_t>(address);
  if (standin_kind_of(at) != 0) return register_device(pd, at, length, at, static_cast<unsigned>(access));
  using Reg = ibv_mr* (*)(ibv_pd*, void*, std::size_t, int);
  static const auto reg = real<Reg>("ibv_reg_mr", "IBVERBS_1.1");
  return reg(pd, address, length, access);
}

ibv_mr* ibv_reg_mr_iova2(ibv_pd* pd, void* address, std::size_t length, std::uint64_t iova, unsigned access) {
  const auto at = reinterpret_cast<std::uint64_t>(address);
  if (standin_kind_of(at) != 0) return register_device(pd, at, length, iova, access);
  using Reg = ibv_mr* (*)(ibv_pd*, void*, std::size_t, std::uint64_t, unsigned);
  static const auto reg = real<Reg>("ibv_reg_mr_iova2", "IBVERBS_1.8");
  return reg(pd, address, length, iova, access);
}

/// The rules are those of ibv_reg_dmabuf_mr(3).
ibv_mr* ibv_reg_dmabuf_mr(ibv_pd* pd, std::uint64_t offset, std::size_t length, std::uint64_t iova, int descriptor,
                          int access) {
  std::size_t bytes = 0;
  void* mapped = descriptor < 0 ? nullptr : standin_map_dmabuf(descriptor, &bytes);
  if (mapped == nullptr) {
    errno = EBADF;  // also what a NIC that knows dma-bufs says to a descriptor of -1
    return nullptr;
  }
  if (offset % kPage != iova % kPage || (access & ~kAllowed) != 0 || offset > bytes || length > bytes - offset) {
    munmap(mapped, bytes);
    errno = EINVAL;
    return nullptr;
  }
  return register_mapped(pd, mapped, bytes, offset, length, iova, static_cast<unsigned>(access));
}

int ibv_dereg_mr(ibv_mr* region) {
  std::uint64_t key = 0;
  {
    const std::lock_guard lock(mutex);
    const auto found = registered.find(region);
    if (found != registered.end()) {
      key = found->second;
      registered.erase(found);  // before somebody else's registration gets its address
    }
  }
  using Dereg = int (*)(ibv_mr*);
  static const auto dereg = real<Dereg>("ibv_dereg_mr", "IBVERBS_1.1");
  const int error = dereg(region);
  if (key != 0) standin_deregister(key);  // what the NIC wrote until now counts
  return error;
}
}
