// Memory for others: dma-bufs for NICs, handles for other processes.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <map>
#include <string>
#include <utility>

#include "context.h"
#include "ledger.h"
#include "memory.h"
#include "standin.h"

namespace cuda = weightcast::cuda;
using cuda::Code;
using cuda::DevicePointer;
using standin::AddressSpace;
using standin::Kind;
using standin::Ledger;
using standin::Physical;
using standin::Piece;
using standin::Range;

namespace {

constexpr std::uint64_t kPage = 4096;

/// A descriptor that was given out. What a dma-buf stands for is known by the inode of the memfd that it is.
struct Export {
  int descriptor;
  std::vector<Piece> pieces;  // that it keeps alive
};
std::map<std::pair<dev_t, ino_t>, Export> dmabufs;           // guarded by the ledger's lock
std::vector<std::pair<int, struct stat>> shareable_handles;  // too

bool is_open(int descriptor, dev_t device, ino_t inode) {
  struct stat status{};
  return fstat(descriptor, &status) == 0 && status.st_dev == device && status.st_ino == inode;
}

/// cuMemAlloc's memory as another process finds it.
struct IpcHandle {
  char magic[8];
  pid_t process;
  int descriptor;
  std::uint64_t inode;  // by now its descriptor's number may be another file's
  std::uint64_t physical_bytes;
  std::uint64_t offset;
  std::uint64_t bytes;
};
static_assert(sizeof(IpcHandle) <= sizeof(cuda::IpcMemHandle));
constexpr char kMagic[8] = "standin";

/// What this process has opened of another one's: the same memory is opened once, and closed as often as opened.
struct Opened {
  std::uint64_t inode;
  std::uint64_t offset;
  int device;
  int references;
};
std::map<DevicePointer, Opened> opened;  // guarded by the ledger's lock

/// Where a handle's memory is open on a device already; 0 where it is not.
DevicePointer open_already(const IpcHandle& handle, int device) {
  for (auto& [pointer, each] : opened) {
    if (each.inode != handle.inode || each.offset != handle.offset || each.device != device) continue;
    ++each.references;
    return pointer;
  }
  return 0;
}

bool in_one_place(const Range& first, DevicePointer last) {
  const Range* other = AddressSpace::get().find(last);
  if (first.kind == Kind::kVirtual)
    return other != nullptr && other->kind == Kind::kVirtual && other->device == first.device;
  const DevicePointer block = first.base - first.offset;
  return last < block + first.physical->bytes();
}

}  // namespace

std::size_t standin::open_exports() {
  std::erase_if(dmabufs,
                [](const auto& each) { return !is_open(each.second.descriptor, each.first.first, each.first.second); });
  std::erase_if(shareable_handles,
                [](const auto& each) { return !is_open(each.first, each.second.st_dev, each.second.st_ino); });
  return dmabufs.size() + shareable_handles.size();
}

void standin::note_export(int descriptor) {
  struct stat status{};
  if (fstat(descriptor, &status) == 0) shareable_handles.emplace_back(descriptor, status);
}

