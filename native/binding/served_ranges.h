#pragma once

#include <napi.h>

#include <vector>

#include "transport/tcp/server.h"

namespace weightcast::binding {

/// The arguments (regions, addresses, lengths) of a server's `serve`. Throws INVALID_ARGUMENT, OUT_OF_RANGE, CLOSED.
std::vector<transport::tcp::ServedRange> to_served_ranges(const Napi::CallbackInfo& info);

}  // namespace weightcast::binding
