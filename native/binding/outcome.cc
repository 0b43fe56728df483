#include "binding/outcome.h"

#include <cstdint>

#include "binding/fault.h"
#include "binding/follower_handle.h"

namespace weightcast::binding {
namespace {

Napi::Value fault_or_undefined(Napi::Env env, const Status& status) {
  if (status.ok()) return env.Undefined();
  return fault(env, status).Value();
}

Napi::Object to_lane(Napi::Env env, const transfer::LaneOutcome& lane) {
  const Napi::Object result = Napi::Object::New(env);
  result.Set("name", Napi::String::New(env, lane.name));
  result.Set("bytes", Napi::BigInt::New(env, lane.report.bytes));
  result.Set("workRequests", Napi::Number::New(env, static_cast<double>(lane.report.work_requests)));
  result.Set("reconnects", Napi::Number::New(env, static_cast<double>(lane.report.reconnects)));
  result.Set("retransmits", Napi::Number::New(env, static_cast<double>(lane.report.retransmits)));
  result.Set("smallestRead", Napi::Number::New(env, static_cast<double>(lane.report.smallest_read)));
  result.Set("firstByteMs", Napi::Number::New(env, lane.report.first_byte_ms));
  result.Set("affinityRefusal", Napi::String::New(env, lane.report.affinity_refusal));
  result.Set("fault", fault_or_undefined(env, lane.status));
  return result;
}

}  // namespace

Napi::Value to_outcome(Napi::Env env, const TransferResult& transfer) {
  const transfer::Outcome& outcome = transfer.outcome;
  const Napi::Array lanes = Napi::Array::New(env, outcome.lanes.size());
  for (std::uint32_t index = 0; index < outcome.lanes.size(); ++index) {
    lanes.Set(index, to_lane(env, outcome.lanes[index]));
  }
  const Napi::Object result = Napi::Object::New(env);
  result.Set("bytes", Napi::BigInt::New(env, outcome.bytes));
  result.Set("planMs", Napi::Number::New(env, transfer.plan_ms));
  result.Set("wireMs", Napi::Number::New(env, outcome.wire_ms));
  result.Set("slices", Napi::Number::New(env, static_cast<double>(transfer.slices)));
  result.Set("lanes", lanes);
  const bool followed = transfer.follower != nullptr && outcome.status.ok();
  result.Set("follower", followed ? FollowerHandle::create(env, {transfer.follower}) : env.Undefined());
  result.Set("fault", fault_or_undefined(env, outcome.status));
  return result;
}

}  // namespace weightcast::binding
