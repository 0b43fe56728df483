#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "binding/handle.h"

namespace weightcast::binding {

/// What the threads of a checksum task and its handle share.
struct ChecksumState final : Ongoing {
  explicit ChecksumState(std::uint64_t bytes) : total_bytes(bytes) {}
  void cancel() override { cancelled = true; }
  void join() override {}  // it runs in a job, and the executor has been joined

  std::atomic<std::uint64_t> done_bytes = 0;
  std::atomic<bool> cancelled = false;
  const std::uint64_t total_bytes;
};

struct HeldChecksum {
  std::shared_ptr<ChecksumState> state;
  Napi::Promise done;
};

/// What it resolves with.
Napi::Value to_checksums(Napi::Env env, const std::vector<std::uint64_t>& sums);

/// `NativeChecksumTask`.
class ChecksumHandle final : public Handle<ChecksumHandle, HeldChecksum> {
 public:
  static constexpr HandleClass kClass = HandleClass::kChecksumTask;
  static constexpr const char* kName = "NativeChecksumTask";

  explicit ChecksumHandle(const Napi::CallbackInfo& info);
  static void define(Addon& addon, Napi::Env env);

 private:
  Napi::Value progress(const Napi::CallbackInfo& info);
  void cancel(const Napi::CallbackInfo& info);

  std::shared_ptr<ChecksumState> state_;
};

}  // namespace weightcast::binding
