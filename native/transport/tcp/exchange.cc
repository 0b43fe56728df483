#include "transport/tcp/exchange.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <optional>
#include <utility>

#include "transport/tcp/remaining.h"
#include "transport/tcp/wire.h"

namespace weightcast::transport::tcp {
namespace {

// Large enough that small tensors fill a socket buffer in one call, small enough for the stack (4 KiB).
constexpr std::size_t kScatter = 256;
// Waking up for every packet costs the reader three times the CPU, and on one host the seed as well: a wait ends when
// so much of a long answer is in. More at once was slower from a Mooncake seed on one host, half of that was not
// faster (docs/benchmarks.md, "Reading from a Mooncake seed, TCP").
constexpr std::uint64_t kWorthWaking = 512U << 10;
// No more than this is waited for whole: an answer of our own seed, or the end of a longer one.
constexpr std::uint64_t kWorthAwaiting = 1U << 20;

double milliseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

}  // namespace

Status Exchange::run(const Slice& slice, std::span<const Segment> segments) {
  answer_begun_ = false;
  closed_ = false;
  last_progress_ = Clock::now();
  Status status = send_request(slice);
  if (status.ok() && options_.protocol_version >= 2) status = receive_status(slice.length);
  if (status.ok()) status = receive_body(slice.length, segments);
  return status;
}

Status Exchange::send_request(const Slice& slice) {
  const auto bytes = encode_request({.size = slice.length,
                                     .address = slice.remote_address,
                                     .opcode = kOpcodeRead,
                                     .with_status = options_.protocol_version >= 2});
  ++report_.work_requests;
  for (std::size_t sent = 0; sent < bytes.size();) {
    // Peer::prepare opened the socket, through a variant that the analyzer does not follow.
    // NOLINTNEXTLINE(clang-analyzer-unix.StdCLibraryFunctions)
    const ssize_t count = send(peer_.fd(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count >= 0) {
      sent += static_cast<std::size_t>(count);
    } else if (would_block(errno)) {
      Status waited = wait(POLLOUT);
      if (!waited.ok()) return waited;
    } else if (errno != EINTR) {
      closed_ = true;
      return lost("send", errno);
    }
  }
  return Status::success();
}

Status Exchange::receive_status(std::uint64_t size) {
  std::array<std::byte, kStatusBytes> bytes{};
  for (std::size_t used = 0; used < bytes.size();) {
    std::array<iovec, 1> vector{{{.iov_base = bytes.data() + used, .iov_len = bytes.size() - used}}};
    std::uint64_t got = 0;
    // A refused answer ends with the status, and the peer's hanging up ends the wait. One without a status has no more
    // than the body.
    Status status = receive_some(vector, std::max(size, bytes.size() - used), got);
    if (!status.ok()) return status;
    used += static_cast<std::size_t>(got);
  }
  const std::optional<std::uint32_t> code = decode_status(bytes);
  if (!code) {
    return Status::error(Code::kProtocol, options_.name +
                                              ": the peer's answer has no status of TCP protocol 2, which its "
                                              "descriptor promised; it speaks protocol 1");
  }
  if (*code != kStatusOk) {
    return Status::error(Code::kRemoteAccess, options_.name + ": the peer refused the address with status " +
                                                  std::to_string(*code) + "; its metadata is stale, fetch it again");
  }
  return Status::success();
}

Status Exchange::receive_body(std::uint64_t size, std::span<const Segment> segments) {
  Remaining remaining(segments);
  std::array<iovec, kScatter> vectors;
  for (std::uint64_t left = size; left > 0;) {
    std::uint64_t got = 0;
    const std::size_t count = remaining.scatter(vectors);
    Status status = receive_some(std::span(vectors).first(count), left, got);
    if (!status.ok()) return status;
    if (report_.first_byte_ms == 0) report_.first_byte_ms = milliseconds_since(started_);
    remaining.advance(got);
    left -= got;
  }
  return Status::success();
}

/// At least one byte, of an answer that has `left` to come.
Status Exchange::receive_some(std::span<iovec> vectors, std::uint64_t left, std::uint64_t& got) {
  bool waited_in_vain = false;
  while (true) {
    if (interruption_.stop()) return Status::error(Code::kCancelled, options_.name + " was stopped");
    msghdr message{};
    message.msg_iov = vectors.data();
    message.msg_iovlen = vectors.size();
    const ssize_t count = recvmsg(peer_.fd(), &message, MSG_DONTWAIT);
    if (count > 0) {
      answer_begun_ = true;
      last_progress_ = Clock::now();
      feed_.heard(last_progress_);
      got = static_cast<std::uint64_t>(count);
      return Status::success();
    }
    if (count == 0) {
      closed_ = true;
      return closed_by_peer();
    }
    if (would_block(errno)) {
      peer_.wake_at(left <= kWorthAwaiting ? left : kWorthWaking);
      Status waited = wait(POLLIN);
      // A slow peer may have sent something, if less than is worth waking up for.
      if (waited.ok() || (waited.code == Code::kStalled && !std::exchange(waited_in_vain, true))) continue;
      return waited;
    }
    if (errno == EFAULT) {
      return Status::system(Code::kInvalidArgument, "recvmsg", EFAULT,
                            options_.name + ": the destination is not writable");
    }
    if (errno != EINTR) {
      closed_ = true;
      return lost("recvmsg", errno);
    }
  }
}

Status Exchange::wait(short events) {
  Status status = wait_ready(peer_.fd(), events, last_progress_ + options_.stall_timeout, interruption_);
  if (status.code == Code::kStalled) {
    status.message = options_.name + ": no byte came for " + std::to_string(options_.stall_timeout.count()) +
                     " ms; the peer hangs or the network drops its packets";
  }
  return status;
}

Status Exchange::closed_by_peer() const {
  if (answer_begun_) {
    return Status::error(Code::kPeerLost,
                         options_.name + ": the peer closed the connection in the middle of an answer");
  }
  std::string message = options_.name + ": the peer closed the connection instead of answering";
  // Protocol 1 has no other way to say it.
  if (options_.protocol_version < 2) message += "; it died, or it refused the address because its metadata is stale";
  return Status::error(Code::kPeerLost, std::move(message));
}

Status Exchange::lost(std::string call, int error) const {
  return Status::system(Code::kPeerLost, std::move(call), error, options_.name + ": the connection to the peer broke");
}

}  // namespace weightcast::transport::tcp
