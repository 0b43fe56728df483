#include "transport/tcp/peer.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <utility>

namespace weightcast::transport::tcp {
namespace {

// A peer that closes after each answer does so at once; one that has not by then does not.
constexpr std::chrono::milliseconds kClosesWithin{1000};

}  // namespace

Status Peer::open(const Interruption& interruption) {
  if (!interruption.wake.valid()) {
    return Status::error(Code::kIo, "Cannot make an eventfd; raise the open file limit");
  }
  Result<Fd> socket = connect_to(options_.host, options_.port, options_.connect_timeout, interruption);
  if (!socket.ok()) return socket.status();
  socket_ = std::move(socket.value());
  if (std::exchange(replaces_, false)) ++report_.reconnects;
  wakes_at_ = 1;
  answers_ = 0;
  return Status::success();
}

Status Peer::prepare(const Interruption& interruption) {
  if (has_answered()) {
    Status looked = look_between_answers(interruption);
    if (!looked.ok()) return looked;
  }
  return socket_.valid() ? Status::success() : open(interruption);
}

Status Peer::look_between_answers(const Interruption& interruption) {
  if (one_shot_ == OneShot::kMaybe) {
    Status closing = wait_ready(socket_.get(), POLLIN, Clock::now() + kClosesWithin, interruption);
    if (!closing.ok() && closing.code != Code::kStalled) return closing;
  }
  // Whatever can be read here is more than was asked for.
  std::byte extra;
  const ssize_t seen = recv(socket_.get(), &extra, 1, MSG_PEEK | MSG_DONTWAIT);
  if (seen > 0) {
    return Status::error(Code::kProtocol, options_.name +
                                              ": the peer sent more bytes than were asked for; check that the "
                                              "port is that of its TCP transport");
  }
  const bool closed = seen == 0 || !(would_block(errno) || errno == EINTR);
  if (one_shot_ == OneShot::kMaybe) {
    one_shot_ = closed ? OneShot::kYes : OneShot::kNo;
    // Then the connection before this one did not end for that reason.
    if (!closed) ++report_.reconnects;
  }
  if (closed) {
    abandon();
  } else if (one_shot_ == OneShot::kYes) {
    socket_.reset();
  }
  return Status::success();
}

void Peer::abandon() {
  socket_.reset();
  replaces_ = answers_ != 1;
  if (answers_ == 1 && one_shot_ == OneShot::kNo) one_shot_ = OneShot::kMaybe;
}

void Peer::wake_at(std::uint64_t bytes) {
  if (bytes == wakes_at_) return;
  const int mark = static_cast<int>(bytes);
  // Where the kernel refuses, waits end early.
  (void)setsockopt(socket_.get(), SOL_SOCKET, SO_RCVLOWAT, &mark, sizeof mark);
  wakes_at_ = bytes;
}

}  // namespace weightcast::transport::tcp
