#include "transport/tcp/worker.h"

#include <pthread.h>
#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

namespace weightcast::transport::tcp {
namespace {

constexpr auto kLinger = std::chrono::seconds(1);
constexpr auto kQuiet = std::chrono::seconds(1);
constexpr int kLingerSweepMs = 100;

std::uint32_t events_for(Connection::Wants wants) {
  switch (wants) {
    case Connection::Wants::kRead:
      return EPOLLIN;
    case Connection::Wants::kWrite:
      return EPOLLOUT;
    default:
      return 0;
  }
}

}  // namespace

Worker::Worker(const RangeStore& ranges, AtomicCounters& counters, std::size_t capacity, ZeroCopy zero_copy)
    : ranges_(ranges),
      counters_(counters),
      capacity_(capacity),
      zero_copy_(zero_copy),
      epoll_(epoll_create1(EPOLL_CLOEXEC)) {}

Worker::~Worker() { stop(); }

Status Worker::start(unsigned number) {
  if (!epoll_.valid() || !wake_.valid()) {
    return Status::system(Code::kIo, "epoll_create1", errno, "Cannot start a TCP worker; raise the open file limit");
  }
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = nullptr;  // stands for the wake-up
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.fd(), &event) != 0) {
    return Status::system(Code::kIo, "epoll_ctl", errno, "Cannot start a TCP worker");
  }
  try {
    thread_ = std::thread([this] { run(); });
  } catch (const std::system_error& error) {
    return Status::system(Code::kIo, "pthread_create", error.code().value(), "Cannot start a TCP worker");
  }
  (void)pthread_setname_np(thread_.native_handle(), ("wc-serve-" + std::to_string(number)).c_str());
  return Status::success();
}

void Worker::adopt(Fd socket) {
  load_.fetch_add(1, std::memory_order_relaxed);
  {
    const std::lock_guard lock(mutex_);
    newcomers_.push_back(std::move(socket));
  }
  wake_.signal();
}

void Worker::stop() {
  stopping_.store(true);
  wake_.signal();
  if (thread_.joinable()) thread_.join();
  const std::lock_guard lock(mutex_);
  newcomers_.clear();
}

void Worker::run() {
  std::array<epoll_event, 64> events;
  while (!stopping_.load()) {
    const int count = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), wait_milliseconds());
    bool woken = false;
    for (int i = 0; i < count && !stopping_.load(); ++i) {
      auto* entry = static_cast<Entry*>(events[static_cast<std::size_t>(i)].data.ptr);
      if (entry == nullptr) {
        woken = true;
      } else {
        serve(*entry);
      }
    }
    // After the batch: making room may destroy a connection that a later event of the batch points to.
    if (woken) {
      wake_.drain();
      admit_newcomers();
    }
    if (lingering_ > 0) end_lingering();
  }
  entries_.clear();
}

int Worker::wait_milliseconds() const { return lingering_ > 0 ? kLingerSweepMs : -1; }

void Worker::admit_newcomers() {
  std::vector<Fd> newcomers;
  {
    const std::lock_guard lock(mutex_);
    newcomers.swap(newcomers_);
  }
  for (Fd& socket : newcomers) {
    if (entries_.size() >= capacity_ && !make_room()) {
      load_.fetch_sub(1, std::memory_order_relaxed);
      continue;
    }
    entries_.push_back({Connection(std::move(socket), ranges_, counters_, zero_copy_), {}});
    const auto entry = std::prev(entries_.end());
    entry->self = entry;
    epoll_event event{};
    event.events = entry->armed = EPOLLIN;
    event.data.ptr = &*entry;
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, entry->connection.fd(), &event) != 0) remove(entry);
  }
}

bool Worker::make_room() {
  const auto now = Clock::now();
  const auto quiet = [now](const Entry& entry) { return now - entry.connection.last_active() >= kQuiet; };
  const auto idle =
      std::find_if(entries_.begin(), entries_.end(), [](const Entry& entry) { return entry.connection.idle(); });
  const auto victim = idle != entries_.end() && quiet(*idle) ? idle : entries_.begin();
  if (!quiet(*victim)) return false;
  remove(victim);
  return true;
}

void Worker::serve(Entry& entry) {
  const bool lingered = entry.connection.lingering();
  const auto before = entry.connection.last_active();
  const Connection::Wants wants = entry.connection.advance();
  if (!lingered && entry.connection.lingering()) ++lingering_;
  if (wants == Connection::Wants::kClose) return remove(entry.self);
  if (entry.connection.last_active() != before) entries_.splice(entries_.end(), entries_, entry.self);

  const std::uint32_t needed = events_for(wants);
  if (needed == entry.armed) return;
  epoll_event event{};
  event.events = entry.armed = needed;
  event.data.ptr = &entry;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, entry.connection.fd(), &event) != 0) remove(entry.self);
}

void Worker::end_lingering() {
  const auto now = Clock::now();
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    const auto next = std::next(entry);
    if (entry->connection.lingering() && now - entry->connection.last_active() >= kLinger) remove(entry);
    entry = next;
  }
}

void Worker::remove(Entries::iterator entry) {
  if (entry->connection.lingering()) --lingering_;
  // Closing would not do: a process that is being spawned has copies of all descriptors until it runs its program, and
  // the socket would stay in the epoll set, with events that point to this entry.
  (void)epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, entry->connection.fd(), nullptr);
  entries_.erase(entry);
  load_.fetch_sub(1, std::memory_order_relaxed);
}

}  // namespace weightcast::transport::tcp
