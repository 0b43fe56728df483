#include "transport/local/peer.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace weightcast::transport::local {
namespace {

using tcp::Fd;

constexpr std::size_t kScatter = 256;  // 4 KiB of stack

void set_timeout(int fd, std::chrono::milliseconds timeout) {
  const timeval value{.tv_sec = timeout.count() / 1000, .tv_usec = (timeout.count() % 1000) * 1000};
  (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &value, sizeof(value));
  (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &value, sizeof(value));
}

/// What is left of a slice's segments.
class Cursor {
 public:
  explicit Cursor(std::span<const Segment> segments) : segments_(segments) {}
  [[nodiscard]] bool done() const { return segments_.empty(); }

  /// The next vectors, and how many bytes they take.
  std::pair<std::span<iovec>, std::uint64_t> fill(std::span<iovec, kScatter> vectors) const {
    const std::size_t count = std::min(vectors.size(), segments_.size());
    std::uint64_t bytes = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint32_t skip = i == 0 ? offset_ : 0;
      vectors[i] = {.iov_base = segments_[i].address + skip, .iov_len = segments_[i].length - skip};
      bytes += vectors[i].iov_len;
    }
    return {vectors.first(count), bytes};
  }

  void advance(std::uint64_t bytes) {
    while (!segments_.empty() && bytes >= segments_.front().length - offset_) {
      bytes -= segments_.front().length - offset_;
      segments_ = segments_.subspan(1);
      offset_ = 0;
    }
    offset_ += static_cast<std::uint32_t>(bytes);
  }

 private:
  std::span<const Segment> segments_;
  std::uint32_t offset_ = 0;  // into the first
};

struct Received {
  Reply reply;
  std::vector<Fd> descriptors;
};

