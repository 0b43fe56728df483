#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cuda/api.h"

namespace standin {

using weightcast::cuda::DevicePointer;

inline constexpr std::size_t kBlock = std::size_t{2} << 20U;  // in which a real driver maps memory, too

/// Bytes behind device memory: a memfd, with a mapping that only this library knows.
class Physical {
 public:
  static std::shared_ptr<Physical> make(std::size_t bytes);
  /// Of another process; the descriptor is taken over.
  static std::shared_ptr<Physical> adopt(int descriptor, std::size_t bytes);
  ~Physical();
  Physical(const Physical&) = delete;
  Physical& operator=(const Physical&) = delete;

  [[nodiscard]] int descriptor() const { return descriptor_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  [[nodiscard]] std::byte* shadow() const { return shadow_; }

 private:
  Physical(int descriptor, std::size_t bytes, std::byte* shadow)
      : descriptor_(descriptor), bytes_(bytes), shadow_(shadow) {}
  int descriptor_;
  std::size_t bytes_;
  std::byte* shadow_;
};

enum class Kind : int { kNone = 0, kAllocation = 1, kVirtual = 2, kManaged = 3, kForeign = 4 };

/// What one address range is: a cuMemAlloc, a chunk mapped by cuMemMap, another process's memory.
struct Range {
  DevicePointer base = 0;
  std::size_t bytes = 0;
  Kind kind = Kind::kNone;
  int device = 0;
  std::uint64_t buffer_id = 0;
  std::shared_ptr<Physical> physical{};
  std::size_t offset = 0;  // in physical
  bool accessible = true;
  bool synchronous = false;
  int registrations = 0;
};

/// A piece of bytes behind a range of addresses.
struct Piece {
  std::shared_ptr<Physical> physical{};
  std::size_t offset;
  std::size_t bytes;
};

/// Addresses of device memory, and what is behind them. Under the ledger's lock.
class AddressSpace {
 public:
  static AddressSpace& get();

  /// Addresses of which nothing can be loaded. Those that were given back last are given first.
  DevicePointer reserve(std::size_t bytes);
  void give_back(DevicePointer address, std::size_t bytes);
  [[nodiscard]] bool is_device(DevicePointer address) const { return address >= first_ && address < first_ + kBytes; }

  /// With a new buffer id.
  Range& add(Range range);
  void remove(DevicePointer base) { ranges_.erase(base); }
  /// The range that holds an address; null.
  Range* find(DevicePointer address);
  /// What is behind [address, address + bytes); empty where a part is not mapped or not accessible.
  std::vector<Piece> pieces(DevicePointer address, std::size_t bytes);
  /// The same, of blocks of 2 MiB instead of allocations.
  std::vector<Piece> block_pieces(DevicePointer address, std::size_t bytes);

 private:
  AddressSpace();
  static constexpr std::size_t kBytes = std::size_t{64} << 30U;
  DevicePointer first_ = 0;
  DevicePointer next_ = 0;
  std::multimap<std::size_t, DevicePointer> free_;  // by size
  std::map<DevicePointer, Range> ranges_;
  std::uint64_t last_buffer_id_ = 0;
};

/// A contiguous mapping of pieces, which begin and end on pages; null.
void* map_pieces(const std::vector<Piece>& pieces);

/// Descriptors that were given out and are open still (sharing.cc).
std::size_t open_exports();
void note_export(int descriptor);

std::string hex(DevicePointer address);

}  // namespace standin
