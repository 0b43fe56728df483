#include "transport/tcp/connection.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace weightcast::transport::tcp {
namespace {

// One send() is large enough to make the call itself cheap; a turn is a few of them.
constexpr std::uint64_t kSendBytes = 1U << 20;
constexpr std::uint64_t kTurnBytes = 4U << 20;
// What a request costs of a turn besides its bytes, so that a flood of tiny ones ends the turn too.
constexpr std::uint64_t kRequestShare = 16U << 10;
// A refused writer streams its bytes before it looks for the status; more than this is not listened to.
constexpr std::uint64_t kDiscardBytes = 16U << 20;
constexpr int kSendFlags = MSG_NOSIGNAL | MSG_DONTWAIT;

}  // namespace

Connection::Connection(Fd socket, const RangeStore& ranges, AtomicCounters& counters, ZeroCopy zero_copy)
    : socket_(std::move(socket)), ranges_(ranges), counters_(counters), zero_copy_(zero_copy, counters.zero_copy) {}

Connection::~Connection() {
  if (!socket_.valid() || !zero_copy_.in_flight()) return;
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  (void)setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

Connection::Wants Connection::advance() {
  if (zero_copy_.collect(socket_.get())) last_active_ = Clock::now();
  std::uint64_t share = kTurnBytes;
  while (true) {
    switch (state_) {
      case State::kHeader: {
        const Step step = read_header();
        if (step == Step::kFailed) return Wants::kClose;
        if (step == Step::kEnded) return hang_up();
        if (step == Step::kBlocked) return Wants::kRead;
        if (!begin_answer()) return Wants::kClose;
        share -= std::min(share, kRequestShare);
        break;
      }
      case State::kAnswer: {
        const Step step = send_answer(share);
        if (step == Step::kFailed) return Wants::kClose;
        if (step == Step::kBlocked) return Wants::kWrite;
        region_.reset();
        header_used_ = 0;
        state_ = refused_ ? State::kLinger : State::kHeader;
        if (refused_) (void)shutdown(socket_.get(), SHUT_WR);
        break;
      }
      case State::kLinger:
        return discard_input() == Step::kBlocked ? Wants::kRead : Wants::kClose;
      case State::kDrain:
        return hang_up();
    }
  }
}

Connection::Wants Connection::hang_up() {
  int error = 0;
  socklen_t size = sizeof error;
  (void)getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0 || !zero_copy_.in_flight()) return Wants::kClose;
  // A completion makes epoll report an error, which nobody needs to ask for.
  state_ = State::kDrain;
  return Wants::kNothing;
}

Connection::Step Connection::read_header() {
  while (header_used_ < header_.size()) {
    const ssize_t got = recv(socket_.get(), header_.data() + header_used_, header_.size() - header_used_, MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && would_block(errno)) return Step::kBlocked;
    if (got == 0) return Step::kEnded;
    if (got < 0) return Step::kFailed;
    header_used_ += static_cast<std::size_t>(got);
    last_active_ = Clock::now();
  }
  return Step::kDone;
}

bool Connection::begin_answer() {
  const Request request = decode_request(header_);
  const std::shared_ptr<const RangeTable> table = ranges_.load();
  const ServedRange* range = request.opcode == kOpcodeRead ? table->find(request.address, request.size) : nullptr;
  refused_ = range == nullptr;
  auto& counter = refused_ ? counters_.rejected : counters_.requests;
  counter.fetch_add(1, std::memory_order_relaxed);
  if (refused_ && !request.with_status) return false;

  status_ = encode_status(refused_ ? kStatusRejected : kStatusOk);
  status_left_ = request.with_status ? status_.size() : 0;
  body_left_ = 0;
  if (!refused_) {
    region_ = range->region;
    body_ = region_->data() + (request.address - region_->address());
    body_left_ = request.size;
  }
  state_ = State::kAnswer;
  return true;
}

Connection::Step Connection::send_answer(std::uint64_t& share) {
  while (status_left_ > 0 || body_left_ > 0) {
    const bool in_status = status_left_ > 0;
    if (!in_status && share == 0) return Step::kBlocked;
    const std::byte* from = status_.data() + (status_.size() - status_left_);
    const std::uint64_t count = in_status ? status_left_ : std::min({body_left_, kSendBytes, share});
    const int more = in_status && body_left_ > 0 ? MSG_MORE : 0;
    const ssize_t sent =
        in_status ? send(socket_.get(), from, static_cast<std::size_t>(count), kSendFlags | more) : send_body(count);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && would_block(errno)) return Step::kBlocked;
    if (sent < 0) return Step::kFailed;
    last_active_ = Clock::now();
    if (in_status) {
      status_left_ -= static_cast<std::size_t>(sent);
      continue;
    }
    const auto bytes = static_cast<std::uint64_t>(sent);
    body_ += bytes;
    body_left_ -= bytes;
    share -= bytes;
    counters_.bytes.fetch_add(bytes, std::memory_order_relaxed);
  }
  return Step::kDone;
}

/// As send(): of `bytes`, those that were taken. A page of a file mapping whose file was cut short is EFAULT here, not
/// SIGBUS: the kernel does the load.
ssize_t Connection::send_body(std::uint64_t bytes) {
  const std::uint64_t piece = zero_copy_.piece(socket_.get(), bytes);
  if (piece > 0) {
    const ssize_t sent = send(socket_.get(), body_, static_cast<std::size_t>(piece), kSendFlags | MSG_ZEROCOPY);
    if (sent > 0) zero_copy_.sent(region_, static_cast<std::uint64_t>(sent));
    if (sent >= 0 || errno != ENOBUFS) return sent;
    zero_copy_.crowded();
  }
  return send(socket_.get(), body_, static_cast<std::size_t>(bytes), kSendFlags);
}

Connection::Step Connection::discard_input() {
  std::array<std::byte, 16384> sink;
  for (std::uint64_t turn = 0; turn < kTurnBytes;) {
    const ssize_t got = recv(socket_.get(), sink.data(), sink.size(), MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && would_block(errno)) return Step::kBlocked;
    if (got <= 0) return Step::kFailed;
    turn += static_cast<std::uint64_t>(got);
    discarded_ += static_cast<std::uint64_t>(got);
    if (discarded_ > kDiscardBytes) return Step::kFailed;
  }
  return Step::kBlocked;
}

}  // namespace weightcast::transport::tcp
