#include "transport/tcp/lane.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>

#include "transport/tcp/socket.h"
#include "transport/tcp/wire.h"

namespace weightcast::transport::tcp {
namespace {

// Large enough that small tensors fill a socket buffer in one call, small enough for the stack (4 KiB).
constexpr std::size_t kScatter = 256;
// Waking up for every packet costs the reader three times the CPU, and on one host the seed as well: a wait ends when
// so many bytes are in, or all that are left of the answer.
constexpr std::uint64_t kWorthWaking = 2U << 20;
// A peer that closes after each answer does so at once; one that has not by then does not.
constexpr std::chrono::milliseconds kClosesWithin{1000};

bool would_block(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

double milliseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

/// The part of a slice's segments that has not arrived yet.
class Remaining {
 public:
  explicit Remaining(std::span<const Segment> segments) : segments_(segments) {}

  /// Fills `vectors` with as much of the rest as fits; the count.
  std::size_t scatter(std::span<iovec, kScatter> vectors) const {
    const std::size_t count = std::min(vectors.size(), segments_.size());
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint32_t skip = i == 0 ? offset_ : 0;
      vectors[i] = {.iov_base = segments_[i].address + skip, .iov_len = segments_[i].length - skip};
    }
    return count;
  }

  void advance(std::uint64_t bytes) {
    while (bytes > 0) {
      const std::uint64_t left = segments_.front().length - offset_;
      if (bytes < left) {
        offset_ += static_cast<std::uint32_t>(bytes);
        return;
      }
      bytes -= left;
      segments_ = segments_.subspan(1);
      offset_ = 0;
    }
  }

 private:
  std::span<const Segment> segments_;
  std::uint32_t offset_ = 0;  // into the first
};

/// Whether the peer closes after each answer. One close after one answer may also have been the end of its process.
enum class OneShot : std::uint8_t { kNo, kMaybe, kYes };

class TcpLaneImpl final : public Lane {
 public:
  explicit TcpLaneImpl(TcpLaneOptions options) : options_(std::move(options)) {}

  [[nodiscard]] std::string name() const override { return options_.name; }
  [[nodiscard]] const LaneReport& report() const override { return report_; }
  void interrupt() override { wake_.signal(); }
  Status run(SliceFeed& feed, std::uint32_t lane_index) override;

  Status open(const Interruption& interruption);
  [[nodiscard]] const WakeUp& wake() const { return wake_; }

 private:
  Status read_slice(const Slice& slice, std::span<const Segment> segments, const Interruption& interruption);
  Status prepare(const Interruption& interruption);
  Status look_between_answers(const Interruption& interruption);
  void abandon();
  Status exchange(const Slice& slice, std::span<const Segment> segments, const Interruption& interruption);
  Status send_request(const Slice& slice, const Interruption& interruption);
  Status receive_status(std::uint64_t size, const Interruption& interruption);
  Status receive_body(std::uint64_t size, std::span<const Segment> segments, const Interruption& interruption);
  Status receive_some(std::span<iovec> vectors, std::uint64_t left, std::uint64_t& got,
                      const Interruption& interruption);
  void wake_at(std::uint64_t bytes);
  Status wait(short events, const Interruption& interruption);
  [[nodiscard]] Status closed_by_peer() const;
  [[nodiscard]] Status lost(std::string call, int error) const;

