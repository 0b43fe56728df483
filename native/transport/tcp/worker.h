#pragma once

#include <atomic>
#include <cstddef>
#include <list>
#include <mutex>
#include <thread>
#include <vector>

#include "transport/tcp/connection.h"
#include "transport/tcp/ranges.h"
#include "transport/tcp/socket.h"

namespace weightcast::transport::tcp {

/// A thread with an epoll set of its own and the connections that were handed to it. Connections never leave their
/// worker, so they need no lock.
class Worker {
 public:
  /// `ranges` and `counters` must outlive the worker. At most `capacity` connections at a time: a newcomer then takes
  /// the place of the one that was quiet for longest, or is turned away when none was quiet for a second.
  Worker(const RangeStore& ranges, AtomicCounters& counters, std::size_t capacity, ZeroCopy zero_copy);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  Worker(Worker&&) = delete;
  Worker& operator=(Worker&&) = delete;

  /// Starts the thread. kIo when descriptors or threads ran out.
  Status start(unsigned number);
  /// Hands a connected socket over. Any thread.
  void adopt(Fd socket);
  /// Connections that it has or is about to have. Any thread.
  [[nodiscard]] std::size_t load() const { return load_.load(std::memory_order_relaxed); }
  /// Ends all connections and joins. Idempotent; not for the worker's own thread.
  void stop();

 private:
  struct Entry {
    Connection connection;
    std::list<Entry>::iterator self;
    std::uint32_t armed = 0;  // epoll events asked for
  };
  using Entries = std::list<Entry>;

  void run();
  int wait_milliseconds() const;
  void admit_newcomers();
  bool make_room();
  void serve(Entry& entry);
  void end_lingering();
  void remove(Entries::iterator entry);

  const RangeStore& ranges_;
  AtomicCounters& counters_;
  std::size_t capacity_;
  ZeroCopy zero_copy_;
  Fd epoll_;
  WakeUp wake_;
  std::atomic<bool> stopping_ = false;
  std::atomic<std::size_t> load_ = 0;
  std::mutex mutex_;
  std::vector<Fd> newcomers_;  // guarded by mutex_
  Entries entries_;            // the quietest first
  std::size_t lingering_ = 0;
  std::thread thread_;
};

}  // namespace weightcast::transport::tcp
