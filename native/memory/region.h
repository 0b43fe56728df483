#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "common/status.h"
#include "memory/placement.h"

namespace weightcast::memory {

class DeviceRegion;

enum class RegionKind : std::uint8_t { kAnonymous, kShared, kFile, kAdopted, kDevice };
enum class HugePages : std::uint8_t { kAuto, kNever, kRequire };

/// By what another process of this host can have a region's bytes. The descriptor is the region's, open for reading
/// only.
struct Share {
  int descriptor;
  std::uint64_t offset;  ///< of the region's first byte
};

/// A range of memory, of this host or of an accelerator (`DeviceRegion`), that outlives every user of it: the
/// JavaScript handle, each memory region registered on it, each transfer in flight and each exported window hold a
/// `shared_ptr`. The last owner to go unmaps it.
///
/// Thread-safe: immutable after construction. The bytes themselves are the owner's business.
class Region {
 public:
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;
  virtual ~Region() = default;

  [[nodiscard]] RegionKind kind() const { return kind_; }
  [[nodiscard]] std::byte* data() const { return data_; }
  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] std::uint64_t address() const { return reinterpret_cast<std::uint64_t>(data_); }
  /// Bytes of one page of the mapping: 4096, or 2 MiB where huge pages back it.
  [[nodiscard]] std::uint64_t page_size() const { return page_size_; }
  [[nodiscard]] bool writable() const { return writable_; }

  /// Copies bytes out without ever faulting: a file mapping is read with pread, since a file that was cut short under
  /// its mapping raises SIGBUS on a plain load. kOutOfRange when the range leaves the region, kIo on a short file.
  [[nodiscard]] virtual Status copy_out(std::uint64_t offset, std::span<std::byte> into) const;
  /// True when loads from `data()` cannot fault, so that `copy_out` is not needed.
  [[nodiscard]] virtual bool safe_to_load() const { return true; }
  /// This region when it is an accelerator's memory, else null.
  [[nodiscard]] virtual const DeviceRegion* on_device() const { return nullptr; }
  /// On which nodes its pages are to come from; null where nobody asked for any.
  [[nodiscard]] virtual const Placement* placement() const { return nullptr; }
  /// None for memory that is this process's alone.
  [[nodiscard]] virtual std::optional<Share> share() const { return std::nullopt; }

 protected:
  Region(RegionKind kind, std::byte* data, std::uint64_t size, std::uint64_t page_size, bool writable)
      : kind_(kind), data_(data), size_(size), page_size_(page_size), writable_(writable) {}

 private:
  RegionKind kind_;
  std::byte* data_;
  std::uint64_t size_;
  std::uint64_t page_size_;
  bool writable_;
};

using RegionPtr = std::shared_ptr<const Region>;

/// Zeroed anonymous pages, page aligned. kAuto takes 2 MiB pages when the pool has enough of them, else base pages with
/// MADV_HUGEPAGE. kOutOfMemory when mmap refuses or when the size exceeds what the host (MemAvailable, cgroup) can
/// give: asked first, because touching pages that are not there ends in the OOM killer instead of an error. With
/// `nodes`, pages come from the nodes of the NICs that will reach them; a refusal is in the region's `placement`, and
/// no failure.
Result<RegionPtr> allocate(std::uint64_t size, HugePages huge_pages, const NodeOfEach& nodes = {},
                           topology::Kernel& kernel = topology::system_kernel());

/// A new POSIX shared memory object `/name` of exactly `size` bytes, mapped read-write, its pages reserved (fallocate),
/// so that a full /dev/shm is kOutOfMemory here and not SIGBUS later, and folded into huge pages where the kernel can.
/// The object stays until unlinked by the caller (an error or a dropped region never unlinks it). kAlreadyExists when
/// the name is taken. `nodes` as of `allocate`.
Result<RegionPtr> create_shared(const std::string& name, std::uint64_t size, const NodeOfEach& nodes = {},
                                topology::Kernel& kernel = topology::system_kernel());

/// A read-only shared mapping of [offset, offset + size) of a file; `offset` need not be page aligned. kOutOfRange when
/// the file is shorter.
Result<RegionPtr> map_file(const std::string& path, std::uint64_t offset, std::uint64_t size);

/// The same of an open file, whose descriptor is taken over; `path` names it in messages.
Result<RegionPtr> map_descriptor(int descriptor, const std::string& path, std::uint64_t offset, std::uint64_t size);

/// Memory that somebody else owns and keeps alive. `keep_alive` is dropped with the region.
Result<RegionPtr> adopt(std::byte* data, std::uint64_t size, bool writable, std::shared_ptr<void> keep_alive);

/// Fills `into` with the bytes of `from` (same size), with `threads` threads; used where a file cannot be pinned, and
/// between a host and an accelerator: either may be a DeviceRegion. `into` must be writable.
Status copy(const Region& from, const Region& into, unsigned threads);

/// Copies bytes to `offset` of a region, of an accelerator too; waits. kOutOfRange when they leave it,
/// kInvalidArgument when it is read-only, kDevice.
Status copy_in(const Region& into, std::uint64_t offset, std::span<const std::byte> bytes);

}  // namespace weightcast::memory
