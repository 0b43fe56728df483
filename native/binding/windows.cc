#include "binding/windows.h"

#include <algorithm>

#include "binding/fault.h"

namespace weightcast::binding {
namespace {

/// What a window keeps alive.
struct Keeper {
  std::shared_ptr<Runtime> runtime;
  memory::RegionPtr region;
};

/// Runs at collection, at detach, and at the end of the environment, where it comes before or after every other
/// finalizer: so it only lets go of its reference.
void finalize(napi_env, void*, void* hint) {
  const std::unique_ptr<Keeper> keeper(static_cast<Keeper*>(hint));
  keeper->runtime->drop(std::move(keeper->region));
}

}  // namespace

Napi::Value Windows::open(Napi::Env env, const memory::RegionPtr& region, std::uint64_t offset, std::uint32_t length) {
  if (length == 0) return Napi::ArrayBuffer::New(env, 0);
  const Range range{offset, length};
  if (const auto known = open_.find(range); known != open_.end()) {
    const Napi::Object window = known->second.Value();
    if (!window.IsEmpty()) return window;
    open_.erase(known);
  }
  forget_collected();

  auto keeper = std::make_unique<Keeper>(Keeper{runtime_, region});
  napi_value made = nullptr;
  const napi_status status =
      napi_create_external_arraybuffer(env, region->data() + offset, length, finalize, keeper.get(), &made);
  if (status == napi_no_external_buffers_allowed) {
    throw fault(env, Status::error(Code::kInvalidArgument,
                                   "this JavaScript runtime allows no external ArrayBuffers, so a region cannot be "
                                   "viewed; copy with read() instead"));
  }
  // On any other failure Node has called the finalizer, or will.
  static_cast<void>(keeper.release());
  if (status != napi_ok) throw Napi::Error::New(env);

  const Napi::Object window(env, made);
  open_.emplace(range, Napi::Weak(window));
  return window;
}

void Windows::end_write(Napi::Env env) {
  if (--writers_ == 0 && closed_) detach_all(env);
}

void Windows::close(Napi::Env env) {
  closed_ = true;
  if (writers_ == 0) detach_all(env);
}

void Windows::detach_all(Napi::Env env) {
  const Napi::HandleScope scope(env);
  for (auto& [range, reference] : std::exchange(open_, {})) {
    const Napi::Object window = reference.Value();
    if (!window.IsEmpty()) window.As<Napi::ArrayBuffer>().Detach();
  }
}

void Windows::forget_collected() {
  if (open_.size() < sweep_at_) return;
  std::erase_if(open_, [](const auto& entry) { return entry.second.Value().IsEmpty(); });
  sweep_at_ = std::max<std::size_t>(64, open_.size() * 2);
}

}  // namespace weightcast::binding
