#include "binding/transfer_arguments.h"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <set>
#include <string>
#include <utility>

#include "binding/arguments.h"
#include "binding/fault.h"
#include "binding/lane_handle.h"
#include "binding/region_handle.h"

namespace weightcast::binding {
namespace {

constexpr std::uint32_t kMostSegments = 65536;
// A page: of less, being told takes longer than what is told.
constexpr std::uint32_t kSmallestChunk = 4096;

/// The sum of a column. More than 2^64 is no transfer that can be counted.
std::uint64_t sum(Napi::Env env, const std::vector<std::uint64_t>& column, const char* name) {
  std::uint64_t total = 0;
  for (const std::uint64_t value : column) {
    if (value > std::numeric_limits<std::uint64_t>::max() - total) {
      throw invalid_argument(env, std::string("the sum of ") + name + " exceeds 2^64 - 1");
    }
    total += value;
  }
  return total;
}

void check_equal(Napi::Env env, std::initializer_list<std::pair<const char*, std::size_t>> columns) {
  const auto& [first_name, rows] = *columns.begin();
  for (const auto& [name, count] : columns) {
    if (count == rows) continue;
    throw invalid_argument(env, std::string("columns of unequal length: ") + first_name + " has " +
                                    std::to_string(rows) + " rows, " + name + " has " + std::to_string(count));
  }
}

std::vector<memory::RegionPtr> to_regions(Napi::Env env, const std::vector<RegionHandle*>& handles) {
  std::vector<memory::RegionPtr> regions;
  regions.reserve(handles.size());
  for (const RegionHandle* handle : handles) regions.push_back(handle->region(env));
  return regions;
}

/// Row `row`'s region, which holds [offset, offset + length).
std::byte* checked_target(Napi::Env env, const std::vector<memory::RegionPtr>& regions, std::uint32_t index,
                          std::uint64_t offset, std::uint64_t length, std::size_t row) {
  if (index >= regions.size()) {
    throw invalid_argument(env, "options.region[" + std::to_string(row) + "] is " + std::to_string(index) + " of " +
                                    std::to_string(regions.size()) + " regions");
  }
  const memory::Region& region = *regions[index];
  if (!region.writable()) {
    throw invalid_argument(env, "options.regions[" + std::to_string(index) + "] is read-only");
  }
  if (offset > region.size() || length > region.size() - offset) {
    throw fault(
        env, Status::error(Code::kOutOfRange, "row " + std::to_string(row) + ": " + std::to_string(length) +
                                                  " bytes at localOffset " + std::to_string(offset) +
                                                  " leave the region of " + std::to_string(region.size()) + " bytes"));
  }
  return region.data() + offset;
}

struct ChecksumsWanted {
  std::vector<std::uint8_t> rows;
  std::uint32_t threads = 0;  ///< 0: none are wanted
};

ChecksumsWanted to_checksums_wanted(const Napi::Value& value) {
  if (value.IsUndefined()) return {};
  const Napi::Object object = to_object(value, "options.checksums");
  const Napi::Value threads = member(object, "threads");
  const Napi::Value rows = member(object, "rows");
  return {.rows = to_u8_column(rows, "options.checksums.rows"),
          .threads = to_u32(threads, "options.checksums.threads", 1, kMostThreads)};
}

struct ChunksWanted {
  std::uint32_t region = 0;
  std::uint32_t bytes = 0;  ///< 0: none are wanted
};

ChunksWanted to_chunks_wanted(const Napi::Value& value) {
  if (value.IsUndefined()) return {};
  const Napi::Object object = to_object(value, "options.chunks");
  const Napi::Value region = member(object, "region");
  const Napi::Value bytes = member(object, "bytes");
  return {.region = to_u32(region, "options.chunks.region"),
          .bytes = to_u32(bytes, "options.chunks.bytes", kSmallestChunk)};
}

}  // namespace

TransferArguments to_transfer(const Napi::Value& value) {
  const Napi::Env env = value.Env();
  // First everything that may run JavaScript, then what takes pointers and handles.
  const Napi::Object object = to_object(value, "options");
  const Napi::Value remote_address_value = member(object, "remoteAddress");
  const Napi::Value length_value = member(object, "length");
  const Napi::Value local_offset_value = member(object, "localOffset");
  const Napi::Value region_value = member(object, "region");
  const Napi::Value buffer_address_value = member(object, "bufferAddress");
  const Napi::Value buffer_length_value = member(object, "bufferLength");
  const Napi::Value slice_bytes = member(object, "sliceBytes");
  const Napi::Value max_segments = member(object, "maxSegments");
  const Napi::Value merge = member(object, "merge");
  const ChecksumsWanted checksums = to_checksums_wanted(member(object, "checksums"));
  const ChunksWanted chunks = to_chunks_wanted(member(object, "chunks"));
  const Napi::Value staging_value = member(object, "staging");
  std::vector<Napi::Value> region_values = to_list(member(object, "regions"), "options.regions");
  const std::vector<Napi::Value> lane_values = to_list(member(object, "lanes"), "options.lanes");

  const auto remote_address = to_u64_column(remote_address_value, "options.remoteAddress");
  const auto length = to_u64_column(length_value, "options.length");
  const auto local_offset = to_u64_column(local_offset_value, "options.localOffset");
  const auto region = to_u32_column(region_value, "options.region");
  const auto buffer_address = to_u64_column(buffer_address_value, "options.bufferAddress");
  const auto buffer_length = to_u64_column(buffer_length_value, "options.bufferLength");
  check_equal(env, {{"remoteAddress", remote_address.size()},
                    {"length", length.size()},
                    {"localOffset", local_offset.size()},
                    {"region", region.size()}});
  if (checksums.threads > 0) check_equal(env, {{"length", length.size()}, {"checksums.rows", checksums.rows.size()}});
  check_equal(env, {{"bufferAddress", buffer_address.size()}, {"bufferLength", buffer_length.size()}});

  TransferArguments arguments;
  TransferRequest& request = arguments.request;
  request.options.slice_bytes = to_u32(slice_bytes, "options.sliceBytes", 1);
  request.options.max_segments = to_u32(max_segments, "options.maxSegments", 1, kMostSegments);
  request.options.merge = to_flag(merge, "options.merge");
  request.bytes = sum(env, length, "options.length");
  request.regions = to_regions(env, RegionHandle::unwrap_all(region_values, "options.regions"));
  if (chunks.bytes > 0 && chunks.region >= request.regions.size()) {
    throw invalid_argument(env, "options.chunks.region is " + std::to_string(chunks.region) + " of " +
                                    std::to_string(request.regions.size()) + " regions");
  }
  request.chunk_region = chunks.region;
  request.chunk_bytes = chunks.bytes;
  if (!staging_value.IsUndefined()) {
    request.staging = RegionHandle::unwrap(staging_value, "options.staging").region(env);
  }
  const bool device_memory =
      std::ranges::any_of(request.regions, [](const auto& one) { return one->on_device() != nullptr; });
  // The follower loads what has landed, which it could neither of an accelerator's memory nor of a slot.
  if (checksums.threads > 0 && !device_memory && request.staging == nullptr) {
    request.options.trace = true;
    request.checksum = checksums.rows;
    request.checksum_threads = checksums.threads;
  }
  request.wants.reserve(length.size());
  for (std::size_t row = 0; row < length.size(); ++row) {
    request.wants.push_back(
        {.remote_address = remote_address[row],
         .length = length[row],
         .local = checked_target(env, request.regions, region[row], local_offset[row], length[row], row),
         .region = region[row]});
  }
  request.buffers.reserve(buffer_address.size());
  for (std::size_t index = 0; index < buffer_address.size(); ++index) {
    request.buffers.push_back({.address = buffer_address[index], .length = buffer_length[index]});
  }

  const std::vector<LaneHandle*> lanes = LaneHandle::unwrap_all(lane_values, "options.lanes");
  if (std::set<LaneHandle*>(lanes.begin(), lanes.end()).size() != lanes.size()) {
    throw invalid_argument(env, "options.lanes names one lane twice");
  }
  const bool staged = request.staging != nullptr;
  const PlanNeeds needed{.remote_keys = request.buffers.size(),
                         .registrations = staged ? 1 : request.regions.size(),
                         .max_segments = staged ? 1 : request.options.max_segments,
                         .max_message = request.options.slice_bytes,
                         .device_memory = device_memory && !staged};
  for (const LaneHandle* lane : lanes) lane->check_usable(env, needed);
  for (LaneHandle* lane : lanes) request.lanes.push_back(lane->take());
  if (staged) region_values.push_back(staging_value);
  arguments.regions = std::move(region_values);
  return arguments;
}

ChecksumArguments to_checksum(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::vector<Napi::Value> region_values = to_list(info[0], "regions");
  const auto region = to_u32_column(info[1], "region");
  const auto offset = to_u64_column(info[2], "offset");
  const auto length = to_u64_column(info[3], "length");
  check_equal(env, {{"region", region.size()}, {"offset", offset.size()}, {"length", length.size()}});

  ChecksumArguments arguments;
  arguments.threads = to_u32(info[4], "threads", 1, kMostThreads);
  arguments.bytes = sum(env, length, "length");
  arguments.regions = to_regions(env, RegionHandle::unwrap_all(region_values, "regions"));
  arguments.ranges.reserve(length.size());
  for (std::size_t row = 0; row < length.size(); ++row) {
    arguments.ranges.push_back({.region = region[row], .offset = offset[row], .length = length[row]});
  }
  return arguments;
}

}  // namespace weightcast::binding
