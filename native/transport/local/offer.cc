#include "transport/local/offer.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <span>
#include <string>
#include <utility>

namespace weightcast::transport::local {
namespace {

Status fill(int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return Status::system(Code::kOutOfMemory, "write", errno, "cannot write the table of buffers");
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return Status::success();
}

/// A memfd that nobody can change any more, opened anew so that the descriptor that is passed cannot be written to.
Result<tcp::Fd> table_of(const std::vector<Row>& rows) {
  const tcp::Fd writable(memfd_create("weightcast-buffers", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!writable.valid()) {
    return Status::system(Code::kIo, "memfd_create", errno, "cannot make the table of buffers for local targets");
  }
  if (Status status = fill(writable.get(), std::as_bytes(std::span(rows))); !status.ok()) return status;
  if (fcntl(writable.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0) {
    return Status::system(Code::kIo, "fcntl(F_ADD_SEALS)", errno, "cannot seal the table of buffers");
  }
  const std::string path = "/proc/self/fd/" + std::to_string(writable.get());
  tcp::Fd readable(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!readable.valid()) return Status::system(Code::kIo, "open", errno, "cannot open " + path);
  return readable;
}

}  // namespace

Result<std::shared_ptr<const Offer>> Offer::make(std::vector<tcp::ServedRange> ranges) {
  auto offer = std::make_shared<Offer>();
  std::vector<Row> rows;
  std::map<int, std::int32_t> index_of;
  std::vector<int> shared;
  for (const tcp::ServedRange& range : ranges) {
    if (range.region->on_device() != nullptr) {
      return Status::error(Code::kInvalidArgument,
                           "an accelerator's memory cannot be offered to targets on this host; offer a copy in host "
                           "memory");
    }
    Row row{.address = range.address, .length = range.length};
    if (const auto share = range.region->share()) {
      const auto [known, added] = index_of.try_emplace(share->descriptor, static_cast<std::int32_t>(shared.size()));
      if (added && shared.size() < kMostDescriptors) shared.push_back(share->descriptor);
      if (known->second < static_cast<std::int32_t>(shared.size())) {
        row.descriptor = known->second;
        row.offset = share->offset + (range.address - range.region->address());
      }
    }
    offer->needs_memory_ = offer->needs_memory_ || row.descriptor < 0;
    rows.push_back(row);
  }
  auto table = table_of(rows);
  if (!table.ok()) return table.status();
  offer->table_ = std::move(table.value());
  offer->descriptors_.push_back(offer->table_.get());
  offer->descriptors_.insert(offer->descriptors_.end(), shared.begin(), shared.end());
  offer->rows_ = rows.size();
  offer->ranges_ = std::move(ranges);
  return std::shared_ptr<const Offer>(std::move(offer));
}

}  // namespace weightcast::transport::local
