#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "binding/handle.h"
#include "transport/transport.h"

namespace weightcast::binding {

/// What a plan asks of its lanes.
struct PlanNeeds {
  std::size_t remote_keys;
  std::size_t registrations;
  std::uint32_t max_segments;
  std::uint32_t max_message;
  bool device_memory;  ///< that lanes themselves write into
};

/// What a plan may ask of an RDMA lane; indices and counts beyond would leave its tables.
struct RdmaBounds {
  std::size_t remote_keys;
  std::size_t registrations;
  std::uint32_t max_segments;
  std::uint32_t max_message;
};

struct HeldLane {
  std::shared_ptr<transport::Lane> lane;
  std::optional<RdmaBounds> bounds;  ///< none for lanes by which the processor stores
};

/// `NativeLane`.
class LaneHandle final : public Handle<LaneHandle, HeldLane> {
 public:
  static constexpr HandleClass kClass = HandleClass::kLane;
  static constexpr const char* kName = "NativeLane";

  explicit LaneHandle(const Napi::CallbackInfo& info);
  ~LaneHandle() override;
  static void define(Addon& addon, Napi::Env env);

  /// Throws INVALID_ARGUMENT when the lane has been used or cannot carry such a plan, CLOSED.
  void check_usable(Napi::Env env, const PlanNeeds& needed) const;
  /// Hands the lane to its one transfer.
  [[nodiscard]] std::shared_ptr<transport::Lane> take();

 private:
  Napi::Value close(const Napi::CallbackInfo& info);

  HeldLane held_;
  bool used_ = false;
};

}  // namespace weightcast::binding
