#pragma once

#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>

#include "binding/runtime.h"
#include "memory/region.h"

namespace weightcast::binding {

/// The ArrayBuffers that JavaScript has over one region. Each holds a reference to the region, so a window stays
/// valid when the handle is gone; closing detaches them all (length 0), which is the guard against use after close.
/// JavaScript thread only.
class Windows {
 public:
  explicit Windows(std::shared_ptr<Runtime> runtime) : runtime_(std::move(runtime)) {}

  /// The window onto [offset, offset + length), the same object while it lives. The range was checked.
  Napi::Value open(Napi::Env env, const memory::RegionPtr& region, std::uint64_t offset, std::uint32_t length);

  /// A native operation writes into the region: windows stay attached until it ended, even over `close`.
  void begin_write() { ++writers_; }
  void end_write(Napi::Env env);
  /// Detaches all windows, now or when the last writer has ended.
  void close(Napi::Env env);

 private:
  using Range = std::pair<std::uint64_t, std::uint32_t>;

  void detach_all(Napi::Env env);
  void forget_collected();

  std::shared_ptr<Runtime> runtime_;
  std::map<Range, Napi::ObjectReference> open_;  // weak
  std::size_t sweep_at_ = 64;
  std::size_t writers_ = 0;
  bool closed_ = false;
};

}  // namespace weightcast::binding
