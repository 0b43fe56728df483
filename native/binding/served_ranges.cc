#include "binding/served_ranges.h"

#include <cstddef>
#include <cstdint>
#include <string>

#include "binding/arguments.h"
#include "binding/fault.h"
#include "binding/region_handle.h"
#include "memory/device.h"

namespace weightcast::binding {

std::vector<transport::tcp::ServedRange> to_served_ranges(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::vector<Napi::Value> list = to_list(info[0], "regions");
  const std::vector<RegionHandle*> regions = RegionHandle::unwrap_all(list, "regions");
  const std::vector<std::uint64_t> addresses = to_u64_column(info[1], "addresses");
  const std::vector<std::uint64_t> lengths = to_u64_column(info[2], "lengths");
  if (addresses.size() != regions.size() || lengths.size() != regions.size()) {
    throw invalid_argument(env, "regions, addresses and lengths differ in length: " + std::to_string(regions.size()) +
                                    ", " + std::to_string(addresses.size()) + ", " + std::to_string(lengths.size()));
  }
  std::vector<transport::tcp::ServedRange> ranges;
  ranges.reserve(regions.size());
  for (std::size_t index = 0; index < regions.size(); ++index) {
    const memory::RegionPtr& region = regions[index]->region(env);
    if (region->on_device() != nullptr) {
      throw invalid_argument(env, "regions[" + std::to_string(index) + "] is memory of " +
                                      region->on_device()->device()->name() +
                                      ", which cannot be served over TCP or on this host; serve a copy in host memory");
    }
    if (addresses[index] < region->address()) {
      throw fault(env,
                  Status::error(Code::kOutOfRange, "addresses[" + std::to_string(index) + "] lies before its region"));
    }
    regions[index]->range(env, addresses[index] - region->address(), lengths[index]);
    ranges.push_back({.region = region, .address = addresses[index], .length = lengths[index]});
  }
  return ranges;
}

}  // namespace weightcast::binding
