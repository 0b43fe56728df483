#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "common/status.h"
#include "hip/api.h"
#include "hip/device.h"
#include "memory/device.h"

namespace weightcast::hip {

/// A stream of its own, which does not wait for the default one: an engine's kernels do not hold up a pull. Tickets are
/// events, used again once they were reached.
class HipStream final : public memory::CopyStream {
 public:
  /// kDevice, kOutOfMemory.
  static Result<std::unique_ptr<HipStream>> open(std::shared_ptr<const HipDevice> device);
  ~HipStream() override;

  Status to_device(std::byte* device, const std::byte* host, std::uint64_t length) override;
  Status to_host(std::byte* host, const std::byte* device, std::uint64_t length) override;
  Result<std::uint64_t> mark() override;
  Result<bool> reached(std::uint64_t ticket) override;
  Status wait(std::uint64_t ticket) override;

 private:
  struct Marked {
    std::uint64_t ticket;
    Event event;
  };

  HipStream(std::shared_ptr<const HipDevice> device, Stream stream) : device_(std::move(device)), stream_(stream) {}
  Result<Event> idle_event();
  void forget_oldest();

  std::shared_ptr<const HipDevice> device_;
  Stream stream_;
  std::deque<Marked> marked_;  // not known to be reached, oldest first
  std::vector<Event> idle_;
  std::uint64_t last_ = 0;     // ticket that was given
  std::uint64_t reached_ = 0;  // highest that was reached
};

}  // namespace weightcast::hip
