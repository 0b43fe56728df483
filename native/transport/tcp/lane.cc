#include "transport/tcp/lane.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "transport/tcp/exchange.h"
#include "transport/tcp/peer.h"
#include "transport/tcp/socket.h"

namespace weightcast::transport::tcp {
namespace {

class TcpLaneImpl final : public Lane {
 public:
  explicit TcpLaneImpl(TcpLaneOptions options) : options_(std::move(options)), peer_(options_, report_) {}

  [[nodiscard]] std::string name() const override { return options_.name; }
  [[nodiscard]] const LaneReport& report() const override { return report_; }
  void interrupt() override { wake_.signal(); }
  Status run(SliceFeed& feed, std::uint32_t lane_index) override;

  Status open() {
    return peer_.open({wake_, [] { return false; }});
  }

 private:
  Status read_slice(Exchange& exchange, const Slice& slice, std::span<const Segment> segments,
                    const Interruption& interruption);

  const TcpLaneOptions options_;
  WakeUp wake_;
  LaneReport report_;
  Peer peer_;  // after what it refers to
};

Status TcpLaneImpl::run(SliceFeed& feed, std::uint32_t lane_index) {
  const Interruption interruption{wake_, [&feed] { return feed.stopping(); }};
  Exchange exchange(options_, peer_, feed, report_, interruption, Clock::now());
  Status status;
  while (status.ok()) {
    const std::optional<std::uint32_t> index = feed.take();
    if (!index) {
      if (!feed.wait_for_work()) break;
      continue;
    }
    status = read_slice(exchange, feed.slice(*index), feed.segments(*index), interruption);
    if (status.ok()) {
      report_.bytes += feed.slice(*index).length;
      feed.landed(*index, lane_index);
    } else {
      peer_.reset();
      if (status.code == Code::kStalled) feed.fell_silent(*index, options_.stall_timeout);
      feed.give_back(*index);
    }
  }
  if (status.ok() && peer_.has_answered()) status = peer_.look_between_answers(interruption);
  peer_.reset();
  if (status.ok() && feed.stopping()) return Status::error(Code::kCancelled, name() + " was stopped");
  return status;
}

Status TcpLaneImpl::read_slice(Exchange& exchange, const Slice& slice, std::span<const Segment> segments,
                               const Interruption& interruption) {
  constexpr int kAttempts = 2;
  Status status;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    status = peer_.prepare(interruption);
    if (!status.ok()) return status;
    status = exchange.run(slice, segments);
    if (status.ok()) {
      peer_.answered();
      return status;
    }
    if (!exchange.closed_before_answer()) return status;
    peer_.abandon();
  }
  return status;
}

}  // namespace

Result<std::shared_ptr<Lane>> TcpLane::connect(const TcpLaneOptions& options) {
  if (options.protocol_version != 1 && options.protocol_version != 2) {
    return Status::error(Code::kInvalidArgument,
                         "The TCP protocol version is 1 or 2, not " + std::to_string(options.protocol_version));
  }
  auto lane = std::make_shared<TcpLaneImpl>(options);
  Status status = lane->open();
  if (!status.ok()) return status;
  return std::shared_ptr<Lane>(std::move(lane));
}

}  // namespace weightcast::transport::tcp
