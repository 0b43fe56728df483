#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/status.h"
#include "memory/region.h"

namespace weightcast::memory {
struct Dmabuf;
}  // namespace weightcast::memory

namespace weightcast::verbs {
class Context;
class ProtectionDomain;
class MemoryRegion;
}  // namespace weightcast::verbs

namespace weightcast::transport::rdma {

struct NicOptions {
  std::string device;  ///< "rxe0"
  std::uint8_t port = 1;
  std::optional<std::uint8_t> gid_index;  ///< unset: RoCEv2 + IPv4-mapped + netdev first (mooncake-wire §3.9)
};

/// Who may do what with a registered range. A seed grants REMOTE_READ and nothing else.
enum class Access : std::uint8_t { kRemoteRead, kLocalWrite };

/// How a NIC gets at a range's memory. Of host memory it is always kHost. Of an accelerator's: a dma-buf that its
/// driver exports, or a peer-memory module of the kernel, by which a device pointer is registered as if it were the
/// host's.
enum class Path : std::uint8_t { kHost, kDmabuf, kPeerMemory };

/// Which of them may be taken for an accelerator's memory; kAuto tries them in that order. Host memory ignores it.
enum class PathChoice : std::uint8_t { kAuto, kDmabuf, kPeerMemory };

/// "host", "dma-buf", "peer-memory".
const char* path_name(Path path);

/// A range of a region registered on one NIC. Deregisters when dropped; keeps region and NIC alive. Thread-safe.
class Registration {
 public:
  Registration(memory::RegionPtr region, std::unique_ptr<verbs::MemoryRegion> memory_region, Path path,
               std::shared_ptr<const memory::Dmabuf> dmabuf = nullptr);
  ~Registration();
  [[nodiscard]] std::uint32_t local_key() const;
  [[nodiscard]] std::uint32_t remote_key() const;
  [[nodiscard]] Path path() const { return path_; }

 private:
  memory::RegionPtr region_;                      // outlives memory_region_: members go in reverse order
  std::shared_ptr<const memory::Dmabuf> dmabuf_;  // so that another NIC's registration of the range imports it, too
  std::unique_ptr<verbs::MemoryRegion> memory_region_;
  Path path_;
};

/// A port of an RDMA device, opened: context, protection domain, the chosen GID and the attributes that peers need.
/// Thread-safe after `open`. Everything made from it keeps it alive.
class Nic : public std::enable_shared_from_this<Nic> {
 public:
  /// kRdmaUnavailable (library, kernel), kNotFound (device name, GID index), kVerbs (port not active, query failed).
  static Result<std::shared_ptr<Nic>> open(const NicOptions& options);
  ~Nic();

  [[nodiscard]] const std::string& device() const { return options_.device; }
  [[nodiscard]] const NicOptions& options() const { return options_; }
  [[nodiscard]] const std::string& gid() const { return gid_; }  ///< 16 hex pairs joined by ':' (mooncake-wire §2.2)
  [[nodiscard]] std::uint8_t gid_index() const { return gid_index_; }
  [[nodiscard]] std::uint16_t lid() const { return lid_; }
  [[nodiscard]] std::uint32_t mtu() const { return mtu_; }                  ///< active, bytes, at most 4096
  [[nodiscard]] std::uint32_t max_message() const { return max_message_; }  ///< bytes of one read
  [[nodiscard]] std::uint32_t max_sge() const { return max_sge_; }          ///< scatter elements of one READ
  [[nodiscard]] std::uint32_t max_initiator_reads() const { return max_initiator_reads_; }  ///< max_qp_init_rd_atom
  [[nodiscard]] std::uint32_t max_responder_reads() const { return max_responder_reads_; }  ///< max_qp_rd_atom
  [[nodiscard]] std::uint64_t max_region() const { return max_region_; }  ///< bytes of one registration
  [[nodiscard]] const std::shared_ptr<verbs::ProtectionDomain>& protection_domain() const { return pd_; }
  [[nodiscard]] const std::shared_ptr<verbs::Context>& context() const { return context_; }

  /// Whether this NIC can import dma-bufs: kRegistration with what is missing.
  [[nodiscard]] const Status& imports_dmabuf() const { return imports_dmabuf_; }

  /// Pins and registers [offset, offset + length). kMemlockLimit, kOutOfMemory, kRegistration (the kernel cannot pin
  /// this mapping: EFAULT on a file), kOutOfRange. An accelerator's memory: by the first path of `choice` that works;
  /// kRegistration with the reason of each when none does, kClosed when the address is other memory's by now, kDevice.
  Result<std::shared_ptr<Registration>> register_memory(const memory::RegionPtr& region, std::uint64_t offset,
                                                        std::uint64_t length, Access access,
                                                        PathChoice choice = PathChoice::kAuto);

 private:
  explicit Nic(NicOptions options) : options_(std::move(options)) {}
  NicOptions options_;
  std::shared_ptr<verbs::Context> context_;
  std::shared_ptr<verbs::ProtectionDomain> pd_;
  std::string gid_;
  std::uint8_t gid_index_ = 0;
  std::uint16_t lid_ = 0;
  std::uint32_t mtu_ = 0;
  std::uint32_t max_message_ = 0;
  std::uint32_t max_sge_ = 0;
  std::uint32_t max_initiator_reads_ = 0;
  std::uint32_t max_responder_reads_ = 0;
  std::uint64_t max_region_ = 0;
  Status imports_dmabuf_;
};

}  // namespace weightcast::transport::rdma
