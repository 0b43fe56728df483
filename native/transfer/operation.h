#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/status.h"
#include "memory/region.h"
#include "transfer/follower.h"
#include "transfer/landed_chunks.h"
#include "transfer/plan.h"
#include "transfer/staging.h"
#include "transport/transport.h"

namespace weightcast::transfer {

struct LaneOutcome {
  std::string name;
  transport::LaneReport report;
  Status status;  ///< why this lane ended early; ok when it did not
};

struct Outcome {
  Status status;            ///< ok only when every byte of the plan landed
  std::uint64_t bytes = 0;  ///< landed
  double wire_ms = 0;       ///< from start() to the last completion
  std::vector<LaneOutcome> lanes;
};

struct Progress {
  std::uint64_t bytes = 0, total_bytes = 0;
  std::uint64_t slices = 0, total_slices = 0;
};

/// Who hears of every slice that lands; each may be none.
struct Listeners {
  std::shared_ptr<Follower> follower =
      nullptr;  ///< runs from start() until just before `finished`; loads from the regions
  std::shared_ptr<LandedChunks> chunks = nullptr;  ///< of one of the regions
};

/// One pull's wire phase: runs a plan over lanes, one thread a lane, balanced by work stealing. A lane that breaks
/// gives its slices back and the others finish them; the operation fails when none is left, with the first lane's
/// reason. kRemoteAccess, kProtocol, kDevice and kCancelled of one lane stop all: the others would meet the same; so
/// does kStalled the second time, when none of them hears anything. kProtocol is a failure even when every slice has
/// landed: what landed may not be what was asked for. The ledger (which slice landed over which lane) stays readable
/// afterwards.
class Operation {
 public:
  /// Cancels and joins, so `finished` has been called when it returns. It blocks as long as the lanes need to drain;
  /// `finished` itself may drop the last reference.
  virtual ~Operation() = default;
  /// `regions` are kept alive until every lane returned. They and the lanes are dropped just before `finished`.
  /// With `staging`, slices go by way of it, and the lanes' region 0 is its memory.
  static std::shared_ptr<Operation> create(Plan plan, std::vector<memory::RegionPtr> regions,
                                           std::vector<std::shared_ptr<transport::Lane>> lanes,
                                           Listeners listeners = {}, std::optional<Staging> staging = std::nullopt);
  /// Once. `finished` is called once, on a native thread, after every lane returned: no byte lands after it.
  virtual void start(std::function<void(const Outcome&)> finished) = 0;
  /// Any thread, any time, idempotent; the outcome is then kCancelled, unless all had landed already.
  virtual void cancel() = 0;
  [[nodiscard]] virtual Progress progress() const = 0;  ///< any thread, lock-free
  /// The ledger: which lane landed a slice of the plan, by its index; nothing while none has. Any thread, lock-free.
  [[nodiscard]] virtual std::optional<std::uint32_t> landed_over(std::uint32_t slice) const = 0;
};

}  // namespace weightcast::transfer
