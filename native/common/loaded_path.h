#pragma once

#include <string>

namespace weightcast {

/// The file of a library that dlopen has opened; `asked`, the name it was asked for by, where the linker does not say.
std::string loaded_path(void* handle, const std::string& asked);

}  // namespace weightcast
