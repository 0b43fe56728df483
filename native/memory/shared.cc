#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <utility>

#include "memory/mapping.h"
#include "memory/region.h"

namespace weightcast::memory {
namespace {

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25  // Linux 6.1; younger than some headers
#endif

/// Pages are reserved in steps, since fallocate gives everything back when a signal interrupts it; and folded into huge
/// pages after each, so that the base pages that this frees are those that the next step takes.
constexpr std::uint64_t kReserveStep = std::uint64_t{16} << 20U;

Status make_error(Code code, const char* call, int error, const std::string& name, std::uint64_t size,
                  const char* advice) {
  return Status::system(code, call, error,
                        "cannot make shared memory " + name + " of " + std::to_string(size) + " bytes: " + advice);
}

/// Where huge pages of an object can be mapped as such. A hint: should another thread map there first, mmap takes
/// another place.
void* aligned_hint(std::uint64_t size) {
  if (size < kTransparentHugePage) return nullptr;
  const std::uint64_t room = size + kTransparentHugePage;
  void* free = mmap(nullptr, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (free == MAP_FAILED) return nullptr;
  munmap(free, room);
  // NOLINTNEXTLINE(performance-no-int-to-ptr): rounded up as a number, which a pointer cannot be
  return reinterpret_cast<void*>(round_up(reinterpret_cast<std::uint64_t>(free), kTransparentHugePage));
}

/// Makes huge pages of the whole ones in a reserved range. False: this kernel does not, or has none left.
///
/// It costs 0.2 s a GiB and gives back more: whoever fills the object first spares a page fault every 4 KiB (38 instead
/// of 3 GB/s where a hypervisor is below), and whoever copies from it later reads 21.5 instead of 14 to 17.5 GB/s with
/// two threads, as much as from anonymous memory. Unlike MADV_HUGEPAGE this works on a /dev/shm that is mounted without
/// huge=, which is the default everywhere.
bool fold(std::byte* base, std::uint64_t length) {
  if (reinterpret_cast<std::uint64_t>(base) % kTransparentHugePage != 0) return false;
  for (std::uint64_t at = 0; at + kTransparentHugePage <= length; at += kTransparentHugePage) {
    if (madvise(base + at, kTransparentHugePage, MADV_COLLAPSE) != 0) return false;
  }
  return true;
}

Status reserve(int fd, std::byte* base, const std::string& name, std::uint64_t size) {
  bool folds = true;
  for (std::uint64_t offset = 0; offset < size;) {
    const std::uint64_t length = std::min(kReserveStep, size - offset);
    const int error = posix_fallocate(fd, static_cast<off_t>(offset), static_cast<off_t>(length));
    if (error == EINTR) continue;
    if (error != 0) {
      return make_error(
          Code::kOutOfMemory, "posix_fallocate", error, name, size,
          "/dev/shm cannot hold it; enlarge it (mount -o remount,size=..., docker --shm-size) or remove old "
          "objects");
    }
    folds = folds && fold(base + offset, length);
    offset += length;
  }
  return Status::success();
}

/// Keeps the object open for reading only: what is handed to another process must not let it write.
class SharedRegion final : public MappedRegion {
 public:
  SharedRegion(Mapping mapping, std::uint64_t size, int readable, Placement placement)
      : MappedRegion(RegionKind::kShared, std::move(mapping), 0, size, base_page_size(), true),
        readable_(readable),
        placement_(std::move(placement)) {}
  SharedRegion(const SharedRegion&) = delete;
  SharedRegion& operator=(const SharedRegion&) = delete;
  SharedRegion(SharedRegion&&) = delete;
  SharedRegion& operator=(SharedRegion&&) = delete;
  ~SharedRegion() override {
    if (readable_ >= 0) close(readable_);
  }

  [[nodiscard]] const Placement* placement() const override { return placement_.asked_for() ? &placement_ : nullptr; }
  [[nodiscard]] std::optional<Share> share() const override {
    if (readable_ < 0) return std::nullopt;
    return Share{.descriptor = readable_, .offset = 0};
  }

 private:
  int readable_;  // -1: could not be opened
  Placement placement_;
};

Result<RegionPtr> map_shared(int fd, const std::string& name, std::uint64_t size, const NodeOfEach& nodes,
                             topology::Kernel& kernel) {
  void* base = mmap(aligned_hint(size), size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (base == MAP_FAILED) return make_error(Code::kOutOfMemory, "mmap", errno, name, size, "it cannot be mapped");
  Mapping mapping(base, size);
  // The object's, for whoever maps it: a policy of shared memory is not the mapping's.
  Placement placement = place(mapping.base(), round_up(size, base_page_size()), base_page_size(), nodes, kernel);
  (void)madvise(base, size, MADV_HUGEPAGE);  // lets faults take huge pages where /dev/shm is mounted with huge=advise
  if (Status status = reserve(fd, mapping.base(), name, size); !status.ok()) return status;
  const int readable = open(("/proc/self/fd/" + std::to_string(fd)).c_str(), O_RDONLY | O_CLOEXEC);
  return RegionPtr(std::make_shared<SharedRegion>(std::move(mapping), size, readable, std::move(placement)));
}

}  // namespace

Result<RegionPtr> create_shared(const std::string& name, std::uint64_t size, const NodeOfEach& nodes,
                                topology::Kernel& kernel) {
  const std::string path = name.starts_with('/') ? name : "/" + name;
  if (path.size() < 2 || path.size() > NAME_MAX || path.find('/', 1) != std::string::npos ||
      path.find('\0') != std::string::npos || path == "/." || path == "/..") {
    return Status::error(Code::kInvalidArgument, "shared memory name '" + name + "' must have 1 to " +
                                                     std::to_string(NAME_MAX - 1) + " characters and no '/' in it");
  }
  if (Status status = check_size(size, "shared memory"); !status.ok()) return status;
  if (Status status = check_available(size, "shared memory"); !status.ok()) return status;
  const int fd = shm_open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (fd < 0) {
    const int error = errno;
    return error == EEXIST
               ? make_error(Code::kAlreadyExists, "shm_open", error, path, size,
                            "an object of that name exists; choose another name, or remove it from /dev/shm")
               : make_error(Code::kIo, "shm_open", error, path, size, "/dev/shm does not let it");
  }
  auto region = map_shared(fd, path, size, nodes, kernel);
  close(fd);
  // The caller never had this object: leaving it would make the next attempt fail with kAlreadyExists.
  if (!region.ok()) (void)shm_unlink(path.c_str());
  return region;
}

}  // namespace weightcast::memory
