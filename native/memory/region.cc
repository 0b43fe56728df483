#include "memory/region.h"

#include <unistd.h>

#include <cstring>

#include "memory/limits.h"
#include "memory/mapping.h"

namespace weightcast::memory {
namespace {

/// The user half of a 57-bit address space; more than any machine has.
constexpr std::uint64_t kLargestSize = std::uint64_t{1} << 56U;

class AdoptedRegion final : public Region {
 public:
  AdoptedRegion(std::byte* data, std::uint64_t size, bool writable, std::shared_ptr<void> keep_alive)
      : Region(RegionKind::kAdopted, data, size, base_page_size(), writable), keep_alive_(std::move(keep_alive)) {}

 private:
  std::shared_ptr<void> keep_alive_;
};

}  // namespace

std::uint64_t base_page_size() {
  static const auto size = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  return size;
}

Status check_size(std::uint64_t size, const char* what) {
  if (size > 0 && size <= kLargestSize) return Status::success();
  return Status::error(Code::kInvalidArgument, std::string("cannot make ") + what + " of " + std::to_string(size) +
                                                   " bytes: expected 1 to 2^56");
}

Status check_available(std::uint64_t size, const char* what) {
  const auto available = read_limits().available;
  if (!available || size <= *available) return Status::success();
  return Status::error(Code::kOutOfMemory,
                       std::string("cannot make ") + what + " of " + std::to_string(size) +
                           " bytes: this host can give " + std::to_string(*available) +
                           " bytes (MemAvailable and the cgroup's memory limit); free memory or raise "
                           "the limit");
}

Status Region::copy_out(std::uint64_t offset, std::span<std::byte> into) const {
  if (offset > size() || into.size() > size() - offset) {
    return Status::error(Code::kOutOfRange, "cannot read " + std::to_string(into.size()) + " bytes at offset " +
                                                std::to_string(offset) + " of a region of " + std::to_string(size()) +
                                                " bytes");
  }
  if (!into.empty()) std::memcpy(into.data(), data() + offset, into.size());
  return Status::success();
}

Result<RegionPtr> adopt(std::byte* data, std::uint64_t size, bool writable, std::shared_ptr<void> keep_alive) {
  if (Status status = check_size(size, "a region"); !status.ok()) return status;
  if (data == nullptr || reinterpret_cast<std::uint64_t>(data) > UINT64_MAX - size) {
    return Status::error(Code::kInvalidArgument, "cannot adopt " + std::to_string(size) +
                                                     " bytes: the address is null or the range wraps around");
  }
  return RegionPtr(std::make_shared<AdoptedRegion>(data, size, writable, std::move(keep_alive)));
}

}  // namespace weightcast::memory
