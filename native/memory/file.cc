#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "memory/mapping.h"
#include "memory/region.h"

namespace weightcast::memory {
namespace {

class FileRegion final : public MappedRegion {
 public:
  /// Takes the descriptor over.
  FileRegion(Mapping mapping, std::uint64_t skip, std::uint64_t size, int fd, std::uint64_t offset, std::string path)
      : MappedRegion(RegionKind::kFile, std::move(mapping), skip, size, base_page_size(), false),
        fd_(fd),
        offset_(offset),
        path_(std::move(path)) {}
  FileRegion(const FileRegion&) = delete;
  FileRegion& operator=(const FileRegion&) = delete;
  ~FileRegion() override { close(fd_); }

  [[nodiscard]] bool safe_to_load() const override { return false; }
  [[nodiscard]] std::optional<Share> share() const override { return Share{.descriptor = fd_, .offset = offset_}; }

  [[nodiscard]] Status copy_out(std::uint64_t offset, std::span<std::byte> into) const override {
    if (offset > size() || into.size() > size() - offset) {
      return Status::error(Code::kOutOfRange, "cannot read " + std::to_string(into.size()) + " bytes at offset " +
                                                  std::to_string(offset) + " of the mapped " + std::to_string(size()) +
                                                  " bytes of " + path_);
    }
    while (!into.empty()) {
      const ssize_t count = pread(fd_, into.data(), into.size(), static_cast<off_t>(offset_ + offset));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return Status::system(Code::kIo, "pread", errno, "cannot read " + path_);
      if (count == 0) {
        return Status::error(Code::kIo, path_ + " ends at byte " + std::to_string(offset_ + offset) +
                                            ": it was cut short while it was mapped");
      }
      into = into.subspan(static_cast<std::size_t>(count));
      offset += static_cast<std::uint64_t>(count);
    }
    return Status::success();
  }

 private:
  int fd_;
  std::uint64_t offset_;
  std::string path_;
};

Status check_file(int fd, const std::string& path, std::uint64_t offset, std::uint64_t size) {
  struct stat info{};
  if (fstat(fd, &info) != 0) return Status::system(Code::kIo, "fstat", errno, "cannot look at " + path);
  if (!S_ISREG(info.st_mode)) return Status::error(Code::kInvalidArgument, path + " is not a regular file");
  const auto length = static_cast<std::uint64_t>(info.st_size);
  if (offset <= length && size <= length - offset) return Status::success();
  return Status::error(Code::kOutOfRange, path + " has " + std::to_string(length) + " bytes; bytes " +
                                              std::to_string(offset) + " to " + std::to_string(offset + size) +
                                              " were asked for");
}

}  // namespace

Result<RegionPtr> map_file(const std::string& path, std::uint64_t offset, std::uint64_t size) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    const int error = errno;
    return Status::system(error == ENOENT ? Code::kNotFound : Code::kIo, "open", error, "cannot open " + path);
  }
  return map_descriptor(fd, path, offset, size);
}

Result<RegionPtr> map_descriptor(int fd, const std::string& path, std::uint64_t offset, std::uint64_t size) {
  Status status = check_size(size, "a file mapping");
  if (status.ok()) status = check_file(fd, path, offset, size);
  const std::uint64_t skip = offset % base_page_size();
  void* base = MAP_FAILED;
  if (status.ok()) {
    base = mmap(nullptr, size + skip, PROT_READ, MAP_SHARED, fd, static_cast<off_t>(offset - skip));
    if (base == MAP_FAILED) {
      const int error = errno;
      status = Status::system(error == ENOMEM ? Code::kOutOfMemory : Code::kIo, "mmap", error,
                              "cannot map " + std::to_string(size) + " bytes of " + path);
    }
  }
  if (!status.ok()) {
    close(fd);
    return status;
  }
  return RegionPtr(std::make_shared<FileRegion>(Mapping(base, size + skip), skip, size, fd, offset, path));
}

}  // namespace weightcast::memory
