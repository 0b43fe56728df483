#include "transport/rdma/lane.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "topology/kernel.h"
#include "transport/rdma/attributes.h"
#include "transport/rdma/completion_error.h"
#include "transport/rdma/pacing.h"
#include "transport/rdma/read_queue.h"
#include "transport/rdma/retransmits.h"
#include "verbs/completion_queue.h"
#include "verbs/context.h"
#include "verbs/queue_pair.h"

namespace weightcast::transport::rdma {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint32_t kExtraDepth = 4;
constexpr std::size_t kPollBatch = 32;
/// Empty polls between two looks at the clock.
constexpr unsigned kPollsPerClock = 16;
/// How often the path is looked at: seldom enough for system calls, often enough for a transfer of a second.
constexpr std::chrono::milliseconds kLookEvery{50};
/// Failed queue pairs flush within milliseconds; after this they are destroyed instead.
constexpr std::chrono::seconds kDrainTimeout{5};

std::vector<std::uint32_t> local_keys(const std::vector<std::shared_ptr<Registration>>& registrations) {
  std::vector<std::uint32_t> keys;
  keys.reserve(registrations.size());
  for (const auto& registration : registrations) keys.push_back(registration->local_key());
  return keys;
}

void name_thread(const std::string& lane) {
  constexpr std::size_t kLongest = 15;
  (void)pthread_setname_np(pthread_self(), ("wc " + lane).substr(0, kLongest).c_str());
}

/// Milliseconds for poll(), rounded up so that it does not return just before the deadline.
int poll_timeout(Clock::time_point deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 3'600'000));
}

/// The local ACK timeout, of verbs' count of it.
std::chrono::nanoseconds ack_time(std::uint8_t timeout) { return std::chrono::nanoseconds(4096) * (1ULL << timeout); }

std::uint32_t clean_queue_pairs(const Endpoint& endpoint, const RdmaLaneOptions& options) {
  const auto all = static_cast<std::uint32_t>(endpoint.queue_pairs().size());
  return options.queue_pairs == 0 ? all : std::min(options.queue_pairs, all);
}

/// One call of RdmaLane::run.
class Run {
 public:
  Run(Endpoint& endpoint, ReadQueue reads, SliceFeed& feed, std::uint32_t lane, const RdmaLaneOptions& options,
      int wake_fd, LaneReport& report)
      : endpoint_(endpoint),
        reads_(std::move(reads)),
        feed_(feed),
        lane_(lane),
        options_(options),
        wake_fd_(wake_fd),
        report_(report),
        queue_pairs_(clean_queue_pairs(endpoint, options)),
        retransmits_(Retransmits::folder_of(endpoint.nic()->device(), endpoint.nic()->options().port),
                     ack_time(ack_timeout())) {}

  Status run() {
    const bool finished = read_all();
    if (!finished) {
      cancelled_ = failure_.ok() && !flushed_ && feed_.stopping();
      drain();
    }
    report_.work_requests = reads_.posted();
    report_.retransmits = pacing_.retransmits();
    report_.smallest_read = reads_.smallest_cut().value_or(0);
    return finished ? Status::success() : reason();
  }

 private:
  /// True when the feed has no more and nothing is in flight. False: drain.
  bool read_all() {
    const auto spin = std::chrono::microseconds(options_.spin_us);
    bool refill = true;
    unsigned empty_polls = 0;
    while (failure_.ok() && !flushed_ && !feed_.stopping()) {
      if (refill) {
        if (reads_.in_flight() == 0) begin_looking();
        failure_ = reads_.fill(feed_, limits());
        refill = false;
        if (failure_.ok() && reads_.in_flight() == 0) {
          if (!feed_.wait_for_work()) return !feed_.stopping();
          refill = true;
        }
        continue;
      }
      if (harvest()) {
        if (last_progress_ >= next_look_) look(last_progress_);
        refill = true;
        empty_polls = 0;
        continue;
      }
      if (++empty_polls < kPollsPerClock) continue;
      empty_polls = 0;
      if (Clock::now() - last_progress_ < spin) continue;
      const Clock::time_point stalled = last_progress_ + options_.stall_timeout;
      if (sleep(std::min(stalled, next_look_), wake_fd_)) {
        refill = true;
      } else if (const auto now = Clock::now(); failure_.ok() && now < stalled) {
        look(now);
        refill = true;
      } else if (failure_.ok()) {
        failure_ = Status::error(Code::kStalled, options_.name + ": no read completed for " +
                                                     std::to_string(options_.stall_timeout.count()) + " ms with " +
                                                     std::to_string(reads_.in_flight()) + " in flight");
      }
    }
    return false;
  }

