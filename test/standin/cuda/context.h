#pragma once

#include "cuda/api.h"

namespace standin {

/// The device whose context is current on this thread; -1.
int current_device();
/// Whether its context has CU_CTX_SYNC_MEMOPS.
bool copies_wait(int device);

}  // namespace standin

/// Leaves a driver call that needs a current context, with the error that the driver has for it.
#define STANDIN_NEED_CONTEXT(device)            \
  const int device = standin::current_device(); \
  if (device < 0)                               \
  return standin::Ledger::get().fault(standin::Code::kInvalidContext, std::string(__func__) + " without a context")
