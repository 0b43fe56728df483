#pragma once

#include <cstddef>

#include "cuda/api.h"

/// What NICs do to device memory, as far as the driver could know. Under the ledger's lock.
namespace standin {

/// Work that runs on the device all along sees what NICs have written so far.
void note_flush(int device);
/// The driver itself has written there, which needs no flush.
void note_copy(weightcast::cuda::DevicePointer address, std::size_t bytes);

}  // namespace standin
