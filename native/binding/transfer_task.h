#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "binding/runtime.h"
#include "memory/region.h"
#include "transfer/follower.h"
#include "transfer/operation.h"
#include "transfer/plan.h"
#include "transport/transport.h"

namespace weightcast::binding {

/// What a transfer is made of; checked.
struct TransferRequest {
  std::vector<transfer::Want> wants;
  std::vector<transfer::RemoteBuffer> buffers;
  transfer::PlanOptions options;
  std::vector<memory::RegionPtr> regions;
  std::vector<std::shared_ptr<transport::Lane>> lanes;
  memory::RegionPtr staging;           ///< may be none
  std::uint64_t bytes = 0;             ///< of all wants
  std::vector<std::uint8_t> checksum;  ///< of each want: not 0 where it is asked for; empty: of none
  unsigned checksum_threads = 0;       ///< that follow the lanes
  std::uint32_t chunk_region = 0;      ///< whose landed chunks are to be told
  std::uint32_t chunk_bytes = 0;       ///< 0: of none
};

struct TransferResult {
  double plan_ms = 0;
  std::size_t slices = 0;
  transfer::Outcome outcome;
  std::shared_ptr<transfer::Follower> follower;  ///< stopped; none where no checksum was asked for
};

/// One transfer from its plan to its end, on native threads: planned and started by a job, run by the operation's
/// lanes, taken down by another job, so that everything it held is free when `finished` is called.
class TransferTask final : public Ongoing, public std::enable_shared_from_this<TransferTask> {
 public:
  using Finished = std::function<void(Result<TransferResult>)>;

  TransferTask(TransferRequest request, std::shared_ptr<Runtime> runtime)
      : request_(std::move(request)), runtime_(std::move(runtime)), last_{.total_bytes = request_.bytes} {}

  /// Job: plans and starts. `finished` is called once, on a native thread, unless the environment ends before.
  void run(const Finished& finished);
  /// Any thread.
  void cancel() override;
  void join() override { take_down(); }
  [[nodiscard]] transfer::Progress progress() const;
  /// The chunks that are whole by now and were not taken before; none before the operation started. Any thread.
  std::vector<std::uint32_t> take_landed();

 private:
  struct Prepared {
    transfer::Plan plan;
    transfer::Listeners listeners;
    std::optional<transfer::Staging> staging;
  };
  Result<Prepared> prepare();
  void start(Prepared prepared, double plan_ms, const Finished& finished);
  void take_down();

  TransferRequest request_;  // emptied by `run`
  std::shared_ptr<Runtime> runtime_;
  std::mutex starting_;       // held from the operation's creation until its start returned; taken before mutex_
  mutable std::mutex mutex_;  // guards the rest
  std::shared_ptr<transfer::Operation> operation_;
  std::shared_ptr<transfer::LandedChunks> chunks_;  // may be none
  transfer::Progress last_;
  bool cancelled_ = false;
};

}  // namespace weightcast::binding
