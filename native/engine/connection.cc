#include "engine/connection.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <utility>

namespace weightcast::engine {
namespace {

constexpr std::size_t kReadBytes = 65536;
constexpr std::size_t kMostDescriptors = 253;  // SCM_MAX_FD of Linux

void set_timeout(int socket, std::chrono::milliseconds timeout) {
  const timeval value{.tv_sec = timeout.count() / 1000, .tv_usec = (timeout.count() % 1000) * 1000};
  (void)setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &value, sizeof(value));  // of connect, too
}

/// All that came, so that none stays open unowned.
std::vector<Descriptor> descriptors_of(msghdr& message) {
  std::vector<Descriptor> descriptors;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    std::vector<int> passed((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    std::memcpy(passed.data(), CMSG_DATA(header), passed.size() * sizeof(int));
    for (const int fd : passed) descriptors.emplace_back(fd);
  }
  return descriptors;
}

}  // namespace

Result<std::shared_ptr<Connection>> Connection::connect(const std::string& path, std::chrono::milliseconds timeout) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) {
    return Status::error(Code::kInvalidArgument, "expected a path of 1 to " +
                                                     std::to_string(sizeof(address.sun_path) - 1) +
                                                     " bytes for a socket but received '" + path + "'");
  }
  std::copy(path.begin(), path.end(), address.sun_path);
  Descriptor made(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!made) return Status::system(Code::kIo, "socket", errno, "cannot make a UNIX socket");
  set_timeout(made.get(), timeout);
  if (::connect(made.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    const int error = errno;
    const bool nobody = error == ENOENT || error == ECONNREFUSED;
    return Status::system(nobody ? Code::kNotFound : Code::kIo, "connect", error,
                          nobody ? "no engine listens at the socket " + path : "cannot connect to the socket " + path);
  }
  ucred peer{};
  socklen_t size = sizeof(peer);
  if (getsockopt(made.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.pid == getpid()) {
    return Status::error(Code::kInvalidArgument, "the socket " + path +
                                                     " is of this very process, which cannot import its own memory: "
                                                     "give its address (Region.fromDeviceAddress)");
  }
  return std::shared_ptr<Connection>(new Connection(std::move(made)));
}

Result<std::vector<std::byte>> Connection::receive() {
  std::vector<std::byte> bytes(kReadBytes);
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(kMostDescriptors * sizeof(int))> control{};
  iovec vector{.iov_base = bytes.data(), .iov_len = bytes.size()};
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  ssize_t count = 0;
  do {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    count = recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC);
  } while (count < 0 && errno == EINTR);
  if (count < 0) {
    const int error = errno;
    return Status::system(error == ECONNRESET ? Code::kPeerLost : Code::kIo, "recvmsg", error,
                          "the engine's connection broke");
  }
  std::vector<Descriptor> came = descriptors_of(message);
  if ((message.msg_flags & MSG_CTRUNC) != 0) {
    return Status::error(Code::kOutOfMemory,
                         "the engine's descriptors do not fit this process's limit of open files; raise it (ulimit "
                         "-n)");
  }
  const std::lock_guard lock(mutex_);
  std::move(came.begin(), came.end(), std::back_inserter(descriptors_));
  bytes.resize(static_cast<std::size_t>(count));
  return bytes;
}

Status Connection::send(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count < 0) {
      const int error = errno;
      if (error == EINTR) continue;
      if (error == EAGAIN) return Status::system(Code::kStalled, "send", error, "the engine does not read");
      return Status::system(Code::kPeerLost, "send", error, "the engine's connection broke");
    }
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return Status::success();
}

void Connection::stop() { (void)shutdown(socket_.get(), SHUT_RD); }

std::size_t Connection::descriptors() const {
  const std::lock_guard lock(mutex_);
  return descriptors_.size();
}

Result<std::vector<Descriptor>> Connection::take(std::size_t count) {
  const std::lock_guard lock(mutex_);
  if (count > descriptors_.size()) {
    return Status::error(Code::kProtocol, "expected " + std::to_string(count) + " descriptors of the engine, " +
                                              std::to_string(descriptors_.size()) + " are left");
  }
  std::vector<Descriptor> taken;
  taken.reserve(count);
  for (; count > 0; --count) {
    taken.push_back(std::move(descriptors_.front()));
    descriptors_.pop_front();
  }
  return taken;
}

}  // namespace weightcast::engine
