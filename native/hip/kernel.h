#pragma once

#include <string>

namespace weightcast::hip {

/// Why this kernel cannot let a NIC at a GPU's memory by dma-buf: without CONFIG_PCI_P2PDMA and
/// CONFIG_DMABUF_MOVE_NOTIFY a registration succeeds, and reads bring nothing. Empty: it can, or does not say. By
/// /boot/config-RELEASE or /lib/modules/RELEASE/config, where one is.
std::string why_kernel_cannot_share();

/// The same, of the text of a kernel's configuration.
std::string why_config_cannot_share(const std::string& config);

}  // namespace weightcast::hip
