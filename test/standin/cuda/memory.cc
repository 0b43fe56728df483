#include "memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace standin {

std::shared_ptr<Physical> Physical::make(std::size_t bytes) {
  const int descriptor = memfd_create("standin device memory", MFD_CLOEXEC);
  if (descriptor < 0 || ftruncate(descriptor, static_cast<off_t>(bytes)) != 0) return nullptr;
  return adopt(descriptor, bytes);
}

std::shared_ptr<Physical> Physical::adopt(int descriptor, std::size_t bytes) {
  void* shadow = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  if (shadow == MAP_FAILED) return nullptr;
  return std::shared_ptr<Physical>(new Physical(descriptor, bytes, static_cast<std::byte*>(shadow)));
}

Physical::~Physical() {
  munmap(shadow_, bytes_);
  close(descriptor_);
}

AddressSpace& AddressSpace::get() {
  static auto* space = new AddressSpace();
  return *space;
}

AddressSpace::AddressSpace() {
  void* reserved = mmap(nullptr, kBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reserved == MAP_FAILED) std::abort();
  first_ = (reinterpret_cast<DevicePointer>(reserved) + kBlock - 1) & ~(kBlock - 1);
  next_ = first_;
}

DevicePointer AddressSpace::reserve(std::size_t bytes) {
  const auto known = free_.upper_bound(bytes);
  if (known != free_.begin() && std::prev(known)->first == bytes) {
    const DevicePointer address = std::prev(known)->second;
    free_.erase(std::prev(known));
    return address;
  }
  const DevicePointer address = next_;
  // A hole between two: who runs over the end of one must not land in the next.
  next_ += ((bytes + kBlock - 1) & ~(kBlock - 1)) + kBlock;
  return address;
}

void AddressSpace::give_back(DevicePointer address, std::size_t bytes) { free_.emplace(bytes, address); }

Range& AddressSpace::add(Range range) {
  range.buffer_id = ++last_buffer_id_;
  const DevicePointer base = range.base;
  return ranges_[base] = std::move(range);
}

Range* AddressSpace::find(DevicePointer address) {
  auto after = ranges_.upper_bound(address);
  if (after == ranges_.begin()) return nullptr;
  Range& range = std::prev(after)->second;
  return address < range.base + range.bytes ? &range : nullptr;
}

std::vector<Piece> AddressSpace::pieces(DevicePointer address, std::size_t bytes) {
  std::vector<Piece> found;
  while (bytes > 0) {
    const Range* range = find(address);
    if (range == nullptr || !range->accessible) return {};
    const std::size_t skip = address - range->base;
    const std::size_t part = std::min(bytes, range->bytes - skip);
    found.push_back({range->physical, range->offset + skip, part});
    address += part;
    bytes -= part;
  }
  return found;
}

std::vector<Piece> AddressSpace::block_pieces(DevicePointer address, std::size_t bytes) {
  std::vector<Piece> found;
  while (bytes > 0) {
    // Rounded to pages, a range may begin before its allocation or end behind it.
    const auto inside = std::find_if(ranges_.begin(), ranges_.end(), [&](const auto& each) {
      const DevicePointer start = each.second.base - each.second.offset;
      return address >= start && address < start + each.second.physical->bytes();
    });
    if (inside == ranges_.end() || !inside->second.accessible) return {};
    const Range& range = inside->second;
    const DevicePointer start = range.base - range.offset;
    const std::size_t skip = address - start;
    const std::size_t part = std::min(bytes, range.physical->bytes() - skip);
    found.push_back({range.physical, skip, part});
    address += part;
    bytes -= part;
  }
  return found;
}

void* map_pieces(const std::vector<Piece>& pieces) {
  std::size_t bytes = 0;
  for (const Piece& piece : pieces) bytes += piece.bytes;
  if (bytes == 0) return nullptr;
  void* whole = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (whole == MAP_FAILED) return nullptr;
  auto* at = static_cast<std::byte*>(whole);
  for (const Piece& piece : pieces) {
    if (mmap(at, piece.bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, piece.physical->descriptor(),
             static_cast<off_t>(piece.offset)) == MAP_FAILED) {
      munmap(whole, bytes);
      return nullptr;
    }
    at += piece.bytes;
  }
  return whole;
}

std::string hex(DevicePointer address) {
  char text[24];
  (void)std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(address));
  return text;
}

}  // namespace standin
