#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>

namespace weightcast {

/// Why a native call failed. `src/errors.ts` maps each value to one public error code; keep both lists in step.
enum class Code : std::uint8_t {
  kOk,
  kInvalidArgument,  ///< a value that no caller should pass; the message names it
  kRdmaUnavailable,  ///< no libibverbs, no kernel support or no usable device
  kNotFound,         ///< a named device, file or shared memory object does not exist
  kAlreadyExists,    ///< a shared memory object of that name exists
  kMemlockLimit,     ///< pinning refused by RLIMIT_MEMLOCK
  kOutOfMemory,      ///< the host cannot give the pages
  kRegistration,     ///< ibv_reg_mr refused the range for another reason (EFAULT, EINVAL ...)
  kVerbs,            ///< any other verbs call failed
  kOutOfRange,       ///< a range lies outside of the region or of every remote buffer
  kPeerLost,         ///< the peer or the path to it is gone (RETRY_EXC, connection reset)
  kRemoteAccess,     ///< the peer refused the address: stale metadata (REM_ACCESS_ERR, REM_INV_REQ_ERR, TCP status 1)
  kProtocol,         ///< the peer's bytes make no sense
  kStalled,          ///< the watchdog saw no progress
  kCancelled,
  kClosed,             ///< the object was closed before the call
  kIo,                 ///< a system call failed; `error_number` says how
  kDeviceUnavailable,  ///< no accelerator driver, or none that could be loaded
  kDevice,             ///< an accelerator's driver refused a call; `call` and the message say which and why
  kInternal,
};

/// The outcome of a native call. Never thrown on the data path; `binding/` turns it into a JavaScript error.
struct [[nodiscard]] Status {
  Code code = Code::kOk;
  std::string message{};  ///< one sentence: the value, the call and what to do
  std::string call{};     ///< the failing C call, for example "ibv_modify_qp(RTR)"; empty if none
  int error_number = 0;   ///< errno of that call; 0 if none
  int wc_status = 0;      ///< ibv_wc_status of the completion that failed; 0 (SUCCESS) if none
  std::uint32_t vendor_error = 0;

  [[nodiscard]] bool ok() const { return code == Code::kOk; }

  static Status success() { return {}; }
  static Status error(Code code, std::string message) { return {.code = code, .message = std::move(message)}; }
  /// An error of a C call: the call's name and errno are kept apart from the sentence and also end it.
  static Status system(Code code, std::string call, int error_number, std::string message);
};

/// A value or the reason why there is none.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::move(value)) {}         // NOLINT(google-explicit-constructor)
  Result(Status status) : state_(std::move(status)) {}  // NOLINT(google-explicit-constructor)
  [[nodiscard]] bool ok() const { return state_.index() == 0; }
  [[nodiscard]] T& value() { return std::get<0>(state_); }
  [[nodiscard]] const T& value() const { return std::get<0>(state_); }
  [[nodiscard]] Status& status() { return std::get<1>(state_); }
  [[nodiscard]] const Status& status() const { return std::get<1>(state_); }

 private:
  std::variant<T, Status> state_;
};

}  // namespace weightcast
