#include <sys/mman.h>

#include <cerrno>
#include <utility>

#include "memory/limits.h"
#include "memory/mapping.h"
#include "memory/region.h"

namespace weightcast::memory {
namespace {

constexpr int kProtection = PROT_READ | PROT_WRITE;
constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS;

class AnonymousRegion final : public MappedRegion {
 public:
  AnonymousRegion(Mapping mapping, std::uint64_t size, std::uint64_t page_size, Placement placement)
      : MappedRegion(RegionKind::kAnonymous, std::move(mapping), 0, size, page_size, true),
        placement_(std::move(placement)) {}
  [[nodiscard]] const Placement* placement() const override { return placement_.asked_for() ? &placement_ : nullptr; }

 private:
  Placement placement_;
};

/// Where pages are to come from.
struct Wish {
  const NodeOfEach& nodes;
  topology::Kernel& kernel;
};

RegionPtr make_region(void* base, std::uint64_t mapped, std::uint64_t size, std::uint64_t page_size, const Wish& wish) {
  Mapping mapping(base, mapped);
  Placement placement = place(mapping.base(), mapped, page_size, wish.nodes, wish.kernel);
  return std::make_shared<AnonymousRegion>(std::move(mapping), size, page_size, std::move(placement));
}

/// From the pool of huge pages; they are reserved by mmap, so that touching them cannot fail later. Null with errno.
RegionPtr map_huge(std::uint64_t size, std::uint64_t page_size, const Wish& wish) {
  const std::uint64_t mapped = round_up(size, page_size);
  void* base = mmap(nullptr, mapped, kProtection, kFlags | MAP_HUGETLB, -1, 0);
  return base == MAP_FAILED ? nullptr : make_region(base, mapped, size, page_size, wish);
}

/// Base pages, placed so that transparent huge pages can back all of it. Null with errno.
RegionPtr map_base(std::uint64_t size, bool transparent_huge_pages, const Wish& wish) {
  const std::uint64_t page = base_page_size();
  const std::uint64_t mapped = round_up(size, page);
  const std::uint64_t slack = transparent_huge_pages && size >= kTransparentHugePage ? kTransparentHugePage - page : 0;
  void* reserved = mmap(nullptr, mapped + slack, kProtection, kFlags, -1, 0);
  if (reserved == MAP_FAILED) return nullptr;
  auto* base = static_cast<std::byte*>(reserved);
  if (slack > 0) {
    const auto address = reinterpret_cast<std::uint64_t>(base);
    const std::uint64_t head = round_up(address, kTransparentHugePage) - address;
    if (head > 0) munmap(base, head);
    if (slack > head) munmap(base + head + mapped, slack - head);
    base += head;
    (void)madvise(base, mapped, MADV_HUGEPAGE);  // EINVAL where the kernel has none: base pages then
  }
  return make_region(base, mapped, size, page, wish);
}

Status mmap_error(std::uint64_t size, int error, const std::string& advice) {
  return Status::system(Code::kOutOfMemory, "mmap", error, "cannot map " + std::to_string(size) + " bytes: " + advice);
}

}  // namespace

Result<RegionPtr> allocate(std::uint64_t size, HugePages huge_pages, const NodeOfEach& nodes,
                           topology::Kernel& kernel) {
  const Wish wish{.nodes = nodes, .kernel = kernel};
  if (Status status = check_size(size, "a region"); !status.ok()) return status;
  if (huge_pages != HugePages::kNever) {
    const Limits limits = read_limits();
    const std::uint64_t huge = limits.huge_page_size;
    const std::uint64_t needed = huge == 0 ? 0 : size / huge + (size % huge == 0 ? 0 : 1);
    // A pool page is never swapped nor shared: a region much smaller than one page is not worth it.
    const bool worth_it = huge_pages == HugePages::kRequire || size >= huge;
    if (huge != 0 && worth_it && needed <= limits.huge_pages_free) {
      if (RegionPtr region = map_huge(size, huge, wish)) return region;
    }
    if (huge_pages == HugePages::kRequire) {
      return mmap_error(size, ENOMEM,
                        huge == 0 ? "this kernel has no huge pages"
                                  : std::to_string(needed) + " huge pages of " + std::to_string(huge) +
                                        " bytes are needed and " + std::to_string(limits.huge_pages_free) +
                                        " are free; raise vm.nr_hugepages");
    }
  }
  if (Status status = check_available(size, "a region"); !status.ok()) return status;
  if (RegionPtr region = map_base(size, huge_pages == HugePages::kAuto, wish)) return region;
  return mmap_error(size, errno,
                    "the kernel refused; see vm.overcommit_memory and the address space limit (ulimit -v)");
}

}  // namespace weightcast::memory
