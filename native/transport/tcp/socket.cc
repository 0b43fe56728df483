#include "transport/tcp/socket.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>
#include <memory>

namespace weightcast::transport::tcp {
namespace {

using AddressList = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

void set_option(int fd, int level, int name, int value) { (void)setsockopt(fd, level, name, &value, sizeof value); }

std::string endpoint_text(const std::string& host, std::uint16_t port) {
  const bool bare_v6 = host.find(':') != std::string::npos && host.front() != '[';
  return (bare_v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<AddressList> resolve(const std::string& host, std::uint16_t port, int flags, Code failure) {
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  const std::string name = bracketed ? host.substr(1, host.size() - 2) : host;
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(name.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (error == 0) return AddressList(found, &freeaddrinfo);
  if (error == EAI_SYSTEM) return Status::system(failure, "getaddrinfo", errno, "Cannot resolve the host " + host);
  Status status = Status::error(failure, "Cannot resolve the host " + host + " (getaddrinfo: " + gai_strerror(error) +
                                             "); check the name or give an IP address");
  status.call = "getaddrinfo";
  return status;
}

Status connect_one(const Fd& socket, const addrinfo& address, Clock::time_point deadline,
                   const Interruption& interruption, const std::string& peer) {
  if (::connect(socket.get(), address.ai_addr, address.ai_addrlen) == 0) return Status::success();
  // EINTR leaves the connection attempt running, as EINPROGRESS does.
  if (errno != EINPROGRESS && errno != EINTR) {
    return Status::system(Code::kPeerLost, "connect", errno, "Cannot connect to " + peer);
  }
  Status waited = wait_ready(socket.get(), POLLOUT, deadline, interruption);
  if (waited.code == Code::kStalled) {
    return Status::system(Code::kPeerLost, "connect", ETIMEDOUT, "Cannot connect to " + peer + " in time");
  }
  if (!waited.ok()) return waited;
  int error = 0;
  socklen_t size = sizeof error;
  if (getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  if (error != 0) return Status::system(Code::kPeerLost, "connect", error, "Cannot connect to " + peer);
  return Status::success();
}

Result<Fd> listen_at(const sockaddr* address, socklen_t size, bool dual_stack, const std::string& where) {
  Fd socket(::socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return Status::system(Code::kIo, "socket", errno, "Cannot listen on " + where);
  set_option(socket.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (address->sa_family == AF_INET6) set_option(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, dual_stack ? 0 : 1);
  if (bind(socket.get(), address, size) != 0) {
    return Status::system(Code::kIo, "bind", errno, "Cannot listen on " + where);
  }
  if (listen(socket.get(), SOMAXCONN) != 0) {
    return Status::system(Code::kIo, "listen", errno, "Cannot listen on " + where);
  }
  return socket;
}

}  // namespace

void Fd::reset() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

WakeUp::WakeUp() : fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}

void WakeUp::signal() const {
  const std::uint64_t one = 1;
  // EAGAIN means that the counter is full, so the other side is woken anyway.
  (void)!write(fd_.get(), &one, sizeof one);
}

void WakeUp::drain() const {
  std::uint64_t count = 0;
  (void)!read(fd_.get(), &count, sizeof count);
}

Status wait_ready(int fd, short events, Clock::time_point deadline, const Interruption& interruption) {
  while (true) {
    if (interruption.stop()) return Status::error(Code::kCancelled, "The wait for the peer was cancelled");
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return Status::error(Code::kStalled, "The peer made no progress in time");
    std::array<pollfd, 2> polled{{{fd, events, 0}, {interruption.wake.fd(), POLLIN, 0}}};
    const int timeout = static_cast<int>(std::min<long long>(left, std::numeric_limits<int>::max()));
    const int ready = poll(polled.data(), polled.size(), timeout);
    if (ready < 0 && errno != EINTR) return Status::system(Code::kIo, "poll", errno, "Cannot wait for the peer");
    if (ready <= 0) continue;
    if (polled[1].revents != 0) interruption.wake.drain();
    if (polled[0].revents != 0 && !interruption.stop()) return Status::success();
  }
}

Result<Fd> connect_to(const std::string& host, std::uint16_t port, std::chrono::milliseconds timeout,
                      const Interruption& interruption) {
  const Clock::time_point deadline = Clock::now() + timeout;
  Result<AddressList> addresses = resolve(host, port, 0, Code::kPeerLost);
  if (!addresses.ok()) return addresses.status();
  const std::string peer = endpoint_text(host, port);
  Status failure = Status::error(Code::kPeerLost, "The host " + host + " has no address");
  for (const addrinfo* address = addresses.value().get(); address != nullptr; address = address->ai_next) {
    Fd socket(::socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, address->ai_protocol));
    if (!socket.valid()) {
      failure = Status::system(Code::kIo, "socket", errno, "Cannot connect to " + peer);
      continue;
    }
    failure = connect_one(socket, *address, deadline, interruption, peer);
    if (failure.ok()) {
      tune_stream(socket.get());
      return socket;
    }
    if (failure.code == Code::kCancelled || Clock::now() >= deadline) break;
  }
  return failure;
}

Result<Fd> listen_on(const std::string& host, std::uint16_t port) {
  if (host.empty()) {
    sockaddr_in6 any6{};
    any6.sin6_family = AF_INET6;
    any6.sin6_port = htons(port);
    any6.sin6_addr = in6addr_any;
    Result<Fd> dual =
        listen_at(reinterpret_cast<const sockaddr*>(&any6), sizeof any6, true, "[::]:" + std::to_string(port));
    if (dual.ok() || dual.status().error_number == EADDRINUSE) return dual;
    sockaddr_in any4{};
    any4.sin_family = AF_INET;
    any4.sin_port = htons(port);
    return listen_at(reinterpret_cast<const sockaddr*>(&any4), sizeof any4, false, "0.0.0.0:" + std::to_string(port));
  }
  Result<AddressList> addresses = resolve(host, port, AI_PASSIVE, Code::kIo);
  if (!addresses.ok()) return addresses.status();
  const addrinfo& first = *addresses.value();
  return listen_at(first.ai_addr, first.ai_addrlen, false, endpoint_text(host, port));
}

std::uint16_t bound_port(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return 0;
  if (address.ss_family == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6*>(&address)->sin6_port);
  if (address.ss_family == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in*>(&address)->sin_port);
  return 0;
}

void tune_stream(int fd) {
  constexpr int kIdleSeconds = 30;
  constexpr int kProbeSeconds = 10;
  constexpr int kProbes = 3;
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, kIdleSeconds);
  set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, kProbeSeconds);
  set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, kProbes);
}

}  // namespace weightcast::transport::tcp