  /// Nothing was in flight: what did not come until now is nobody's fault.
  void begin_looking() {
    last_progress_ = looked_ = Clock::now();
    next_look_ = options_.adapt ? looked_ + kLookEvery : Clock::time_point::max();
    seen_bytes_ = reads_.arrived_bytes();
  }

  /// Tells `pacing_` how the path behaved since the last look.
  void look(Clock::time_point now) {
    const std::uint64_t bytes = reads_.arrived_bytes() - seen_bytes_;
    const auto usual = completions_seen_ == 0 ? Clock::duration(0) : (now - start_) / completions_seen_;
    pacing_.observe(now - looked_, bytes, retransmits_.sample(now, last_progress_, usual));
    looked_ = now;
    next_look_ = now + kLookEvery;
    seen_bytes_ += bytes;
  }

  [[nodiscard]] PostLimits limits() const {
    const auto all = static_cast<std::uint32_t>(endpoint_.queue_pairs().size());
    return {.read_bytes = pacing_.read_bytes(),
            .window_bytes = pacing_.window_bytes(),
            .queue_pairs = pacing_.spread(all) ? all : queue_pairs_};
  }

  /// Takes what has completed. False when nothing had.
  bool harvest() {
    const int count = endpoint_.completion_queue().poll(completions_);
    if (count == 0) return false;
    if (count < 0) {
      if (failure_.ok()) failure_ = Status::error(Code::kVerbs, options_.name + ": ibv_poll_cq failed");
      broken_ = true;
      return false;
    }
    last_progress_ = Clock::now();
    for (const ibv_wc& completion : std::span(completions_).first(static_cast<std::size_t>(count))) take(completion);
    return true;
  }

  void take(const ibv_wc& completion) {
    const bool succeeded = completion.status == IBV_WC_SUCCESS;
    if (const auto ended = reads_.release(completion.wr_id, succeeded); ended && ended->landed) {
      report_.bytes += feed_.slice(ended->slice).length;
      feed_.landed(ended->slice, lane_);
    } else if (ended) {
      feed_.give_back(ended->slice);
    }
    if (succeeded) {
      if (++completions_seen_ == 1) {
        report_.first_byte_ms = std::chrono::duration<double, std::milli>(last_progress_ - start_).count();
      }
      return;
    }
    flushed_ = true;
    // Flushed requests are the consequence of something else, which may complete later, on another queue pair.
    if (completion.status == IBV_WC_WR_FLUSH_ERR || !completion_failure_.ok()) return;
    completion_failure_ = completion_error(endpoint_.nic()->context()->library(), completion, options_.name);
  }

  /// Why the lane ended early, out of all that it met.
  [[nodiscard]] Status reason() {
    if (cancelled_) return Status::error(Code::kCancelled, options_.name + ": stopped before all was read");
    // A post that was refused, or a stall, is mostly the consequence of what a completion tells better.
    if (!completion_failure_.ok()) return std::move(completion_failure_);
    if (!failure_.ok()) return std::move(failure_);
    return Status::error(Code::kClosed, options_.name + ": the endpoint was closed while it was read over");
  }

