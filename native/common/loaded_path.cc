#include "common/loaded_path.h"

#include <dlfcn.h>
#include <link.h>

namespace weightcast {

std::string loaded_path(void* handle, const std::string& asked) {
  link_map* map = nullptr;
  if (dlinfo(handle, RTLD_DI_LINKMAP, static_cast<void*>(&map)) != 0 || map == nullptr || map->l_name == nullptr)
    return asked;
  return map->l_name[0] == '\0' ? asked : map->l_name;
}

}  // namespace weightcast
