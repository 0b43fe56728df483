// cuGetProcAddress: by name, of this library's symbols.
#include <dlfcn.h>

#include <string>

#include "ledger.h"

namespace cuda = weightcast::cuda;
using cuda::Code;

extern "C" {

Code cuGetProcAddress(const char* symbol, void** function, int version, std::uint64_t flags) {
  *function = nullptr;
  if (flags != cuda::kProcAddressDefault) return Code::kInvalidValue;
  if (version > standin::Ledger::get().mode("version")) return Code::kNotFound;
  // Functions that have a second form are only there in that one.
  const std::string second = std::string(symbol) + "_v2";
  Dl_info own{};
  if (dladdr(reinterpret_cast<void*>(&cuGetProcAddress), &own) == 0) return Code::kUnknown;
  void* library = dlopen(own.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
  if (library == nullptr) return Code::kUnknown;
  *function = dlsym(library, second.c_str());
  if (*function == nullptr) *function = dlsym(library, symbol);
  dlclose(library);
  return *function == nullptr ? Code::kNotFound : Code::kSuccess;
}
}