Result<Received> receive(int socket) {
  Received received;
  iovec vector{.iov_base = &received.reply, .iov_len = sizeof(received.reply)};
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE((kMostDescriptors + 1) * sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t count = 0;
  bool was_reset = false;
  do {
    // A seed that answered and closed before it read our hello is reported as a reset once, before its answer.
    was_reset = count < 0 && errno == ECONNRESET;
    count = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (count < 0 && (errno == EINTR || (errno == ECONNRESET && !was_reset)));
  const int error = errno;
  for (cmsghdr* header = count < 0 ? nullptr : CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    std::vector<int> passed((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    std::memcpy(passed.data(), CMSG_DATA(header), passed.size() * sizeof(int));
    for (const int fd : passed) received.descriptors.emplace_back(fd);
  }
  if (count < 0) return Status::system(Code::kPeerLost, "recvmsg", error, "the seed's local socket does not answer");
  if ((message.msg_flags & MSG_CTRUNC) != 0) {
    return Status::error(Code::kRemoteAccess,
                         "the seed's descriptors do not fit this process's open file limit; raise it (ulimit -n)");
  }
  if (count != sizeof(Reply) || received.reply.magic != kMagic) {
    return Status::error(Code::kProtocol, "what answers at the seed's local socket is no Weightcast seed");
  }
  return received;
}

std::string refusal(Verdict verdict) {
  switch (verdict) {
    case Verdict::kOtherUser:
      return "the seed on this host serves processes of its own user, and root's, only; run this one as that user";
    case Verdict::kBusy:
      return "the seed on this host has no room for another local target";
    default:
      return "the local socket's token is another one than the seed's descriptor names";
  }
}

}  // namespace

Result<std::shared_ptr<const Peer>> Peer::connect(const PeerOptions& options) {
  const auto address = abstract_address(options.name);
  if (!address) return Status::error(Code::kProtocol, "the seed names a local socket that cannot be one");
  auto peer = std::make_shared<Peer>();
  peer->name_ = "the seed's local socket @" + options.name;
  peer->socket_ = Fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!peer->socket_.valid()) return Status::system(Code::kIo, "socket", errno, "cannot make a Unix domain socket");
  set_timeout(peer->socket_.get(), options.timeout);
  if (::connect(peer->socket_.get(), reinterpret_cast<const sockaddr*>(&address->value), address->length) != 0) {
    const int error = errno;
    return error == ECONNREFUSED
               ? Status::error(Code::kNotFound, peer->name_ +
                                                    " is not here: the seed is on another host or in another "
                                                    "network namespace, or it is gone")
               : Status::system(Code::kRemoteAccess, "connect", error, "cannot connect to " + peer->name_);
  }
  if (Status status = peer->greet(options); !status.ok()) return status;
  return std::shared_ptr<const Peer>(std::move(peer));
}

Status Peer::greet(const PeerOptions& options) {
  const Hello hello{.challenge = options.token.challenge};
  // One that was refused by its user has the answer already, and its socket is closed: what cannot be sent is no error.
  (void)send(socket_.get(), &hello, sizeof(hello), MSG_NOSIGNAL);
  auto received = receive(socket_.get());
  if (!received.ok()) return received.status();
  const Reply& reply = received.value().reply;
  if (reply.verdict != Verdict::kServed) return Status::error(Code::kRemoteAccess, refusal(reply.verdict));
  if (reply.answer != options.token.answer) {
    return Status::error(Code::kProtocol, "another process has " + name_ + " than the one that its descriptor names");
  }
  std::vector<Fd>& descriptors = received.value().descriptors;
  if (descriptors.empty()) return Status::error(Code::kProtocol, name_ + " passed no table of its buffers");
  const Fd table = std::move(descriptors.front());
  descriptors.erase(descriptors.begin());
  descriptors_ = std::move(descriptors);
  if (Status status = take_rows(table.get(), reply.rows); !status.ok()) return status;
  const bool shared = std::all_of(rows_.begin(), rows_.end(), [](const Row& row) { return row.descriptor >= 0; });
  return shared ? Status::success() : check_memory(reply.memory_is_free != 0);
}

Status Peer::take_rows(int table, std::uint64_t count) {
  struct stat info{};
  const Status bad = Status::error(Code::kProtocol, name_ + " passed a table of its buffers that makes no sense");
  if (count > kMostRows || fstat(table, &info) != 0 ||
      static_cast<std::uint64_t>(info.st_size) != count * sizeof(Row)) {
    return bad;
  }
  rows_.resize(count);
  const std::span<std::byte> bytes = std::as_writable_bytes(std::span(rows_));
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t got = pread(table, bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return bad;
    done += static_cast<std::size_t>(got);
  }
  const auto sound = [this](const Row& row) {
    constexpr std::uint64_t kEndOfFiles = std::uint64_t{1} << 63U;
    return row.length > 0 && row.address <= UINT64_MAX - row.length && row.descriptor >= -1 &&
           row.descriptor < static_cast<std::int64_t>(descriptors_.size()) && row.offset < kEndOfFiles &&
           row.length < kEndOfFiles - row.offset;
  };
  return std::all_of(rows_.begin(), rows_.end(), sound) ? Status::success() : bad;
}

/// Reads a byte of the first row that has no descriptor: what the kernel refuses is found before anything depends on
/// it.
Status Peer::check_memory(bool free) {
  const std::string what = "the seed's memory can only be read with leave to trace it, ";
  if (!free) {
    return Status::error(Code::kRemoteAccess, what + "which Yama gives to one process at a time, and another has it");
  }
  ucred peer{};
  socklen_t size = sizeof(peer);
  if (getsockopt(socket_.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || peer.pid <= 0) {
    return Status::error(Code::kRemoteAccess, what +
                                                  "and its process cannot be seen from here: share the process "
                                                  "namespace (docker --pid, shareProcessNamespace)");
  }
  pid_ = peer.pid;
  process_ = Fd(static_cast<int>(syscall(SYS_pidfd_open, peer.pid, 0)));
  if (!process_.valid()) {
    return Status::system(Code::kRemoteAccess, "pidfd_open", errno, what + "and its process cannot be held");
  }
  // The seed held its end of the socket after the pidfd was there: it is the seed's.
  if (Status status = seed_is_there(); !status.ok()) return status;
  const auto row =
      std::find_if(rows_.begin(), rows_.end(), [](const Row& candidate) { return candidate.descriptor < 0; });
  std::byte probe{};
  const iovec local{.iov_base = &probe, .iov_len = 1};
  const iovec remote{.iov_base = reinterpret_cast<void*>(row->address), .iov_len = 1};
  if (process_vm_readv(pid_, &local, 1, &remote, 1, 0) == 1) return seed_is_there();
  const int error = errno;
  return Status::system(Code::kRemoteAccess, "process_vm_readv", error,
                        what +
                            "and the kernel refuses it (same user, Yama's ptrace_scope of at most 1, no seccomp "
                            "profile against it, CAP_SYS_PTRACE between user namespaces)");
}

/// By its process and its end of the socket, both at once.
Status Peer::seed_is_there() const {
  std::array<pollfd, 2> polled{{{process_.get(), POLLIN, 0}, {socket_.get(), POLLIN, 0}}};
  if (poll(polled.data(), polled.size(), 0) <= 0) return Status::success();
  return Status::error(Code::kPeerLost, "the seed on this host is gone or closing");
}

/// Either call is as fast as two threads of memcpy, so that nothing is gained by mapping the seed's pages and copying
/// from there, which only a sealed memfd would allow (SIGBUS). GB/s with two threads, 512 MiB into touched memory: from
/// base pages preadv 17.7, memcpy 17.3, with non-temporal stores 17.3, process_vm_readv 15.5, through a buffer in the
/// cache 16.7; from huge pages preadv 21.5, process_vm_readv 22.1, memcpy 21.5.
Status Peer::read(std::uint32_t index, std::uint64_t address, std::span<const Segment> segments,
                  std::uint64_t& calls) const {
  if (index >= rows_.size()) return Status::error(Code::kOutOfRange, "the seed has no buffer " + std::to_string(index));
  const Row& row = rows_[index];
  std::uint64_t at = address - row.address;
  std::array<iovec, kScatter> vectors{};
  Cursor cursor(segments);
  while (!cursor.done()) {
    const auto [local, bytes] = cursor.fill(vectors);
    if (at > row.length || bytes > row.length - at) {
      return Status::error(Code::kOutOfRange, std::to_string(bytes) + " bytes at " + std::to_string(address) +
                                                  " leave the seed's buffer " + std::to_string(index));
    }
    const bool by_descriptor = row.descriptor >= 0;
    ++calls;
    ssize_t got = 0;
    if (by_descriptor) {
      got = preadv(descriptors_[static_cast<std::size_t>(row.descriptor)].get(), local.data(),
                   static_cast<int>(local.size()), static_cast<off_t>(row.offset + at));
    } else {
      const iovec remote{.iov_base = reinterpret_cast<void*>(row.address + at), .iov_len = bytes};
      got = process_vm_readv(pid_, local.data(), local.size(), &remote, 1, 0);
    }
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      const int error = errno;
      const char* call = by_descriptor ? "preadv" : "process_vm_readv";
      if (error == ESRCH) return Status::system(Code::kPeerLost, call, error, "the seed on this host is gone");
      const bool theirs = error == EFAULT || error == EPERM;
      return Status::system(theirs ? Code::kRemoteAccess : Code::kIo, call, error, "cannot read the seed's bytes");
    }
    if (got == 0) {
      return Status::error(Code::kRemoteAccess, "the seed's file ends before its buffer does: it was cut short");
    }
    // What came before this look is the seed's: the number of a process is not given anew while its pidfd says it runs.
    if (!by_descriptor) {
      if (Status status = seed_is_there(); !status.ok()) return status;
    }
    cursor.advance(static_cast<std::uint64_t>(got));
    at += static_cast<std::uint64_t>(got);
  }
  return Status::success();
}

Result<memory::RegionPtr> Peer::map(std::uint32_t index) const {
  if (index >= rows_.size() || rows_[index].descriptor < 0) {
    return Status::error(
        Code::kInvalidArgument,
        "the seed's buffer " + std::to_string(index) +
            " is memory of its process alone and cannot be mapped; a seed of files or of shared memory "
            "can, or read it into memory of your own");
  }
  const Row& row = rows_[index];
  const int fd = fcntl(descriptors_[static_cast<std::size_t>(row.descriptor)].get(), F_DUPFD_CLOEXEC, 0);
  if (fd < 0) return Status::system(Code::kIo, "fcntl(F_DUPFD_CLOEXEC)", errno, "cannot keep the seed's descriptor");
  return memory::map_descriptor(fd, "buffer " + std::to_string(index) + " of the seed", row.offset, row.length);
}

}  // namespace weightcast::transport::local
