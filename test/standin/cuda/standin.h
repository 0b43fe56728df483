#pragma once

#include <cstddef>
#include <cstdint>

/// What tests ask of the stand-in for NVIDIA's driver (libcuda.so.1, built of this folder): a test double, for machines
/// without a GPU. Memory of its "devices" is memory of the host that a process cannot load from, as with a GPU: its
/// addresses fault.
///
/// The environment says how it begins: WEIGHTCAST_STANDIN_MODE="dmabuf=0,peermem=1,devices=2" (see standin_mode),
/// WEIGHTCAST_STANDIN_REFUSE="cuMemAlloc=2@1" (see standin_refuse), WEIGHTCAST_STANDIN_REPORT=file (standin_report at
/// exit; %p in the name stands for the process).
extern "C" {
/// Sets a mode: devices (2), dmabuf (1), peermem (0), ordering (0: writes
/// of NICs need a flush), flush (1: the host can ask for it), version (12080), legacy_ipc (1). Those in brackets are
/// how it begins.
void standin_mode(const char* name, int value);
/// Lets call `nth` (from 1; 0: every one) of a function, from now on, return `code` instead of doing anything. A null
/// name: none.
void standin_refuse(const char* function, int code, int nth);
/// Things that are alive: allocations, reservations, mapped chunks, handles, streams, events, pinned ranges, contexts,
/// mappings of other processes' memory, registrations, exports (descriptors that nobody has closed).
int standin_alive();
/// Misuse so far: double free, use after free, a pointer that is none, freeing what a NIC has registered …
int standin_faults();
/// Registrations that NICs could write through and that ended although bytes had changed since their device's last
/// flush: work that runs on it all along need not have seen them.
int standin_unflushed();
/// How often a function was called.
int standin_calls(const char* function);
/// JSON: {"alive": {"allocations": 0, …}, "faults": ["…"], "calls": {"cuMemAlloc": 1, …}, "unflushed": 0}. As many
/// bytes as it takes.
std::size_t standin_report(char* into, std::size_t room);
/// Forgets calls, faults and refusals, and sets the modes back. What is alive stays.
void standin_reset();
/// Managed memory, which cuMemFree frees.
std::uint64_t standin_managed(std::size_t bytes);
/// Whether SYNC_MEMOPS was set on the allocation of an address.
int standin_is_synchronous(std::uint64_t address);

// For the stand-in of libibverbs.
/// 0: no device memory, 1: an allocation, 2: of a virtual mapping, 3: managed.
int standin_kind_of(std::uint64_t address);
int standin_has_peer_memory();
/// A mapping that the processor can use, of the bytes behind device memory, or behind a dma-buf; null where there are
/// not so many. The caller unmaps it.
void* standin_map_range(std::uint64_t address, std::size_t bytes);
void* standin_map_dmabuf(int descriptor, std::size_t* bytes);
/// A NIC has registered [address, address + bytes), and lets go of it.
std::uint64_t standin_register(std::uint64_t address, std::size_t bytes, int writable);
void standin_deregister(std::uint64_t key);
}