  /// Waits for a completion or, with a `wake_fd`, an interrupt. False when the deadline passed without either, or when
  /// `failure_` says why it cannot wait.
  bool sleep(Clock::time_point deadline, int wake_fd) {
    verbs::CompletionQueue& cq = endpoint_.completion_queue();
    if (Status armed = cq.arm(); !armed.ok()) {
      if (failure_.ok()) failure_ = std::move(armed);
      return false;
    }
    if (harvest()) return true;  // completed before the channel was armed: no event will come
    if (broken_) return false;
    std::array<pollfd, 2> descriptors{{{cq.channel_fd(), POLLIN, 0}, {wake_fd, POLLIN, 0}}};
    const int ready = poll(descriptors.data(), descriptors.size(), poll_timeout(deadline));
    if (ready < 0 && errno != EINTR) {
      if (failure_.ok()) {
        failure_ = Status::system(Code::kIo, "poll", errno, options_.name + ": cannot wait for completions");
      }
      return false;
    }
    if (descriptors[0].revents != 0) cq.consume_events();
    if (descriptors[1].revents != 0) {
      eventfd_t interrupts = 0;
      (void)eventfd_read(wake_fd, &interrupts);
    }
    return ready != 0 || harvest();
  }

  /// Moves the queue pairs to ERR and waits until no request is in flight. Afterwards no byte can land.
  void drain() {
    endpoint_.fail();
    const auto deadline = Clock::now() + kDrainTimeout;
    while (reads_.in_flight() > 0) {
      if (harvest()) continue;
      if (!broken_ && (sleep(deadline, -1) || Clock::now() < deadline)) continue;
      endpoint_.destroy_queue_pairs();
      break;
    }
    reads_.abandon(feed_);  // also the slice that was only begun
  }

  Endpoint& endpoint_;
  ReadQueue reads_;
  SliceFeed& feed_;
  std::uint32_t lane_;
  const RdmaLaneOptions& options_;
  int wake_fd_;
  LaneReport& report_;
  const std::uint32_t queue_pairs_;  // while the path is clean
  Retransmits retransmits_;
  Pacing pacing_;
  std::array<ibv_wc, kPollBatch> completions_{};
  Clock::time_point start_ = Clock::now();
  Clock::time_point last_progress_ = start_;
  Clock::time_point looked_ = start_;
  Clock::time_point next_look_ = start_;
  std::uint64_t seen_bytes_ = 0;       // of all that arrived, at the last look
  std::int64_t completions_seen_ = 0;  // that succeeded
  Status failure_;                     // the first call that failed, or the stall
  Status completion_failure_;          // the first completion that failed and was not flushed
  bool flushed_ = false;               // some completion failed
  bool cancelled_ = false;
  bool broken_ = false;  // the completion queue cannot be polled
};

}  // namespace

RdmaLane::RdmaLane(std::shared_ptr<Endpoint> endpoint, std::vector<std::uint32_t> remote_keys,
                   std::vector<std::shared_ptr<Registration>> local, RdmaLaneOptions options)
    : endpoint_(std::move(endpoint)),
      remote_keys_(std::move(remote_keys)),
      local_(std::move(local)),
      options_(std::move(options)),
      wake_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

RdmaLane::~RdmaLane() {
  if (wake_fd_ >= 0) close(wake_fd_);
}

Status RdmaLane::run(SliceFeed& feed, std::uint32_t lane_index) {
  report_ = {};
  if (wake_fd_ < 0) {
    return Status::system(Code::kIo, "eventfd", EMFILE, options_.name + ": this process has no descriptor left");
  }
  if (endpoint_->max_reads() == 0) {
    return Status::error(Code::kInvalidArgument, options_.name + ": the endpoint is not connected");
  }
  const std::uint32_t wanted = options_.depth == 0 ? endpoint_->max_reads() + kExtraDepth : options_.depth;
  const std::uint32_t depth = std::min(wanted, endpoint_->send_depth());
  if (!options_.processors.empty()) {
    report_.affinity_refusal = topology::system_kernel().run_on(options_.processors).message;
  }
  name_thread(options_.name);  // not before: one of that name that somebody sees is where it stays
  ReadQueue reads(*endpoint_, remote_keys_, local_keys(local_), depth, clean_queue_pairs(*endpoint_, options_));
  return Run(*endpoint_, std::move(reads), feed, lane_index, options_, wake_fd_, report_).run();
}

void RdmaLane::interrupt() {
  if (wake_fd_ >= 0) (void)eventfd_write(wake_fd_, 1);
}

}  // namespace weightcast::transport::rdma
