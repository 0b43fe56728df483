#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/status.h"
#include "verbs/gid.h"

namespace weightcast::transport::rdma {

using GidEntry = verbs::GidEntry;

/// One port of one device as `doctor` shows it.
struct DevicePort {
  std::string device;
  std::string provider;   ///< kernel driver, for example "rxe" or "mlx5_core": a software device must be seen as one
  bool software = false;  ///< rxe or siw
  std::string firmware;
  std::uint8_t port = 1;
  bool active = false;     ///< can be used now; false also for a device that cannot be opened, and for iWARP
  std::string state;       ///< "ACTIVE", "DOWN", ..., or why the device cannot be used
  std::string link_layer;  ///< "Ethernet" or "InfiniBand"
  std::uint16_t lid = 0;
  std::uint32_t active_mtu = 0;  ///< bytes
  double rate_gbps = 0;          ///< as the port claims; fiction on Soft-RoCE
  int numa_node = -1;
  std::string netdev;
  std::vector<GidEntry> gids;  ///< non-null entries
  int chosen_gid_index = -1;   ///< what Nic::open would take; -1 when none fits
  std::uint32_t max_message = 0, max_sge = 0, max_initiator_reads = 0, max_responder_reads = 0, max_qp = 0, max_mr = 0;
  std::uint64_t max_mr_bytes = 0;
  bool dmabuf = false;        ///< imports dma-bufs, for accelerators' memory
  std::string dmabuf_reason;  ///< why not
};

/// All ports of all devices. kRdmaUnavailable with the reason (libibverbs missing, kernel without RDMA) when there is
/// no way to have any; an empty list when the stack is there and no device is.
Result<std::vector<DevicePort>> list_devices();

}  // namespace weightcast::transport::rdma
