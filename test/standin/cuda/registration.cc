#include "registration.h"

#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "context.h"
#include "ledger.h"
#include "memory.h"
#include "standin.h"

using standin::AddressSpace;
using standin::Kind;
using standin::Ledger;
using standin::Piece;
using standin::Range;
using weightcast::cuda::DevicePointer;

namespace {

struct Registration {
  DevicePointer address = 0;
  std::size_t bytes = 0;
  bool writable = false;
  int device = 0;
  std::vector<Piece> pieces{};  // the NIC holds the memory, also when it was freed
  std::uint64_t seen = 0;       // digest of the bytes at the last flush
  bool copied = false;          // by the driver as well: the digest says nothing
};
std::map<std::uint64_t, Registration> registrations;  // guarded by the ledger's lock
std::uint64_t last_key = 0;

std::uint64_t digest(const std::vector<Piece>& pieces) {
  std::uint64_t sum = 0xcbf29ce484222325;
  for (const Piece& piece : pieces) {
    const std::byte* at = piece.physical->shadow() + piece.offset;
    const std::byte* const end = at + piece.bytes;
    for (; end - at >= 8; at += 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, at, 8);
      sum = (sum ^ word) * 0x100000001b3;
      sum ^= sum >> 29U;
    }
    for (; at != end; ++at) sum = (sum ^ static_cast<std::uint64_t>(*at)) * 0x100000001b3;
  }
  return sum;
}

/// Counts the registration at each range that it touches; says whether the driver's copies of all of them wait.
bool mark(const Registration& registration, int change) {
  bool synchronous = true;
  for (DevicePointer at = registration.address; at < registration.address + registration.bytes;) {
    Range* range = AddressSpace::get().find(at);
    if (range == nullptr) break;
    range->registrations += change;
    synchronous =
        synchronous && (range->kind == Kind::kVirtual ? standin::copies_wait(range->device) : range->synchronous);
    at = range->base + range->bytes;
  }
  return synchronous;
}

}  // namespace

void standin::note_flush(int device) {
  for (auto& [key, each] : registrations) {
    if (each.writable && each.device == device) each.seen = digest(each.pieces);
  }
}

void standin::note_copy(DevicePointer address, std::size_t bytes) {
  for (auto& [key, each] : registrations) {
    if (each.address < address + bytes && address < each.address + each.bytes) each.copied = true;
  }
}

extern "C" {

std::uint64_t standin_register(std::uint64_t address, std::size_t bytes, int writable) {
  Ledger& ledger = Ledger::get();
  const std::lock_guard lock(ledger.mutex);
  Registration made{.address = address, .bytes = bytes, .writable = writable != 0};
  made.pieces = AddressSpace::get().pieces(address, bytes);
  if (const Range* range = AddressSpace::get().find(address)) made.device = range->device;
  if (made.writable) made.seen = digest(made.pieces);
  if (!mark(made, 1)) {
    (void)ledger.fault(standin::Code::kSuccess,
                       "memory at " + standin::hex(address) + " was registered without SYNC_MEMOPS");
  }
  ++ledger.alive["registrations"];
  registrations[++last_key] = std::move(made);
  return last_key;
}

void standin_deregister(std::uint64_t key) {
  Ledger& ledger = Ledger::get();
  const std::lock_guard lock(ledger.mutex);
  const auto found = registrations.find(key);
  if (found == registrations.end()) {
    (void)ledger.fault(standin::Code::kSuccess, "what is not registered was deregistered");
    return;
  }
  const Registration& each = found->second;
  if (each.writable && !each.copied && digest(each.pieces) != each.seen) ++ledger.unflushed;
  (void)mark(each, -1);
  --ledger.alive["registrations"];
  registrations.erase(found);
}

int standin_unflushed() {
  const std::lock_guard lock(Ledger::get().mutex);
  return Ledger::get().unflushed;
}
}
