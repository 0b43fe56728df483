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
                     std::vector<std::uint32_t> local_keys, std::uint32_t depth)
    : endpoint_(endpoint),
      remote_keys_(remote_keys),
      local_keys_(std::move(local_keys)),
      max_segments_(endpoint.nic()->max_sge()),
      requests_(endpoint.queue_pairs().size() * depth),
      segments_(requests_.size() * max_segments_),
      chains_(endpoint.queue_pairs().size()),
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
}

Status ReadQueue::prepare(std::uint32_t request, std::uint32_t index, const SliceFeed& feed) {
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
  ibv_send_wr& work = requests_[request].work;
  std::uint64_t length = 0;
  for (std::size_t i = 0; i < segments.size(); ++i) {
    if (segments[i].region >= local_keys_.size()) {
      return Status::error(Code::kOutOfRange, "slice " + std::to_string(index) + " writes local region " +
                                                  std::to_string(segments[i].region) + " of " +
                                                  std::to_string(local_keys_.size()));
    }
    work.sg_list[i] = {.addr = reinterpret_cast<std::uint64_t>(segments[i].address),
                       .length = segments[i].length,
                       .lkey = local_keys_[segments[i].region]};
    length += segments[i].length;
  }
  if (length != slice.length) {
    return Status::error(Code::kInternal, "slice " + std::to_string(index) + " of " + std::to_string(slice.length) +
                                              " bytes has segments of " + std::to_string(length));
  }
  work.num_sge = static_cast<int>(segments.size());
  work.wr.rdma.remote_addr = slice.remote_address;
  work.wr.rdma.rkey = remote_keys_[slice.remote_buffer];
  work.next = nullptr;
  requests_[request].slice = index;
  return Status::success();
}

Status ReadQueue::fill(SliceFeed& feed) {
  Status status;
  std::uint32_t taken = in_flight_;
  bool more = true;
  while (more) {
    more = false;
    for (Chain& chain : chains_) {  // one slice each in turn, so that few slices spread over all queue pairs
      if (chain.free.empty() || taken >= window_) continue;
      const auto index = feed.take();
      if (!index) {
        more = false;
        break;
      }
      const std::uint32_t request = chain.free.back();
      status = prepare(request, *index, feed);
      if (!status.ok()) {
        feed.give_back(*index);
        more = false;
        break;
      }
      chain.free.pop_back();
      ibv_send_wr* work = &requests_[request].work;
      (chain.first == nullptr ? chain.first : chain.last->next) = work;
      chain.last = work;
      more = true;
      ++taken;
    }
  }
  window_ = std::min(window_ * 2, static_cast<std::uint32_t>(requests_.size()));
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
    requests_[work->wr_id].in_flight = true;
    ++in_flight_;
    ++posted_;
  }
  for (; work != nullptr; work = work->next) {
    chain.free.push_back(static_cast<std::uint32_t>(work->wr_id));
    feed.give_back(requests_[work->wr_id].slice);
  }
  chain.first = chain.last = nullptr;
  if (error == 0) return Status::success();
  return Status::system(Code::kVerbs, "ibv_post_send", error,
                        "queue pair " + std::to_string(endpoint_.numbers()[queue_pair]) + " on RDMA device " +
                            endpoint_.nic()->device() + " refused a read");
}

std::uint32_t ReadQueue::release(std::uint64_t request) {
  Request& done = requests_[request];
  done.in_flight = false;
  --in_flight_;
  chains_[done.queue_pair].free.push_back(static_cast<std::uint32_t>(request));
  return done.slice;
}

void ReadQueue::abandon(SliceFeed& feed) {
  for (std::size_t i = 0; i < requests_.size(); ++i) {
    if (requests_[i].in_flight) feed.give_back(release(i));
  }
}

}  // namespace weightcast::transport::rdma
