#include "transport/tcp/server.h"

#include <poll.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "transport/tcp/connection.h"
#include "transport/tcp/ranges.h"
#include "transport/tcp/socket.h"
#include "transport/tcp/worker.h"

namespace weightcast::transport::tcp {
namespace {

// Mooncake up to 0.3.12 opens a connection for each tensor of a batch, all of them at once.
constexpr std::size_t kMostConnections = 16384;
constexpr unsigned kMostThreads = 64;
constexpr int kOutOfDescriptorsPauseMs = 100;

// Half of the descriptors stay for the rest of the process.
std::size_t connection_limit() {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur == RLIM_INFINITY) return kMostConnections;
  return std::clamp<std::size_t>(static_cast<std::size_t>(files.rlim_cur) / 2, 1, kMostConnections);
}

bool out_of_resources(int error) { return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM; }

class ServerImpl final : public Server {
 public:
  ServerImpl(Fd listener, unsigned threads, ZeroCopy zero_copy)
      : listener_(std::move(listener)), port_(bound_port(listener_.get())) {
    const std::size_t capacity = std::max<std::size_t>(1, connection_limit() / threads);
    for (unsigned i = 0; i < threads; ++i) {
      workers_.push_back(std::make_unique<Worker>(ranges_, counters_, capacity, zero_copy));
    }
  }
  ServerImpl(const ServerImpl&) = delete;
  ServerImpl& operator=(const ServerImpl&) = delete;
  ServerImpl(ServerImpl&&) = delete;
  ServerImpl& operator=(ServerImpl&&) = delete;
  ~ServerImpl() override { shut_down(); }

  Status start() {
    for (unsigned i = 0; i < workers_.size(); ++i) {
      Status status = workers_[i]->start(i);
      if (!status.ok()) return status;
    }
    if (!wake_.valid()) return Status::error(Code::kIo, "Cannot make an eventfd; raise the open file limit");
    try {
      acceptor_ = std::thread([this] { accept_connections(); });
    } catch (const std::system_error& error) {
      return Status::system(Code::kIo, "pthread_create", error.code().value(), "Cannot start the TCP acceptor");
    }
    (void)pthread_setname_np(acceptor_.native_handle(), "wc-accept");
    return Status::success();
  }

  [[nodiscard]] std::uint16_t port() const override { return port_; }

  void serve(std::vector<ServedRange> ranges) override {
    ranges_.store(std::make_shared<const RangeTable>(std::move(ranges)));
  }

  [[nodiscard]] ServerCounters counters() const override {
    return {.connections = counters_.connections.load(std::memory_order_relaxed),
            .requests = counters_.requests.load(std::memory_order_relaxed),
            .rejected = counters_.rejected.load(std::memory_order_relaxed),
            .bytes = counters_.bytes.load(std::memory_order_relaxed),
            .zero_copy_bytes = counters_.zero_copy.bytes.load(std::memory_order_relaxed),
            .zero_copy_refused = counters_.zero_copy.refused.load(std::memory_order_relaxed),
            .zero_copy_crowded = counters_.zero_copy.crowded.load(std::memory_order_relaxed)};
  }

  void close() override { shut_down(); }

 private:
  void accept_connections();
  void shut_down();

  Fd listener_;
  std::uint16_t port_;
  WakeUp wake_;
  RangeStore ranges_;
  AtomicCounters counters_;
  std::vector<std::unique_ptr<Worker>> workers_;  // after what they refer to
  std::atomic<bool> stopping_ = false;
  std::mutex closing_;
  std::thread acceptor_;
};

void ServerImpl::accept_connections() {
  bool paused = false;
  while (!stopping_.load()) {
    std::array<pollfd, 2> polled{{{wake_.fd(), POLLIN, 0}, {listener_.get(), POLLIN, 0}}};
    (void)poll(polled.data(), paused ? 1 : 2, paused ? kOutOfDescriptorsPauseMs : -1);
    paused = false;
    while (!stopping_.load()) {
      Fd socket(accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (!socket.valid()) {
        // The connection stays in the backlog, and poll() would report it at once, again and again.
        paused = out_of_resources(errno);
        break;
      }
      tune_stream(socket.get());
      counters_.connections.fetch_add(1, std::memory_order_relaxed);
      const auto least = std::min_element(workers_.begin(), workers_.end(),
                                          [](const auto& a, const auto& b) { return a->load() < b->load(); });
      (*least)->adopt(std::move(socket));
    }
  }
}

void ServerImpl::shut_down() {
  const std::lock_guard lock(closing_);
  stopping_.store(true);
  wake_.signal();
  if (acceptor_.joinable()) acceptor_.join();
  listener_.reset();
  for (const auto& worker : workers_) worker->stop();
  ranges_.store(std::make_shared<const RangeTable>(std::vector<ServedRange>{}));
}

}  // namespace

Result<std::shared_ptr<Server>> Server::listen(const std::string& host, std::uint16_t port, unsigned threads,
                                               ZeroCopy zero_copy) {
  if (threads == 0 || threads > kMostThreads) {
    return Status::error(Code::kInvalidArgument, "A TCP server needs 1 to " + std::to_string(kMostThreads) +
                                                     " threads, not " + std::to_string(threads));
  }
  Result<Fd> listener = listen_on(host, port);
  if (!listener.ok()) return listener.status();
  auto server = std::make_shared<ServerImpl>(std::move(listener.value()), threads, zero_copy);
  Status status = server->start();
  if (!status.ok()) return status;
  return std::shared_ptr<Server>(std::move(server));
}

}  // namespace weightcast::transport::tcp
