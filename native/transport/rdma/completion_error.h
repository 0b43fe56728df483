#pragma once

#include <infiniband/verbs.h>

#include <string>

#include "common/status.h"
#include "verbs/library.h"

namespace weightcast::transport::rdma {

/// The Status of a failed completion: kRemoteAccess when the peer refused the address or the key (stale metadata),
/// kPeerLost when nobody answered, kVerbs otherwise. Carries `wc_status` and `vendor_error`.
Status completion_error(const verbs::Library& library, const ibv_wc& completion, const std::string& lane);

}  // namespace weightcast::transport::rdma
