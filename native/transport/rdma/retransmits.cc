#include "transport/rdma/retransmits.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace weightcast::transport::rdma {
namespace {

/// What a reader's side counts when an answer does not come, or not in order; each driver has names of its own.
constexpr std::array kCounters = {
    "completer_retry_err",                                                  // rxe
    "packet_seq_err",      "implied_nak_seq_err", "local_ack_timeout_err",  // mlx5
    "to_retransmits",      "seq_err_naks_rcvd",                             // bnxt_re
    "tcpRetransSegs",                                                       // irdma
};

constexpr int kUsualSilences = 8;

std::uint64_t read_counter(int file) {
  std::array<char, 24> text{};
  const ssize_t length = pread(file, text.data(), text.size(), 0);
  std::uint64_t value = 0;
  if (length > 0) (void)std::from_chars(text.data(), text.data() + length, value);
  return value;
}

}  // namespace

std::string Retransmits::folder_of(const std::string& device, unsigned port) {
  return "/sys/class/infiniband/" + device + "/ports/" + std::to_string(port) + "/hw_counters";
}

Retransmits::Retransmits(const std::string& folder, std::chrono::nanoseconds ack_timeout) : ack_timeout_(ack_timeout) {
  for (const char* name : kCounters) {
    const int file = open((folder + "/" + name).c_str(), O_RDONLY | O_CLOEXEC);
    if (file >= 0) files_.push_back(file);
  }
  before_ = total();
}

Retransmits::~Retransmits() {
  for (const int file : files_) close(file);
}

std::uint64_t Retransmits::total() const {
  std::uint64_t sum = 0;
  for (const int file : files_) sum += read_counter(file);
  return sum;
}

std::uint64_t Retransmits::sample(Clock::time_point now, Clock::time_point last_completion,
                                  std::chrono::nanoseconds usual) {
  if (counted()) {
    const std::uint64_t sum = total();
    const std::uint64_t grown = sum > before_ ? sum - before_ : 0;  // a counter can be set back
    before_ = sum;
    return grown;
  }
  if (usual == std::chrono::nanoseconds(0) || last_completion == silent_since_) return 0;
  if (now - last_completion < std::max(ack_timeout_, kUsualSilences * usual)) return 0;
  silent_since_ = last_completion;
  return 1;
}

}  // namespace weightcast::transport::rdma
