#pragma once

#include <napi.h>

#include <cstdint>
#include <vector>

#include "binding/transfer_task.h"
#include "transfer/checksum.h"

namespace weightcast::binding {

inline constexpr std::uint32_t kMostThreads = 1024;

struct TransferArguments {
  TransferRequest request;
  std::vector<Napi::Value> regions;  ///< handles of all regions of which bytes are to be written, staging's too
};

/// `NativeTransferOptions`, with every check that memory safety needs. Takes the lanes, as the last thing that may
/// fail. Throws INVALID_ARGUMENT, OUT_OF_RANGE, CLOSED.
TransferArguments to_transfer(const Napi::Value& options);

struct ChecksumArguments {
  std::vector<memory::RegionPtr> regions;
  std::vector<transfer::ChecksumRange> ranges;
  std::uint64_t bytes = 0;
  std::uint32_t threads = 1;
};

/// The arguments of `checksum`. Throws INVALID_ARGUMENT, CLOSED; ranges are checked by the task itself.
ChecksumArguments to_checksum(const Napi::CallbackInfo& info);

}  // namespace weightcast::binding
