#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/status.h"

namespace weightcast::transport::rdma {

struct GidEntry {
  std::uint8_t index = 0;
  std::string gid;      ///< 16 hex pairs joined by ':'
  std::string type;     ///< "RoCE v2", "IB/RoCE v1"; empty when sysfs does not say
  std::string netdev;   ///< empty when none
};

/// One port of one device as `doctor` shows it.
struct DevicePort {
  std::string device;
  std::string provider;      ///< kernel driver, for example "rxe" or "mlx5_core": a software device must be seen as one
  bool software = false;     ///< rxe or siw
  std::string firmware;
  std::uint8_t port = 1;
  bool active = false;
  std::string state;         ///< "ACTIVE", "DOWN", ...
  std::string link_layer;    ///< "Ethernet" or "InfiniBand"
  std::uint16_t lid = 0;
  std::uint32_t active_mtu = 0;   ///< bytes
  double rate_gbps = 0;           ///< as the port claims; fiction on Soft-RoCE
  int numa_node = -1;
  std::string netdev;
  std::vector<GidEntry> gids;     ///< non-null entries
  int chosen_gid_index = -1;      ///< what Nic::open would take; -1 when none fits
  std::uint32_t max_message = 0, max_sge = 0, max_initiator_reads = 0, max_responder_reads = 0, max_qp = 0, max_mr = 0;
  std::uint64_t max_mr_bytes = 0;
};

/// All ports of all devices. kRdmaUnavailable with the reason (libibverbs missing, kernel without RDMA) when there is
/// no way to have any; an empty list when the stack is there and no device is.
Result<std::vector<DevicePort>> list_devices();

}  // namespace weightcast::transport::rdma