extern "C" {

Code cuMemGetHandleForAddressRange(void* handle, DevicePointer pointer, std::size_t bytes, cuda::RangeHandleType type,
                                   std::uint64_t flags) {
  STANDIN_ENTER("cuMemGetHandleForAddressRange");
  STANDIN_NEED_CONTEXT(device);
  (void)device;
  Ledger& ledger = Ledger::get();
  if (ledger.mode("dmabuf") == 0) return Code::kNotSupported;
  if (type != cuda::RangeHandleType::kDmabufDescriptor || flags != 0)
    return ledger.fault(Code::kInvalidValue, "an export with flags");
  if (pointer % kPage != 0 || bytes % kPage != 0 || bytes == 0)
    return ledger.fault(Code::kInvalidValue, "an export of what does not begin and end on pages");
  // The first page may begin before its allocation, which shares it with another one.
  const Range* range = nullptr;
  for (DevicePointer at = pointer; range == nullptr && at < pointer + kPage; at += 512)
    range = AddressSpace::get().find(at);
  if (range == nullptr || range->kind == Kind::kManaged || !in_one_place(*range, pointer + bytes - 1))
    return ledger.fault(Code::kInvalidValue, "an export of " + std::to_string(bytes) + " bytes at " +
                                                 standin::hex(pointer) +
                                                 ", which do not lie in one allocation or mapping");
  auto pieces = AddressSpace::get().block_pieces(pointer, bytes);
  if (pieces.empty()) return ledger.fault(Code::kInvalidValue, "an export of memory that is not all mapped");
  const int descriptor = memfd_create("standin dma-buf", MFD_CLOEXEC);
  struct stat status{};
  if (descriptor < 0 || fstat(descriptor, &status) != 0) return Code::kUnknown;
  (void)standin::open_exports();
  dmabufs[{status.st_dev, status.st_ino}] = Export{.descriptor = descriptor, .pieces = std::move(pieces)};
  *static_cast<int*>(handle) = descriptor;
  return Code::kSuccess;
}

void* standin_map_dmabuf(int descriptor, std::size_t* bytes) {
  const std::lock_guard lock(Ledger::get().mutex);
  struct stat status{};
  if (fstat(descriptor, &status) != 0) return nullptr;
  const auto found = dmabufs.find({status.st_dev, status.st_ino});
  if (found == dmabufs.end()) return nullptr;
  *bytes = 0;
  for (const Piece& piece : found->second.pieces) *bytes += piece.bytes;
  return standin::map_pieces(found->second.pieces);
}

Code cuIpcGetMemHandle(cuda::IpcMemHandle* handle, DevicePointer pointer) {
  STANDIN_ENTER("cuIpcGetMemHandle");
  STANDIN_NEED_CONTEXT(device);
  (void)device;
  const Range* range = AddressSpace::get().find(pointer);
  if (range == nullptr || range->kind != Kind::kAllocation) return Code::kInvalidValue;
  if (Ledger::get().mode("legacy_ipc") == 0) return Code::kNotSupported;
  IpcHandle made{};
  std::memcpy(made.magic, kMagic, sizeof made.magic);
  struct stat status{};
  if (fstat(range->physical->descriptor(), &status) != 0) return Code::kUnknown;
  made.inode = status.st_ino;
  made.process = getpid();
  made.descriptor = range->physical->descriptor();
  made.physical_bytes = range->physical->bytes();
  made.offset = range->offset;
  made.bytes = range->bytes;
  std::memset(handle, 0, sizeof *handle);
  std::memcpy(handle, &made, sizeof made);
  return Code::kSuccess;
}

Code cuIpcOpenMemHandle_v2(DevicePointer* pointer, cuda::IpcMemHandle handle, unsigned flags) {
  STANDIN_ENTER("cuIpcOpenMemHandle");
  STANDIN_NEED_CONTEXT(device);
  IpcHandle given{};
  std::memcpy(&given, &handle, sizeof given);
  if (std::memcmp(given.magic, kMagic, sizeof given.magic) != 0 || flags != cuda::kIpcLazyEnablePeerAccess)
    return Code::kInvalidValue;
  if (given.process == getpid()) return Code::kInvalidContext;  // as the driver does
  if (const DevicePointer known = open_already(given, device); known != 0) {
    *pointer = known;
    return Code::kSuccess;
  }
  const std::string path = "/proc/" + std::to_string(given.process) + "/fd/" + std::to_string(given.descriptor);
  const int descriptor = open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (descriptor < 0) return Code::kInvalidHandle;
  struct stat status{};
  if (fstat(descriptor, &status) != 0 || status.st_ino != given.inode) {
    close(descriptor);
    return Code::kInvalidHandle;  // freed meanwhile
  }
  Range range{.bytes = given.bytes, .kind = Kind::kForeign, .device = device};
  range.physical = Physical::adopt(descriptor, given.physical_bytes);
  if (range.physical == nullptr) return Code::kInvalidHandle;
  range.offset = given.offset;
  range.base = AddressSpace::get().reserve(given.physical_bytes) + given.offset;
  *pointer = range.base;
  opened[range.base] = {.inode = given.inode, .offset = given.offset, .device = device, .references = 1};
  AddressSpace::get().add(std::move(range));
  ++Ledger::get().alive["foreign mappings"];
  return Code::kSuccess;
}

Code cuIpcCloseMemHandle(DevicePointer pointer) {
  STANDIN_ENTER("cuIpcCloseMemHandle");
  STANDIN_NEED_CONTEXT(device);
  (void)device;
  AddressSpace& space = AddressSpace::get();
  const Range* range = space.find(pointer);
  if (range == nullptr || range->kind != Kind::kForeign || range->base != pointer)
    return Ledger::get().fault(Code::kInvalidValue, "cuIpcCloseMemHandle of what was not opened");
  if (--opened[pointer].references > 0) return Code::kSuccess;
  opened.erase(pointer);
  if (range->registrations > 0)
    (void)Ledger::get().fault(Code::kSuccess, "memory was unmapped that a NIC has registered");
  const DevicePointer block = range->base - range->offset;
  const std::size_t bytes = range->physical->bytes();
  space.remove(pointer);
  space.give_back(block, bytes);
  --Ledger::get().alive["foreign mappings"];
  return Code::kSuccess;
}
}
