#include "verbs/library.h"

#include <dlfcn.h>

#include <cstdlib>
#include <mutex>

#include "common/loaded_path.h"

namespace weightcast::verbs {
namespace {

void* find_symbol(void* handle, const char* name, const char* version) {
#ifdef __GLIBC__
  // By version: libibverbs still carries the IBVERBS_1.0 functions, which have other structures.
  return dlvsym(handle, name, version);
#else
  (void)version;
  return dlsym(handle, name);
#endif
}

template <typename Function>
bool resolve(void* handle, Function& function, const char* name, const char* version, const char*& missing) {
  function = reinterpret_cast<Function>(find_symbol(handle, name, version));
  if (function == nullptr && missing == nullptr) missing = name;
  return function != nullptr;
}

Status unavailable(const std::string& reason) {
  return Status::error(Code::kRdmaUnavailable, "RDMA is not available: " + reason);
}

/// Must come before the first registration. `ibv_fork_init` is only for kernels that need it: it hides registered pages
/// from child processes, also from the moment between fork and exec, together with whatever else lies on them.
bool make_fork_safe(const Library& library) {
  if (library.is_fork_initialized != nullptr && library.is_fork_initialized() == IBV_FORK_UNNEEDED) return true;
  return library.fork_init() ==
         0;  // fails when somebody else in this process registered before; RDMA works all the same
}

}  // namespace

Result<LibraryPtr> load_library_file(const std::string& file) {
  void* handle = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    const char* error = dlerror();
    return unavailable(
        "cannot load libibverbs (" + std::string(error != nullptr ? error : file) +
        "); install the packages libibverbs1 and ibverbs-providers (Debian, Ubuntu) or libibverbs (RHEL), "
        "or name the file in WEIGHTCAST_IBVERBS_LIB");
  }
  auto library = std::make_shared<Library>();
  const char* missing = nullptr;
  auto need = [&](auto& function, const char* name, const char* version = "IBVERBS_1.1") {
    resolve(handle, function, name, version, missing);
  };
  need(library->get_device_list, "ibv_get_device_list");
  need(library->free_device_list, "ibv_free_device_list");
  need(library->open_device, "ibv_open_device");
  need(library->close_device, "ibv_close_device");
  need(library->query_device, "ibv_query_device");
  need(library->query_port, "ibv_query_port");
  need(library->query_gid, "ibv_query_gid");
  need(library->alloc_pd, "ibv_alloc_pd");
  need(library->dealloc_pd, "ibv_dealloc_pd");
  need(library->reg_mr, "ibv_reg_mr");
  need(library->dereg_mr, "ibv_dereg_mr");
  need(library->create_comp_channel, "ibv_create_comp_channel", "IBVERBS_1.0");
  need(library->destroy_comp_channel, "ibv_destroy_comp_channel", "IBVERBS_1.0");
  need(library->create_cq, "ibv_create_cq");
  need(library->destroy_cq, "ibv_destroy_cq");
  need(library->get_cq_event, "ibv_get_cq_event");
  need(library->ack_cq_events, "ibv_ack_cq_events");
  need(library->create_qp, "ibv_create_qp");
  need(library->modify_qp, "ibv_modify_qp");
  need(library->query_qp, "ibv_query_qp");
  need(library->destroy_qp, "ibv_destroy_qp");
  need(library->wc_status_str, "ibv_wc_status_str");
  need(library->fork_init, "ibv_fork_init");
  library->path = loaded_path(handle, file);
  if (missing != nullptr) {
    Status status = unavailable(library->path + " has no symbol " + missing + "; it is not a usable libibverbs");
    dlclose(handle);
    return status;
  }
  const char* optional_missing = nullptr;
  resolve(handle, library->reg_mr_iova2, "ibv_reg_mr_iova2", "IBVERBS_1.8", optional_missing);
  resolve(handle, library->reg_dmabuf_mr, "ibv_reg_dmabuf_mr", "IBVERBS_1.12", optional_missing);
  resolve(handle, library->is_fork_initialized, "ibv_is_fork_initialized", "IBVERBS_1.13", optional_missing);
  library->fork_safe = make_fork_safe(*library);
  return LibraryPtr(std::move(library));
}

Result<LibraryPtr> load_library() {
  static std::mutex mutex;
  static LibraryPtr loaded;
  const std::lock_guard lock(mutex);
  if (loaded != nullptr) return loaded;
  const char* named = std::getenv("WEIGHTCAST_IBVERBS_LIB");
  auto result = load_library_file(named != nullptr && *named != '\0' ? named : "libibverbs.so.1");
  if (result.ok()) loaded = result.value();
  return result;
}

}  // namespace weightcast::verbs
