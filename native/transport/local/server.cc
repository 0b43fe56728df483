#include "transport/local/server.h"

#include <poll.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <mutex>
#include <span>
#include <system_error>
#include <thread>
#include <utility>

#include "transport/local/offer.h"
#include "transport/tcp/socket.h"

namespace weightcast::transport::local {
namespace {

using tcp::Clock;
using tcp::Fd;

constexpr std::chrono::seconds kPatience{2};
constexpr std::size_t kMostConnections = 1024;
constexpr int kBacklog = 128;
constexpr int kOutOfDescriptorsPauseMs = 100;

/// Whether Yama lets a process read another's memory only with its leave.
bool asks_leave() {
  std::ifstream file("/proc/sys/kernel/yama/ptrace_scope");
  int scope = 0;
  return file >> scope && scope == 1;
}

struct Connection {
  Fd socket;
  pid_t pid = 0;
  Clock::time_point deadline;
  bool served = false;
};

class ServerImpl final : public Server {
 public:
  ServerImpl(ServerOptions options, Fd listener) : options_(std::move(options)), listener_(std::move(listener)) {}
  ServerImpl(const ServerImpl&) = delete;
  ServerImpl& operator=(const ServerImpl&) = delete;
  ServerImpl(ServerImpl&&) = delete;
  ServerImpl& operator=(ServerImpl&&) = delete;
  ~ServerImpl() override { shut_down(); }

  Status start() {
    if (Status status = serve({}); !status.ok()) return status;
    if (!wake_.valid()) return Status::error(Code::kIo, "Cannot make an eventfd; raise the open file limit");
    try {
      thread_ = std::thread([this] { run(); });
    } catch (const std::system_error& error) {
      return Status::system(Code::kIo, "pthread_create", error.code().value(), "Cannot start the local server");
    }
    (void)pthread_setname_np(thread_.native_handle(), "wc-local");
    return Status::success();
  }

  Status serve(std::vector<tcp::ServedRange> ranges) override {
    auto offer = Offer::make(std::move(ranges));
    if (!offer.ok()) return offer.status();
    const std::lock_guard lock(mutex_);
    offer_.swap(offer.value());
    return Status::success();
  }

  [[nodiscard]] ServerCounters counters() const override {
    return {.connections = connections_count_.load(), .served = served_.load(), .refused = refused_.load()};
  }

  void close() override { shut_down(); }

 private:
  void run();
  void accept_all(bool& paused);
  bool greet(Connection& connection);
  bool answer(const Connection& connection, Verdict verdict, bool memory_is_free, const Offer* offer) const;
  bool lend_memory(const Connection& connection, const Offer& offer);
  void take_memory_back();
  void shut_down();