  TcpLaneOptions options_;
  SliceFeed* feed_ = nullptr;  // while `run` runs
  WakeUp wake_;
  Fd socket_;
  std::uint64_t wakes_at_ = 1;  // bytes, on this connection
  std::uint64_t answers_ = 0;   // on this connection
  bool answer_begun_ = false;   // the first byte of the answer to the running request is in
  bool closed_ = false;         // the last failure was the peer's close or reset
  bool replaces_ = false;       // the next connection takes the place of one that the peer ended
  OneShot one_shot_ = OneShot::kNo;
  Clock::time_point started_;
  Clock::time_point last_progress_;
  LaneReport report_;
};

Status TcpLaneImpl::run(SliceFeed& feed, std::uint32_t lane_index) {
  const Interruption interruption{wake_, [&feed] { return feed.stopping(); }};
  feed_ = &feed;
  started_ = Clock::now();
  Status status;
  while (status.ok()) {
    const std::optional<std::uint32_t> index = feed.take();
    if (!index) {
      if (!feed.wait_for_work()) break;
      continue;
    }
    status = read_slice(feed.slice(*index), feed.segments(*index), interruption);
    if (status.ok()) {
      report_.bytes += feed.slice(*index).length;
      feed.landed(*index, lane_index);
    } else {
      socket_.reset();
      if (status.code == Code::kStalled) feed.fell_silent(*index, options_.stall_timeout);
      feed.give_back(*index);
    }
  }
  if (status.ok() && socket_.valid() && answers_ > 0) status = look_between_answers(interruption);
  socket_.reset();
  if (status.ok() && feed.stopping()) return Status::error(Code::kCancelled, name() + " was stopped");
  return status;
}

Status TcpLaneImpl::open(const Interruption& interruption) {
  if (!wake_.valid()) return Status::error(Code::kIo, "Cannot make an eventfd; raise the open file limit");
  Result<Fd> socket = connect_to(options_.host, options_.port, options_.connect_timeout, interruption);
  if (!socket.ok()) return socket.status();
  socket_ = std::move(socket.value());
  if (std::exchange(replaces_, false)) ++report_.reconnects;
  wakes_at_ = 1;
  answers_ = 0;
  return Status::success();
}

Status TcpLaneImpl::read_slice(const Slice& slice, std::span<const Segment> segments,
                               const Interruption& interruption) {
  constexpr int kAttempts = 2;
  Status status;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    status = prepare(interruption);
    if (!status.ok()) return status;
    status = exchange(slice, segments, interruption);
    if (status.ok()) {
      ++answers_;
      return status;
    }
    if (!closed_ || answer_begun_) return status;
    // Closed between two requests: a peer of one request per connection, or one that ends idle connections.
    abandon();
  }
  return status;
}

/// A connection that is open as far as can be seen from here.
Status TcpLaneImpl::prepare(const Interruption& interruption) {
  if (socket_.valid() && answers_ > 0) {
    Status looked = look_between_answers(interruption);
    if (!looked.ok()) return looked;
  }
  return socket_.valid() ? Status::success() : open(interruption);
}

/// Leaves a socket only where there is one to be used again. Whatever can be read here is more than was asked for.
Status TcpLaneImpl::look_between_answers(const Interruption& interruption) {
  if (one_shot_ == OneShot::kMaybe) {
    Status closing = wait_ready(socket_.get(), POLLIN, Clock::now() + kClosesWithin, interruption);
    if (!closing.ok() && closing.code != Code::kStalled) return closing;
  }
  std::byte extra;
  const ssize_t seen = recv(socket_.get(), &extra, 1, MSG_PEEK | MSG_DONTWAIT);
  if (seen > 0) {
    return Status::error(Code::kProtocol, name() +
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

/// The peer has ended the connection between two answers.
void TcpLaneImpl::abandon() {
  socket_.reset();
  replaces_ = answers_ != 1;
  if (answers_ == 1 && one_shot_ == OneShot::kNo) one_shot_ = OneShot::kMaybe;
}

Status TcpLaneImpl::exchange(const Slice& slice, std::span<const Segment> segments, const Interruption& interruption) {
  answer_begun_ = false;
  closed_ = false;
  last_progress_ = Clock::now();
  Status status = send_request(slice, interruption);
  if (status.ok() && options_.protocol_version >= 2) status = receive_status(slice.length, interruption);
  if (status.ok()) status = receive_body(slice.length, segments, interruption);
  return status;
}

Status TcpLaneImpl::send_request(const Slice& slice, const Interruption& interruption) {
  const auto bytes = encode_request({.size = slice.length,
                                     .address = slice.remote_address,
                                     .opcode = kOpcodeRead,
                                     .with_status = options_.protocol_version >= 2});
  ++report_.work_requests;
  for (std::size_t sent = 0; sent < bytes.size();) {
    // prepare() opened the socket, through a variant that the analyzer does not follow.
    // NOLINTNEXTLINE(clang-analyzer-unix.StdCLibraryFunctions)
    const ssize_t count = send(socket_.get(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count >= 0) {
      sent += static_cast<std::size_t>(count);
    } else if (would_block(errno)) {
      Status waited = wait(POLLOUT, interruption);
      if (!waited.ok()) return waited;
    } else if (errno != EINTR) {
      closed_ = true;
      return lost("send", errno);
    }
  }
  return Status::success();
}

Status TcpLaneImpl::receive_status(std::uint64_t size, const Interruption& interruption) {
  std::array<std::byte, kStatusBytes> bytes{};
  for (std::size_t used = 0; used < bytes.size();) {
    std::array<iovec, 1> vector{{{.iov_base = bytes.data() + used, .iov_len = bytes.size() - used}}};
    std::uint64_t got = 0;
    // A refused answer ends with the status, and the peer's hanging up ends the wait. One without a status has no more
    // than the body.
    Status status = receive_some(vector, std::max(size, bytes.size() - used), got, interruption);
    if (!status.ok()) return status;
    used += static_cast<std::size_t>(got);
  }
  const std::optional<std::uint32_t> code = decode_status(bytes);
  if (!code) {
    return Status::error(Code::kProtocol, name() +
                                              ": the peer's answer has no status of TCP protocol 2, which its "
                                              "descriptor promised; it speaks protocol 1");
  }
  if (*code != kStatusOk) {
    return Status::error(Code::kRemoteAccess, name() + ": the peer refused the address with status " +
                                                  std::to_string(*code) + "; its metadata is stale, fetch it again");
  }
  return Status::success();
}

Status TcpLaneImpl::receive_body(std::uint64_t size, std::span<const Segment> segments,
                                 const Interruption& interruption) {
  Remaining remaining(segments);
  std::array<iovec, kScatter> vectors;
  for (std::uint64_t left = size; left > 0;) {
    std::uint64_t got = 0;
    const std::size_t count = remaining.scatter(vectors);
    Status status = receive_some(std::span(vectors).first(count), left, got, interruption);
    if (!status.ok()) return status;
    if (report_.first_byte_ms == 0) report_.first_byte_ms = milliseconds_since(started_);
    remaining.advance(got);
    left -= got;
  }
  return Status::success();
}

/// At least one byte, of an answer that has `left` to come.
Status TcpLaneImpl::receive_some(std::span<iovec> vectors, std::uint64_t left, std::uint64_t& got,
                                 const Interruption& interruption) {
  bool waited_in_vain = false;
  while (true) {
    if (interruption.stop()) return Status::error(Code::kCancelled, name() + " was stopped");
    msghdr message{};
    message.msg_iov = vectors.data();
    message.msg_iovlen = vectors.size();
    const ssize_t count = recvmsg(socket_.get(), &message, MSG_DONTWAIT);
    if (count > 0) {
      answer_begun_ = true;
      last_progress_ = Clock::now();
      feed_->heard(last_progress_);
      got = static_cast<std::uint64_t>(count);
      return Status::success();
    }
    if (count == 0) {
      closed_ = true;
      return closed_by_peer();
    }
    if (would_block(errno)) {
      wake_at(std::min(left, kWorthWaking));
      Status waited = wait(POLLIN, interruption);
      // A slow peer may have sent something, if less than is worth waking up for.
      if (waited.ok() || (waited.code == Code::kStalled && !std::exchange(waited_in_vain, true))) continue;
      return waited;
    }
    if (errno == EFAULT) {
      return Status::system(Code::kInvalidArgument, "recvmsg", EFAULT, name() + ": the destination is not writable");
    }
    if (errno != EINTR) {
      closed_ = true;
      return lost("recvmsg", errno);
    }
  }
}

void TcpLaneImpl::wake_at(std::uint64_t bytes) {
  if (bytes == wakes_at_) return;
  const int mark = static_cast<int>(bytes);
  // Where the kernel refuses, waits end early.
  (void)setsockopt(socket_.get(), SOL_SOCKET, SO_RCVLOWAT, &mark, sizeof mark);
  wakes_at_ = bytes;
}

Status TcpLaneImpl::wait(short events, const Interruption& interruption) {
  Status status = wait_ready(socket_.get(), events, last_progress_ + options_.stall_timeout, interruption);
  if (status.code == Code::kStalled) {
    status.message = name() + ": no byte came for " + std::to_string(options_.stall_timeout.count()) +
                     " ms; the peer hangs or the network drops its packets";
  }
  return status;
}

Status TcpLaneImpl::closed_by_peer() const {
  if (answer_begun_) {
    return Status::error(Code::kPeerLost, name() + ": the peer closed the connection in the middle of an answer");
  }
  std::string message = name() + ": the peer closed the connection instead of answering";
  // Protocol 1 has no other way to say it.
  if (options_.protocol_version < 2) message += "; it died, or it refused the address because its metadata is stale";
  return Status::error(Code::kPeerLost, std::move(message));
}

Status TcpLaneImpl::lost(std::string call, int error) const {
  return Status::system(Code::kPeerLost, std::move(call), error, name() + ": the connection to the peer broke");
}

}  // namespace

Result<std::shared_ptr<Lane>> TcpLane::connect(const TcpLaneOptions& options) {
  if (options.protocol_version != 1 && options.protocol_version != 2) {
    return Status::error(Code::kInvalidArgument,
                         "The TCP protocol version is 1 or 2, not " + std::to_string(options.protocol_version));
  }
  auto lane = std::make_shared<TcpLaneImpl>(options);
  Status status = lane->open({lane->wake(), [] { return false; }});
  if (!status.ok()) return status;
  return std::shared_ptr<Lane>(std::move(lane));
}

}  // namespace weightcast::transport::tcp
