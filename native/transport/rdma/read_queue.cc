#include "transport/rdma/read_queue.h"

#include <algorithm>
#include <utility>

#include "verbs/queue_pair.h"

namespace weightcast::transport::rdma {
namespace {

/// Requests that the first fill posts. Two doublings later the usual 16 are in flight: two round trips.
constexpr std::uint32_t kFirstWindow = 4;

}  // namespace

ReadQueue::ReadQueue(Endpoint& endpoint, std::span<const std::uint32_t> remote_keys,
                     std::vector<std::uint32_t> local_keys, std::uint32_t depth, std::uint32_t queue_pairs)
    : endpoint_(endpoint),
      remote_keys_(remote_keys),
      local_keys_(std::move(local_keys)),
      max_segments_(endpoint.nic()->max_sge()),
      depth_(depth),
      most_(depth * queue_pairs),
      requests_(endpoint.queue_pairs().size() * depth),
      segments_(requests_.size() * max_segments_),
      chains_(endpoint.queue_pairs().size()),
      held_(requests_.size() + 1),
      window_(kFirstWindow) {
  for (std::size_t i = 0; i < requests_.size(); ++i) {
    Request& request = requests_[i];
    request.queue_pair = static_cast<std::uint32_t>(i / depth);
    request.work.wr_id = i;
    request.work.sg_list = &segments_[i * max_segments_];
    request.work.opcode = IBV_WR_RDMA_READ;
    request.work.send_flags = IBV_SEND_SIGNALED;
  }
  for (std::size_t i = requests_.size(); i-- > 0;) {  // the lowest index on top of the stack
    chains_[requests_[i].queue_pair].free.push_back(static_cast<std::uint32_t>(i));
  }
  for (std::size_t i = held_.size(); i-- > 0;) free_held_.push_back(static_cast<std::uint32_t>(i));
}

/// Checks a slice that was taken and makes it the one that is cut.
Status ReadQueue::open(std::uint32_t index, const SliceFeed& feed) {
  const Slice& slice = feed.slice(index);
  const std::span<const Segment> segments = feed.segments(index);
  if (slice.remote_buffer >= remote_keys_.size()) {
    return Status::error(Code::kOutOfRange, "slice " + std::to_string(index) + " reads remote buffer " +
                                                std::to_string(slice.remote_buffer) + " of " +
                                                std::to_string(remote_keys_.size()));
  }
  if (segments.empty() || segments.size() > max_segments_) {
    return Status::error(Code::kInternal, "slice " + std::to_string(index) + " has " + std::to_string(segments.size()) +
                                              " segments; the device takes 1 to " + std::to_string(max_segments_));
  }
  std::uint64_t length = 0;
  for (const Segment& segment : segments) {
    if (segment.region >= local_keys_.size()) {
      return Status::error(Code::kOutOfRange, "slice " + std::to_string(index) + " writes local region " +
                                                  std::to_string(segment.region) + " of " +
                                                  std::to_string(local_keys_.size()));
    }
    length += segment.length;
  }
  if (length != slice.length) {
    return Status::error(Code::kInternal, "slice " + std::to_string(index) + " of " + std::to_string(slice.length) +
                                              " bytes has segments of " + std::to_string(length));
  }
  open_ = free_held_.back();
  free_held_.pop_back();
  held_[open_] = {.slice = index, .requests = 0, .failed = false};
  cut_ = {};
  return Status::success();
}

/// The next read of the open slice; closes it when that is the last.
void ReadQueue::prepare(std::uint32_t request, std::uint64_t read_bytes, const SliceFeed& feed) {
  Held& held = held_[open_];
  const Slice& slice = feed.slice(held.slice);
  const std::span<const Segment> segments = feed.segments(held.slice);
  const auto length = static_cast<std::uint32_t>(std::min<std::uint64_t>(read_bytes, slice.length - cut_.done));
  ibv_send_wr& work = requests_[request].work;
  work.num_sge = 0;
  work.wr.rdma.remote_addr = slice.remote_address + cut_.done;
  work.wr.rdma.rkey = remote_keys_[slice.remote_buffer];
  work.next = nullptr;
  for (std::uint32_t left = length; left > 0;) {
    const Segment& segment = segments[cut_.segment];
    const std::uint32_t part = std::min(left, segment.length - cut_.segment_bytes);
    work.sg_list[work.num_sge++] = {.addr = reinterpret_cast<std::uint64_t>(segment.address) + cut_.segment_bytes,
                                    .length = part,
                                    .lkey = local_keys_[segment.region]};
    left -= part;
    cut_.segment_bytes += part;
    if (cut_.segment_bytes < segment.length) continue;
    cut_.segment_bytes = 0;
    ++cut_.segment;
  }
  if (length < slice.length) smallest_cut_ = std::min(smallest_cut_.value_or(read_bytes), read_bytes);
  requests_[request].held = open_;
  requests_[request].length = length;
  ++held.requests;
  cut_.done += length;
  if (cut_.done == slice.length) open_ = kNone;
}

Status ReadQueue::fill(SliceFeed& feed, const PostLimits& limits) {
  Status status;
  if (std::exchange(released_, false)) window_ = std::min(window_ * 2, static_cast<std::uint32_t>(requests_.size()));
  const std::uint32_t share = (most_ + limits.queue_pairs - 1) / limits.queue_pairs;  // of each queue pair
  const std::uint32_t busy = depth_ - std::min(share, depth_);                        // free ones that it leaves
  std::uint32_t requests = in_flight_;
  std::uint64_t bytes = bytes_in_flight_;
  const auto full = [&] {
    return requests >= std::min(window_, most_) || (requests > 0 && bytes >= limits.window_bytes);
  };
  bool more = true;
  while (more && !full()) {
    more = false;
    for (Chain& chain : std::span(chains_).first(limits.queue_pairs)) {  // in turn, so that few reads spread over all
      if (chain.free.size() <= busy || full()) continue;
      if (open_ == kNone) {
        const auto index = feed.take();
        if (index) {
          status = open(*index, feed);
          if (!status.ok()) feed.give_back(*index);
        }
        if (open_ == kNone) {
          more = false;
          break;
        }
      }
      const std::uint32_t request = chain.free.back();
      chain.free.pop_back();
      prepare(request, limits.read_bytes, feed);
      ibv_send_wr* work = &requests_[request].work;
      (chain.first == nullptr ? chain.first : chain.last->next) = work;
      chain.last = work;
      more = true;
      ++requests;
      bytes += requests_[request].length;
    }
  }
  for (std::uint32_t i = 0; i < chains_.size(); ++i) {
    Status posted = post(i, feed);
    if (status.ok()) status = std::move(posted);
  }
  return status;
}

Status ReadQueue::post(std::uint32_t queue_pair, SliceFeed& feed) {
  Chain& chain = chains_[queue_pair];
  if (chain.first == nullptr) return Status::success();
  ibv_send_wr* refused = nullptr;
  const int error = endpoint_.queue_pairs()[queue_pair]->post(chain.first, &refused);
  if (error == 0) refused = nullptr;
  ibv_send_wr* work = chain.first;
  for (; work != refused; work = work->next) {
    Request& request = requests_[work->wr_id];
    request.in_flight = true;
    bytes_in_flight_ += request.length;
    ++in_flight_;
    ++posted_;
  }
  while (work != nullptr) {
    const auto request = static_cast<std::uint32_t>(work->wr_id);
    work = work->next;
    if (const auto ended = end_request(request, false)) feed.give_back(ended->slice);
  }
  chain.first = chain.last = nullptr;
  if (error == 0) return Status::success();
  return Status::system(Code::kVerbs, "ibv_post_send", error,
                        "queue pair " + std::to_string(endpoint_.numbers()[queue_pair]) + " on RDMA device " +
                            endpoint_.nic()->device() + " refused a read");
}

std::optional<ReadQueue::Ended> ReadQueue::release(std::uint64_t request, bool succeeded) {
  Request& done = requests_[request];
  released_ = true;
  done.in_flight = false;
  --in_flight_;
  bytes_in_flight_ -= done.length;
  if (succeeded) arrived_bytes_ += done.length;
  return end_request(static_cast<std::uint32_t>(request), succeeded);
}

std::optional<ReadQueue::Ended> ReadQueue::end_request(std::uint32_t request, bool succeeded) {
  const Request& done = requests_[request];
  chains_[done.queue_pair].free.push_back(request);
  Held& held = held_[done.held];
  held.failed = held.failed || !succeeded;
  if (held.failed && open_ == done.held) open_ = kNone;
  if (--held.requests > 0 || open_ == done.held) return std::nullopt;
  free_held_.push_back(done.held);
  return Ended{.slice = held.slice, .landed = !held.failed};
}

void ReadQueue::abandon(SliceFeed& feed) {
  for (std::size_t i = 0; i < requests_.size(); ++i) {
    if (!requests_[i].in_flight) continue;
    if (const auto ended = release(i, false)) feed.give_back(ended->slice);
  }
  if (open_ == kNone) return;
  feed.give_back(held_[open_].slice);
  free_held_.push_back(std::exchange(open_, kNone));
}

}  // namespace weightcast::transport::rdma
