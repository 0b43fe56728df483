#include "hip/kernel.h"

#include <sys/utsname.h>

#include <array>
#include <fstream>
#include <iterator>

namespace weightcast::hip {
namespace {

/// A line of its own, also the first.
bool has_line(const std::string& text, const std::string& line) {
  return text.starts_with(line + "\n") || text.find("\n" + line + "\n") != std::string::npos;
}

}  // namespace

std::string why_config_cannot_share(const std::string& config) {
  const auto without = [](const char* option) {
    return std::string("this kernel was built without ") + option +
           ": NICs would register the memory, and read nothing of it";
  };
  if (!has_line(config, "CONFIG_PCI_P2PDMA=y")) return without("CONFIG_PCI_P2PDMA");
  // Kernels of 2026 have no such option any more: they all notify.
  if (has_line(config, "# CONFIG_DMABUF_MOVE_NOTIFY is not set")) return without("CONFIG_DMABUF_MOVE_NOTIFY");
  return "";
}

std::string why_kernel_cannot_share() {
  utsname system{};
  if (uname(&system) != 0) return "";
  const std::string release = system.release;
  const std::array<std::string, 2> files{"/boot/config-" + release, "/lib/modules/" + release + "/config"};
  for (const std::string& file : files) {
    std::ifstream in(file);
    const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    if (!text.empty()) return why_config_cannot_share(text);
  }
  return "";
}

}  // namespace weightcast::hip
