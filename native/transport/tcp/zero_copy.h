#pragma once

#include <sys/socket.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <optional>

#include "memory/region.h"

namespace weightcast::transport::tcp {

/// When a server sends large answers out of the region itself (MSG_ZEROCOPY) instead of out of the kernel's copy.
/// `kAuto`: where a try on the connection showed that the kernel does not copy after all. `kAlways`: without asking.
enum class ZeroCopy : std::uint8_t { kAuto, kNever, kAlways };

/// What became of it, over all connections of a server.
struct ZeroCopyCounters {
  std::atomic<std::uint64_t> bytes = 0;    ///< that the kernel said it had taken from the region, without a copy
  std::atomic<std::uint64_t> refused = 0;  ///< connections that went back to plain sends: the kernel copied, or cannot
  std::atomic<std::uint64_t> crowded = 0;  ///< pieces sent plainly since a limit (optmem_max, RLIMIT_MEMLOCK) was met
};

/// One message of a socket's error queue: sends `first` to `last` (numbered per socket, from 0, modulo 2^32) are done
/// with their memory.
struct Completion {
  std::uint32_t first = 0;
  std::uint32_t last = 0;
  bool copied = false;  ///< the kernel copied them after all

  /// What a message received with MSG_ERRQUEUE says; nothing when it is about something else.
  static std::optional<Completion> of(msghdr& message);
};

/// The zero-copy sends of one connection. Keeps the region of each until the kernel is done with its memory; whoever
/// destroys this before `in_flight` is false must reset the connection first, so that no packet is sent again out of
/// memory that has another use by then. (The kernel has pinned the pages: it is the bytes that would be wrong, never
/// the access.) For one thread.
///
/// A copy that the kernel makes later, because what the packet meets cannot leave it in place (loopback, veth, tap, a
/// packet capture, a device without scatter/gather or checksums), costs more than the one that was avoided. Only the
/// completion tells, so `kAuto` sends one small piece to learn it, and plainly meanwhile; from the first completion
/// with SO_EE_CODE_ZEROCOPY_COPIED on the connection sends plainly for good, as the kernel's documentation
/// (networking/msg_zerocopy.rst, "Deferred copies") advises.
class ZeroCopySends {
 public:
  ZeroCopySends(ZeroCopy choice, ZeroCopyCounters& counters) : choice_(choice), counters_(counters) {}

  /// How many of `bytes` to send next with MSG_ZEROCOPY; 0: send plainly.
  [[nodiscard]] std::uint64_t piece(int socket, std::uint64_t bytes);
  /// A send with MSG_ZEROCOPY took `bytes`, more than 0, of `region`.
  void sent(memory::RegionPtr region, std::uint64_t bytes);
  /// A send with MSG_ZEROCOPY was ENOBUFS: that piece is to be sent plainly.
  void crowded();
  /// Reads the socket's error queue if sends are in flight; whether one of them was done. To be called whenever the
  /// socket reports an error, which it does until the queue is empty.
  bool collect(int socket);
  void completed(const Completion& completion);
  [[nodiscard]] bool in_flight() const { return !sends_.empty(); }

 private:
  /// What is known of the connection.
  enum class Verdict : std::uint8_t { kUnknown, kAsked, kPays, kDoesNotPay };

  struct Sent {
    memory::RegionPtr region;  // null: done
    std::uint64_t bytes = 0;
  };

  void refuse();

  ZeroCopy choice_;
  ZeroCopyCounters& counters_;
  Verdict verdict_ = Verdict::kUnknown;
  bool enabled_ = false;
  std::uint32_t first_ = 0;  // number of sends_.front()
  std::deque<Sent> sends_;
};

}  // namespace weightcast::transport::tcp
