#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <future>
#include <memory>
#include <utility>
#include <vector>

#include "support/bytes.h"
#include "transfer/operation.h"
#include "transfer/plan.h"
#include "transport/tcp/lane.h"
#include "transport/tcp/server.h"

namespace weightcast::test {

/// A pull of `source` into fresh memory, started.
class Pull {
 public:
  /// Tensors of `tensor` bytes, laid out backwards in the destination, so that no two of them merge.
  Pull(const memory::RegionPtr& source, std::vector<std::shared_ptr<transport::Lane>> lanes,
       std::uint64_t tensor = 3000, std::uint32_t slice_bytes = 64 << 10, std::uint32_t max_segments = 1024)
      : destination_(empty_region(source->size())) {
    std::vector<transfer::Want> wants;
    for (std::uint64_t offset = 0; offset < source->size(); offset += tensor) {
      const std::uint64_t length = std::min(tensor, source->size() - offset);
      wants.push_back(
          {source->address() + offset, length, destination_->data() + (source->size() - offset - length), 0});
    }
    tensor_ = tensor;
    const std::vector<transfer::RemoteBuffer> buffers{{source->address(), source->size()}};
    auto plan = transfer::make_plan(wants, buffers, {.slice_bytes = slice_bytes, .max_segments = max_segments});
    if (!plan.ok()) std::abort();
    operation_ = transfer::Operation::create(std::move(plan.value()), {destination_}, std::move(lanes));
    operation_->start([this](const transfer::Outcome& outcome) { promise_.set_value(outcome); });
  }

  transfer::Outcome wait() {
    if (future_.wait_for(std::chrono::seconds(60)) != std::future_status::ready) {
      ADD_FAILURE() << "the operation did not finish";
      operation_->cancel();
    }
    return future_.get();
  }

  [[nodiscard]] bool equals(const memory::RegionPtr& source) const {
    const auto from = bytes_of(source);
    const auto into = bytes_of(destination_);
    for (std::uint64_t offset = 0; offset < from.size(); offset += tensor_) {
      const std::uint64_t length = std::min<std::uint64_t>(tensor_, from.size() - offset);
      if (!std::ranges::equal(from.subspan(offset, length), into.subspan(from.size() - offset - length, length))) {
        return false;
      }
    }
    return true;
  }

  transfer::Operation& operation() { return *operation_; }

 private:
  memory::RegionPtr destination_;
  std::uint64_t tensor_;
  std::promise<transfer::Outcome> promise_;
  std::future<transfer::Outcome> future_ = promise_.get_future();
  std::shared_ptr<transfer::Operation> operation_;
};

inline transport::tcp::TcpLaneOptions lane_options(std::uint16_t port, int version = 1) {
  return {.name = "tcp test", .host = "127.0.0.1", .port = port, .protocol_version = version};
}

inline std::shared_ptr<transport::Lane> connected(const transport::tcp::TcpLaneOptions& options) {
  auto lane = transport::tcp::TcpLane::connect(options);
  if (!lane.ok()) ADD_FAILURE() << lane.status().message;
  return lane.ok() ? lane.value() : nullptr;
}

/// A server on 127.0.0.1 that offers all of `region`.
inline std::shared_ptr<transport::tcp::Server> serving(const memory::RegionPtr& region) {
  auto server = transport::tcp::Server::listen("127.0.0.1", 0, 2);
  if (!server.ok()) std::abort();
  server.value()->serve({{region, region->address(), region->size()}});
  return server.value();
}

/// What the tests pull: a size that no slice divides.
inline const memory::RegionPtr& weights() {
  static const memory::RegionPtr region = random_region(4'000'001, 21);
  return region;
}

}  // namespace weightcast::test
