#pragma once

#include <infiniband/verbs.h>

#include <memory>
#include <string>

#include "common/status.h"

namespace weightcast::verbs {

/// libibverbs, loaded at run time, so that whatever contains this code loads on machines without it. Fields are named
/// as the functions without `ibv_`: `ibv_reg_mr` and `ibv_query_port` are macros in verbs.h. What is missing here
/// (`ibv_post_send`, `ibv_poll_cq`, `ibv_req_notify_cq`) is inline in verbs.h and goes through `ibv_context::ops`.
///
/// Immutable once loaded; thread-safe. Never unloaded: providers register themselves in it for good.
struct Library {
  std::string path;  ///< of the file that was loaded
  /// A fork() of this process cannot tear pinned pages from it: the kernel copies them (5.12 and later), or
  /// `ibv_fork_init` succeeded.
  bool fork_safe = false;

  decltype(&::ibv_get_device_list) get_device_list = nullptr;
  decltype(&::ibv_free_device_list) free_device_list = nullptr;
  decltype(&::ibv_open_device) open_device = nullptr;
  decltype(&::ibv_close_device) close_device = nullptr;
  decltype(&::ibv_query_device) query_device = nullptr;
  decltype(&::ibv_query_port) query_port = nullptr;
  decltype(&::ibv_query_gid) query_gid = nullptr;
  decltype(&::ibv_alloc_pd) alloc_pd = nullptr;
  decltype(&::ibv_dealloc_pd) dealloc_pd = nullptr;
  decltype(&::ibv_reg_mr) reg_mr = nullptr;
  decltype(&::ibv_dereg_mr) dereg_mr = nullptr;
  decltype(&::ibv_create_comp_channel) create_comp_channel = nullptr;
  decltype(&::ibv_destroy_comp_channel) destroy_comp_channel = nullptr;
  decltype(&::ibv_create_cq) create_cq = nullptr;
  decltype(&::ibv_destroy_cq) destroy_cq = nullptr;
  decltype(&::ibv_get_cq_event) get_cq_event = nullptr;
  decltype(&::ibv_ack_cq_events) ack_cq_events = nullptr;
  decltype(&::ibv_create_qp) create_qp = nullptr;
  decltype(&::ibv_modify_qp) modify_qp = nullptr;
  decltype(&::ibv_query_qp) query_qp = nullptr;
  decltype(&::ibv_destroy_qp) destroy_qp = nullptr;
  decltype(&::ibv_wc_status_str) wc_status_str = nullptr;
  decltype(&::ibv_fork_init) fork_init = nullptr;
  /// Needed for flags that a kernel may ignore (relaxed ordering); null before rdma-core 28.
  decltype(&::ibv_reg_mr_iova2) reg_mr_iova2 = nullptr;
  /// Null before rdma-core 34.
  decltype(&::ibv_reg_dmabuf_mr) reg_dmabuf_mr = nullptr;
  /// Null before rdma-core 35.
  decltype(&::ibv_is_fork_initialized) is_fork_initialized = nullptr;
};

using LibraryPtr = std::shared_ptr<const Library>;

/// The process's libibverbs: the file that WEIGHTCAST_IBVERBS_LIB names, else libibverbs.so.1. Loaded at the first
/// success and then kept; a failure (kRdmaUnavailable) is tried anew at the next call. Any thread.
Result<LibraryPtr> load_library();

/// Loads one file (a path, or a name for the dynamic linker to find), uncached. kRdmaUnavailable with the linker's own
/// words, or the symbol that the file lacks.
Result<LibraryPtr> load_library_file(const std::string& file);

}  // namespace weightcast::verbs
