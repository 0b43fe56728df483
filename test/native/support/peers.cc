#include "support/peers.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <utility>

namespace weightcast::test {
namespace {

using transport::tcp::Fd;

constexpr time_t kDeadlineSeconds = 10;

}  // namespace

Stream::Stream(Fd socket) : socket_(std::move(socket)) {
  const timeval deadline{.tv_sec = kDeadlineSeconds, .tv_usec = 0};
  (void)setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline);
  (void)setsockopt(socket_.get(), SOL_SOCKET, SO_SNDTIMEO, &deadline, sizeof deadline);
}

Stream Stream::to(std::uint16_t port, int receive_buffer) {
  Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (receive_buffer > 0) {
    (void)setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  }
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (!socket.valid()) return Stream(std::move(socket));
  if (connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) socket.reset();
  return Stream(std::move(socket));
}

bool Stream::send(std::span<const std::byte> bytes) const {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(sent));
  }
  return true;
}

bool Stream::send(std::string_view text) const { return send(std::as_bytes(std::span(text))); }

std::vector<std::byte> Stream::receive(std::size_t count) const {
  std::vector<std::byte> bytes(count);
  std::size_t used = 0;
  while (used < count) {
    const ssize_t got = recv(socket_.get(), bytes.data() + used, count - used, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    used += static_cast<std::size_t>(got);
  }
  bytes.resize(used);
  return bytes;
}

bool Stream::at_end() const {
  std::byte byte;
  const ssize_t got = recv(socket_.get(), &byte, 1, 0);
  return got == 0 || (got < 0 && errno == ECONNRESET);
}

bool Stream::end_of_requests() const { return shutdown(socket_.get(), SHUT_WR) == 0; }

void Stream::reset() {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  (void)setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  socket_.reset();
}

ScriptedPeer::ScriptedPeer(Script script) : script_(std::move(script)), port_(0) {
  auto listener = transport::tcp::listen_on("127.0.0.1", 0);
  if (!listener.ok()) std::abort();
  listener_ = std::move(listener.value());
  port_ = transport::tcp::bound_port(listener_.get());
  thread_ = std::thread([this] {
    while (!stopping_.load()) {
      std::array<pollfd, 2> polled{{{listener_.get(), POLLIN, 0}, {wake_.fd(), POLLIN, 0}}};
      (void)poll(polled.data(), polled.size(), -1);
      Fd socket(stopping_.load() ? -1 : accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!socket.valid()) continue;
      Stream stream(std::move(socket));
      script_(stream, connections_.fetch_add(1));
    }
    listener_.reset();
  });
}

void ScriptedPeer::stop() {
  stopping_.store(true);
  wake_.signal();
  if (thread_.joinable()) thread_.join();
}

ScriptedPeer::~ScriptedPeer() { stop(); }

}  // namespace weightcast::test
