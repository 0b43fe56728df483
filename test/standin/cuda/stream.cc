// Streams, each with a thread that does what was asked of it in order and later than asked; events.
#include <condition_variable>
#include <cstring>
#include <deque>
#include <functional>
#include <set>
#include <string>
#include <thread>

#include "context.h"
#include "ledger.h"
#include "memory.h"
#include "registration.h"

namespace cuda = weightcast::cuda;
using cuda::Code;
using cuda::DevicePointer;
using standin::AddressSpace;
using standin::Ledger;

namespace weightcast::cuda {

struct CudaStreamTag {
  const int device;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::function<void()>> work;
  bool busy = false;
  bool ending = false;
  std::thread thread;

  explicit CudaStreamTag(int its_device) : device(its_device), thread([this] { run(); }) {}
  void run() {
    std::unique_lock lock(mutex);
    for (;;) {
      changed.wait(lock, [this] { return ending || !work.empty(); });
      if (work.empty()) return;
      auto next = std::move(work.front());
      work.pop_front();
      busy = true;
      lock.unlock();
      next();
      lock.lock();
      busy = false;
      changed.notify_all();
    }
  }
  void add(std::function<void()> what) {
    const std::lock_guard lock(mutex);
    work.push_back(std::move(what));
    changed.notify_all();
  }
  void drain() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [this] { return work.empty() && !busy; });
  }
};

struct CudaEventTag {
  const int device;
  std::mutex mutex;
  std::condition_variable changed;
  int pending = 0;

  explicit CudaEventTag(int its_device) : device(its_device) {}
};

}  // namespace weightcast::cuda

namespace {

std::set<cuda::Stream> streams;  // guarded by the ledger's lock, as events
std::set<cuda::Event> events;

Code no_stream() { return Ledger::get().fault(Code::kInvalidHandle, "a stream that is none"); }
Code no_event() { return Ledger::get().fault(Code::kInvalidHandle, "an event that is none"); }
Code other_device(const char* what) {
  return Ledger::get().fault(Code::kInvalidHandle, std::string(what) + " on a stream of another device");
}

/// When it is the copy's turn: the memory may be gone by then, which is the caller's mistake.
void copy_now(DevicePointer device, std::byte* host, std::size_t bytes, bool to_device) {
  std::vector<standin::Piece> pieces;
  {
    const std::lock_guard lock(Ledger::get().mutex);
    pieces = AddressSpace::get().pieces(device, bytes);
    if (pieces.empty()) {
      (void)Ledger::get().fault(Code::kIllegalAddress,
                                "memory at " + standin::hex(device) + " was freed before a copy of it was done");
      return;
    }
  }
  for (const standin::Piece& piece : pieces) {
    std::byte* shadow = piece.physical->shadow() + piece.offset;
    std::memcpy(to_device ? shadow : host, to_device ? host : shadow, piece.bytes);
    host += piece.bytes;
  }
}

Code enqueue(DevicePointer device, std::byte* host, std::size_t bytes, cuda::Stream stream, bool to_device) {
  if (!streams.contains(stream)) return no_stream();
  if (bytes > 0 && AddressSpace::get().pieces(device, bytes).empty()) {
    return Ledger::get().fault(Code::kInvalidValue, "a copy of " + std::to_string(bytes) + " bytes at " +
                                                        standin::hex(device) + ", which are not all mapped");
  }
  if (to_device) standin::note_copy(device, bytes);
  stream->add([=] { copy_now(device, host, bytes, to_device); });
  return Code::kSuccess;
}

}  // namespace

extern "C" {

Code cuStreamCreate(cuda::Stream* stream, unsigned flags) {
  STANDIN_ENTER("cuStreamCreate");
  STANDIN_NEED_CONTEXT(device);
  if (flags > cuda::kStreamNonBlocking) return Code::kInvalidValue;
  *stream = new cuda::CudaStreamTag(device);
  streams.insert(*stream);
  ++Ledger::get().alive["streams"];
  return Code::kSuccess;
}

Code cuStreamDestroy_v2(cuda::Stream stream) {
  {
    STANDIN_ENTER("cuStreamDestroy");
    if (streams.erase(stream) == 0) return no_stream();
    --Ledger::get().alive["streams"];
  }
  // Without the ledger's lock, which copies take.
  {
    const std::lock_guard lock(stream->mutex);
    stream->ending = true;
    stream->changed.notify_all();
  }
  stream->thread.join();
  delete stream;
  return Code::kSuccess;
}

Code cuStreamSynchronize(cuda::Stream stream) {
  {
    STANDIN_ENTER("cuStreamSynchronize");
    if (!streams.contains(stream)) return no_stream();
  }
  stream->drain();
  return Code::kSuccess;
}

Code cuMemcpyHtoDAsync_v2(DevicePointer to, const void* from, std::size_t bytes, cuda::Stream stream) {
  STANDIN_ENTER("cuMemcpyHtoDAsync");
  STANDIN_NEED_CONTEXT(device);
  if (streams.contains(stream) && stream->device != device) return other_device("a copy");
  return enqueue(to, static_cast<std::byte*>(const_cast<void*>(from)), bytes, stream, true);
}

Code cuMemcpyDtoHAsync_v2(void* to, DevicePointer from, std::size_t bytes, cuda::Stream stream) {
  STANDIN_ENTER("cuMemcpyDtoHAsync");
  STANDIN_NEED_CONTEXT(device);
  if (streams.contains(stream) && stream->device != device) return other_device("a copy");
  return enqueue(from, static_cast<std::byte*>(to), bytes, stream, false);
}

Code cuEventCreate(cuda::Event* event, unsigned /*flags*/) {
  STANDIN_ENTER("cuEventCreate");
  STANDIN_NEED_CONTEXT(device);
  *event = new cuda::CudaEventTag(device);
  events.insert(*event);
  ++Ledger::get().alive["events"];
  return Code::kSuccess;
}

Code cuEventDestroy_v2(cuda::Event event) {
  STANDIN_ENTER("cuEventDestroy");
  if (events.erase(event) == 0) return no_event();
  --Ledger::get().alive["events"];
  {
    std::unique_lock lock(event->mutex);
    if (event->pending > 0)
      return Ledger::get().fault(Code::kSuccess, "an event was destroyed that a stream still has to reach");
  }
  delete event;
  return Code::kSuccess;
}

Code cuEventRecord(cuda::Event event, cuda::Stream stream) {
  STANDIN_ENTER("cuEventRecord");
  if (!events.contains(event)) return no_event();
  if (!streams.contains(stream)) return no_stream();
  if (event->device != stream->device) return other_device("an event");
  {
    const std::lock_guard lock(event->mutex);
    ++event->pending;
  }
  stream->add([event] {
    const std::lock_guard lock(event->mutex);
    --event->pending;
    event->changed.notify_all();
  });
  return Code::kSuccess;
}

Code cuEventQuery(cuda::Event event) {
  STANDIN_ENTER("cuEventQuery");
  if (!events.contains(event)) return no_event();
  const std::lock_guard lock(event->mutex);
  return event->pending == 0 ? Code::kSuccess : Code::kNotReady;
}

Code cuEventSynchronize(cuda::Event event) {
  {
    STANDIN_ENTER("cuEventSynchronize");
    if (!events.contains(event)) return no_event();
  }
  std::unique_lock lock(event->mutex);
  event->changed.wait(lock, [event] { return event->pending == 0; });
  return Code::kSuccess;
}
}
