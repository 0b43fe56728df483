#include "binding/fault.h"

#include <utility>

namespace weightcast::binding {

const char* code_name(Code code) {
  switch (code) {
    case Code::kOk:
      return "OK";
    case Code::kInvalidArgument:
      return "INVALID_ARGUMENT";
    case Code::kRdmaUnavailable:
      return "RDMA_UNAVAILABLE";
    case Code::kNotFound:
      return "NOT_FOUND";
    case Code::kAlreadyExists:
      return "ALREADY_EXISTS";
    case Code::kMemlockLimit:
      return "MEMLOCK_LIMIT";
    case Code::kOutOfMemory:
      return "OUT_OF_MEMORY";
    case Code::kRegistration:
      return "REGISTRATION";
    case Code::kVerbs:
      return "VERBS";
    case Code::kOutOfRange:
      return "OUT_OF_RANGE";
    case Code::kPeerLost:
      return "PEER_LOST";
    case Code::kRemoteAccess:
      return "REMOTE_ACCESS";
    case Code::kProtocol:
      return "PROTOCOL";
    case Code::kStalled:
      return "STALLED";
    case Code::kCancelled:
      return "CANCELLED";
    case Code::kClosed:
      return "CLOSED";
    case Code::kIo:
      return "IO";
    case Code::kDeviceUnavailable:
      return "DEVICE_UNAVAILABLE";
    case Code::kDevice:
      return "DEVICE";
    case Code::kInternal:
      return "INTERNAL";
  }
  return "INTERNAL";
}

Napi::Error fault(Napi::Env env, const Status& status) {
  Napi::Error error = Napi::Error::New(env, status.message);
  error.Set("nativeCode", Napi::String::New(env, code_name(status.code)));
  error.Set("call", Napi::String::New(env, status.call));
  error.Set("errno", Napi::Number::New(env, status.error_number));
  error.Set("wcStatus", Napi::Number::New(env, status.wc_status));
  error.Set("vendorError", Napi::Number::New(env, status.vendor_error));
  return error;
}

Napi::Error invalid_argument(Napi::Env env, std::string message) {
  return fault(env, Status::error(Code::kInvalidArgument, std::move(message)));
}

Napi::Error closed(Napi::Env env, const char* what) {
  return fault(env, Status::error(Code::kClosed, std::string(what) + " was closed before this call"));
}

}  // namespace weightcast::binding
