#include "memory/device_inventory.h"

#include <fstream>

namespace weightcast::memory {

int numa_node_of(const std::string& pci_address) {
  int node = -1;
  if (!pci_address.empty()) std::ifstream("/sys/bus/pci/devices/" + pci_address + "/numa_node") >> node;
  return node;
}

}  // namespace weightcast::memory
