#pragma once

#include <memory>
#include <string>

#include "transport/local/peer.h"
#include "transport/transport.h"

namespace weightcast::transport::local {

/// A thread that reads a seed of this host: no wire, one copy by the kernel, straight into the destination segments.
std::shared_ptr<Lane> make_lane(std::string name, std::shared_ptr<const Peer> peer);

}  // namespace weightcast::transport::local