  ServerOptions options_;
  Fd listener_;
  tcp::WakeUp wake_;
  std::mutex mutex_;
  std::shared_ptr<const Offer> offer_;   // guarded by mutex_
  std::vector<Connection> connections_;  // the thread's
  pid_t reader_ = 0;                     // the thread's: who has leave to read memory
  const bool asks_leave_ = asks_leave();
  std::atomic<std::uint64_t> connections_count_ = 0, served_ = 0, refused_ = 0;
  std::atomic<bool> stopping_ = false;
  std::mutex closing_;
  std::thread thread_;
};

void ServerImpl::run() {
  bool paused = false;
  while (!stopping_.load()) {
    std::vector<pollfd> polled{{wake_.fd(), POLLIN, 0}, {paused ? -1 : listener_.get(), POLLIN, 0}};
    auto wait = paused ? kOutOfDescriptorsPauseMs : -1;
    const Clock::time_point now = Clock::now();
    for (const Connection& connection : connections_) {
      polled.push_back({connection.socket.get(), POLLIN, 0});
      if (connection.served) continue;
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(connection.deadline - now).count();
      const int until = static_cast<int>(std::max<std::int64_t>(left, 0));
      wait = wait < 0 ? until : std::min(wait, until);
    }
    (void)poll(polled.data(), polled.size(), wait);
    paused = false;
    const Clock::time_point later = Clock::now();
    for (std::size_t i = connections_.size(); i-- > 0;) {
      Connection& connection = connections_[i];
      const bool readable = polled[i + 2].revents != 0;
      // A target that was served has nothing more to say but its end.
      const bool over =
          readable ? connection.served || !greet(connection) : !connection.served && later >= connection.deadline;
      if (over) connections_.erase(connections_.begin() + static_cast<std::ptrdiff_t>(i));
    }
    take_memory_back();
    if (polled[1].revents != 0) accept_all(paused);
  }
  connections_.clear();
  take_memory_back();
}

void ServerImpl::accept_all(bool& paused) {
  while (!stopping_.load()) {
    Fd socket(accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket.valid()) {
      paused = errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
      return;
    }
    connections_count_.fetch_add(1);
    ucred peer{};
    socklen_t size = sizeof(peer);
    const bool known = getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0;
    Connection connection{.socket = std::move(socket), .pid = peer.pid, .deadline = Clock::now() + kPatience};
    const bool ours = known && (peer.uid == options_.user || peer.uid == 0);
    if (!ours || connections_.size() >= kMostConnections) {
      refused_.fetch_add(1);
      (void)answer(connection, ours ? Verdict::kBusy : Verdict::kOtherUser, false, nullptr);
      continue;
    }
    connections_.push_back(std::move(connection));
  }
}

/// False: the connection is to be closed.
bool ServerImpl::greet(Connection& connection) {
  Hello hello;
  const ssize_t count = recv(connection.socket.get(), &hello, sizeof(hello), MSG_TRUNC);
  if (count < 0) return errno == EAGAIN || errno == EINTR;
  const bool sound = count == sizeof(hello) && hello.magic == kMagic;
  if (!sound || hello.challenge != options_.token.challenge) {
    if (count > 0) refused_.fetch_add(1);
    if (sound) (void)answer(connection, Verdict::kWrongToken, false, nullptr);
    return false;
  }
  std::shared_ptr<const Offer> offer;
  {
    const std::lock_guard lock(mutex_);
    offer = offer_;
  }
  if (!answer(connection, Verdict::kServed, lend_memory(connection, *offer), offer.get())) return false;
  connection.served = true;
  served_.fetch_add(1);
  return true;
}

bool ServerImpl::answer(const Connection& connection, Verdict verdict, bool memory_is_free, const Offer* offer) const {
  Reply reply;
  reply.verdict = verdict;
  reply.memory_is_free = memory_is_free ? 1 : 0;
  if (verdict == Verdict::kServed) reply.answer = options_.token.answer;
  reply.rows = offer == nullptr ? 0 : offer->rows();
  iovec vector{.iov_base = &reply, .iov_len = sizeof(reply)};
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE((kMostDescriptors + 1) * sizeof(int))> control{};
  if (offer != nullptr) {
    const std::vector<int>& descriptors = offer->descriptors();
    const std::size_t bytes = descriptors.size() * sizeof(int);
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(bytes);
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(bytes);
    std::memcpy(CMSG_DATA(header), descriptors.data(), bytes);
  }
  return sendmsg(connection.socket.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof(reply);
}

/// Yama knows one process that may read: a second target must not take it from the first.
bool ServerImpl::lend_memory(const Connection& connection, const Offer& offer) {
  if (!offer.needs_memory() || !asks_leave_) return true;
  if (reader_ != 0 && reader_ != connection.pid) return false;
  reader_ = connection.pid;
  return prctl(PR_SET_PTRACER, static_cast<unsigned long>(reader_), 0, 0, 0) == 0;
}

void ServerImpl::take_memory_back() {
  if (reader_ == 0) return;
  const auto reads = [this](const Connection& connection) { return connection.pid == reader_; };
  if (std::any_of(connections_.begin(), connections_.end(), reads)) return;
  reader_ = 0;
  (void)prctl(PR_SET_PTRACER, 0UL, 0, 0, 0);
}

void ServerImpl::shut_down() {
  const std::lock_guard closing(closing_);
  stopping_.store(true);
  wake_.signal();
  if (thread_.joinable()) thread_.join();
  listener_.reset();
  std::shared_ptr<const Offer> last;  // its regions go outside of the lock
  const std::lock_guard lock(mutex_);
  last.swap(offer_);
}

}  // namespace

Result<std::shared_ptr<Server>> Server::listen(const ServerOptions& options) {
  const auto address = abstract_address(options.name);
  if (!address) return Status::error(Code::kInvalidArgument, "the local socket's name must have 1 to 106 characters");
  Fd listener(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener.valid()) return Status::system(Code::kIo, "socket", errno, "cannot make a Unix domain socket");
  if (bind(listener.get(), reinterpret_cast<const sockaddr*>(&address->value), address->length) != 0) {
    return Status::system(Code::kIo, "bind", errno, "cannot listen at the local socket " + options.name);
  }
  if (::listen(listener.get(), kBacklog) != 0) {
    return Status::system(Code::kIo, "listen", errno, "cannot listen at the local socket " + options.name);
  }
  auto server = std::make_shared<ServerImpl>(options, std::move(listener));
  if (Status status = server->start(); !status.ok()) return status;
  return std::shared_ptr<Server>(std::move(server));
}

}  // namespace weightcast::transport::local
