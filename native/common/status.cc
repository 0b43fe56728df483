#include "common/status.h"

#include <cstring>

namespace weightcast {

Status Status::system(Code code, std::string call, int error_number, std::string message) {
  char text[128];
  const char* reason = strerror_r(error_number, text, sizeof text);
  message += " (" + call + ": " + reason + ")";
  return {.code = code, .message = std::move(message), .call = std::move(call), .error_number = error_number};
}

}  // namespace weightcast
