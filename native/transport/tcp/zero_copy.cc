#include "transport/tcp/zero_copy.h"

#include <linux/errqueue.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

namespace weightcast::transport::tcp {
namespace {

// Pinning pages and reading completions cost more than the copy of less; the kernel's documentation says 10 KB.
constexpr std::uint64_t kLeastBytes = 64U << 10;
// What the question costs where the answer is no.
constexpr std::uint64_t kProbeBytes = kLeastBytes;

bool is_error_queue(const cmsghdr& header) {
  return (header.cmsg_level == SOL_IP && header.cmsg_type == IP_RECVERR) ||
         (header.cmsg_level == SOL_IPV6 && header.cmsg_type == IPV6_RECVERR);
}

}  // namespace

std::optional<Completion> Completion::of(msghdr& message) {
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (!is_error_queue(*header) || header->cmsg_len < CMSG_LEN(sizeof(sock_extended_err))) continue;
    sock_extended_err error{};
    std::memcpy(&error, CMSG_DATA(header), sizeof error);
    if (error.ee_origin != SO_EE_ORIGIN_ZEROCOPY || error.ee_errno != 0) continue;
    return Completion{
        .first = error.ee_info, .last = error.ee_data, .copied = (error.ee_code & SO_EE_CODE_ZEROCOPY_COPIED) != 0};
  }
  return std::nullopt;
}

std::uint64_t ZeroCopySends::piece(int socket, std::uint64_t bytes) {
  if (choice_ == ZeroCopy::kNever || bytes < kLeastBytes) return 0;
  if (verdict_ == Verdict::kDoesNotPay || verdict_ == Verdict::kAsked) return 0;
  if (!enabled_) {
    const int on = 1;
    if (setsockopt(socket, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof on) != 0) {
      refuse();
      return 0;
    }
    enabled_ = true;
  }
  return verdict_ == Verdict::kPays || choice_ == ZeroCopy::kAlways ? bytes : std::min(bytes, kProbeBytes);
}

void ZeroCopySends::sent(memory::RegionPtr region, std::uint64_t bytes) {
  sends_.push_back({.region = std::move(region), .bytes = bytes});
  if (choice_ == ZeroCopy::kAuto && verdict_ == Verdict::kUnknown) verdict_ = Verdict::kAsked;
}

void ZeroCopySends::crowded() { counters_.crowded.fetch_add(1, std::memory_order_relaxed); }

bool ZeroCopySends::collect(int socket) {
  const std::size_t before = sends_.size();
  // As much as sock_extended_err and the address that may follow it need.
  alignas(cmsghdr) std::array<std::byte, 256> control;
  while (in_flight()) {
    msghdr message{};
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t got = recvmsg(socket, &message, MSG_ERRQUEUE | MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) break;
    if (const std::optional<Completion> completion = Completion::of(message)) completed(*completion);
  }
  return sends_.size() < before;
}

void ZeroCopySends::completed(const Completion& completion) {
  std::uint64_t bytes = 0;
  // Differences of numbers, so that they may wrap. What was never sent, or is done, is passed over.
  const std::uint32_t from = completion.first - first_;
  const std::uint32_t count = completion.last - completion.first;
  for (std::uint64_t i = from; i < sends_.size() && i - from <= count; ++i) {
    if (std::exchange(sends_[i].region, nullptr) != nullptr) bytes += sends_[i].bytes;
  }
  while (!sends_.empty() && sends_.front().region == nullptr) {
    sends_.pop_front();
    ++first_;
  }
  if (bytes == 0) return;
  if (completion.copied) {
    if (choice_ == ZeroCopy::kAuto) refuse();
    return;
  }
  counters_.bytes.fetch_add(bytes, std::memory_order_relaxed);
  if (verdict_ != Verdict::kDoesNotPay) verdict_ = Verdict::kPays;
}

void ZeroCopySends::refuse() {
  if (std::exchange(verdict_, Verdict::kDoesNotPay) == Verdict::kDoesNotPay) return;
  counters_.refused.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace weightcast::transport::tcp
