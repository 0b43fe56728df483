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
  for (const char* option : {"CONFIG_PCI_P2PDMA", "CONFIG_DMABUF_MOVE_NOTIFY"}) {
    if (!has_line(config, std::string(option) + "=y")) {
      return std::string("this kernel was built without ") + option +
             ": NICs would register the memory, and read nothing of it";
    }
  }
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
