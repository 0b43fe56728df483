#pragma once

#include <infiniband/verbs.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/status.h"
#include "verbs/library.h"

namespace weightcast::verbs {

/// Names of the RDMA devices of this machine, in the library's order. kRdmaUnavailable when the kernel has no RDMA
/// support or keeps it from this process; an empty list when it has and there is no device.
Result<std::vector<std::string>> device_names();

/// An opened device. Everything made from it keeps it alive. Thread-safe.
class Context {
 public:
  /// kRdmaUnavailable (library, kernel, no permission on the device file), kNotFound (the message lists what is here).
  static Result<std::shared_ptr<Context>> open(const std::string& device);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  [[nodiscard]] ibv_context* get() const { return context_; }
  [[nodiscard]] const Library& library() const { return *library_; }
  [[nodiscard]] const std::string& device() const { return device_; }
  /// iWARP queue pairs can only be connected by the RDMA connection manager, which is not used here.
  [[nodiscard]] bool is_iwarp() const;

  [[nodiscard]] Result<ibv_device_attr> query_device() const;
  [[nodiscard]] Result<ibv_port_attr> query_port(std::uint8_t port) const;

 private:
  Context(LibraryPtr library, ibv_context* context, std::string device)
      : library_(std::move(library)), context_(context), device_(std::move(device)) {}
  LibraryPtr library_;
  ibv_context* context_;
  std::string device_;
};

/// A protection domain: memory regions and queue pairs work together only inside of one. Thread-safe.
class ProtectionDomain {
 public:
  static Result<std::shared_ptr<ProtectionDomain>> create(std::shared_ptr<Context> context);
  ~ProtectionDomain();
  ProtectionDomain(const ProtectionDomain&) = delete;
  ProtectionDomain& operator=(const ProtectionDomain&) = delete;

  [[nodiscard]] ibv_pd* get() const { return pd_; }
  [[nodiscard]] const std::shared_ptr<Context>& context() const { return context_; }

 private:
  ProtectionDomain(std::shared_ptr<Context> context, ibv_pd* pd) : context_(std::move(context)), pd_(pd) {}
  std::shared_ptr<Context> context_;  // outlives pd_
  ibv_pd* pd_;
};

}  // namespace weightcast::verbs
