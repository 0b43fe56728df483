#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "binding/checksum_handle.h"
#include "binding/functions.h"
#include "binding/outcome.h"
#include "binding/promised.h"
#include "binding/region_handle.h"
#include "binding/transfer_arguments.h"
#include "binding/transfer_handle.h"
#include "transfer/checksum.h"

namespace weightcast::binding {
namespace {

Napi::Value start_transfer(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::shared_ptr<Runtime> runtime = Addon::of(env).runtime();
  TransferArguments arguments = to_transfer(info[0]);
  std::vector<std::uint64_t> writes;
  for (const Napi::Value& region : arguments.regions) writes.push_back(RegionHandle::begin_write(env, region));

  auto open = open_promise<TransferResult>(env, runtime,
                                           [writes](Napi::Env at, const Result<TransferResult>& result) -> Napi::Value {
                                             for (const std::uint64_t write : writes)
                                               RegionHandle::end_write(at, write);
                                             if (!result.ok()) throw fault(at, result.status());
                                             return to_outcome(at, result.value());
                                           });
  const auto task = std::make_shared<TransferTask>(std::move(arguments.request), runtime);
  runtime->watch(task);
  const bool accepted = runtime->executor().submit([task, settle = open.settle] { task->run(settle); });
  if (!accepted) open.settle(no_thread());
  return TransferHandle::create(env, {.task = task, .done = open.promise});
}

Napi::Value checksum(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::shared_ptr<Runtime> runtime = Addon::of(env).runtime();
  const auto arguments = std::make_shared<ChecksumArguments>(to_checksum(info));
  const auto state = std::make_shared<ChecksumState>(arguments->bytes);
  runtime->watch(state);
  const Napi::Promise done = run(
      env, runtime,
      [arguments, state] {
        return transfer::checksum(arguments->regions, arguments->ranges, arguments->threads, state->done_bytes,
                                  state->cancelled);
      },
      to_checksums);
  return ChecksumHandle::create(env, {.state = state, .done = done});
}

}  // namespace

void define_transfer_functions(Napi::Env env, Napi::Object exports) {
  exports.Set("startTransfer", Napi::Function::New<start_transfer>(env, "startTransfer"));
  exports.Set("checksum", Napi::Function::New<checksum>(env, "checksum"));
}

}  // namespace weightcast::binding
