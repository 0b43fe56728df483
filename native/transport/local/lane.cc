#include "transport/local/lane.h"

#include <chrono>
#include <optional>
#include <utility>

namespace weightcast::transport::local {
namespace {

class LocalLane final : public Lane {
 public:
  LocalLane(std::string name, std::shared_ptr<const Peer> peer) : name_(std::move(name)), peer_(std::move(peer)) {}

  [[nodiscard]] std::string name() const override { return name_; }
  [[nodiscard]] const LaneReport& report() const override { return report_; }
  void interrupt() override {}  // a slice is copied in less time than anybody would wait for

  Status run(SliceFeed& feed, std::uint32_t lane_index) override {
    const auto started = std::chrono::steady_clock::now();
    while (true) {
      const std::optional<std::uint32_t> index = feed.take();
      if (!index) {
        if (feed.wait_for_work()) continue;
        return feed.stopping() ? Status::error(Code::kCancelled, name_ + " was stopped") : Status::success();
      }
      const Slice& slice = feed.slice(*index);
      Status status =
          peer_->read(slice.remote_buffer, slice.remote_address, feed.segments(*index), report_.work_requests);
      if (!status.ok()) {
        feed.give_back(*index);
        return status;
      }
      if (report_.bytes == 0) {
        const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - started;
        report_.first_byte_ms = took.count();
      }
      report_.bytes += slice.length;
      feed.landed(*index, lane_index);
    }
  }

 private:
  std::string name_;
  std::shared_ptr<const Peer> peer_;
  LaneReport report_;
};

}  // namespace

std::shared_ptr<Lane> make_lane(std::string name, std::shared_ptr<const Peer> peer) {
  return std::make_shared<LocalLane>(std::move(name), std::move(peer));
}

}  // namespace weightcast::transport::local
