#pragma once

#include <cstdint>

#include "common/descriptor.h"

namespace weightcast::memory {

/// One physical piece of a virtual mapping of an accelerator's memory, as its owner exports it to other processes.
struct ExportedChunk {
  Descriptor descriptor;  ///< POSIX handle
  std::uint64_t bytes;    ///< exactly the chunk's
};

}  // namespace weightcast::memory
