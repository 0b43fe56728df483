#include "binding/nic_handle.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "binding/arguments.h"
#include "binding/endpoint_handle.h"
#include "binding/region_handle.h"
#include "binding/registration_handle.h"
#include "binding/registrations_handle.h"

namespace weightcast::binding {
namespace {

using transport::rdma::Access;
using transport::rdma::Endpoint;
using transport::rdma::PathChoice;
using transport::rdma::Role;

constexpr std::uint32_t kMostQueuePairs = 4096;  // of one endpoint; Mooncake's peers use 2 to 256
constexpr std::uint32_t kDeepestQueue = 65536;

Access to_access(const Napi::Value& value) {
  const std::string text = to_text(value, "access");
  if (text == "remote-read") return Access::kRemoteRead;
  if (text == "local-write") return Access::kLocalWrite;
  throw invalid_argument(value.Env(), "expected remote-read or local-write for access but received " + text);
}

PathChoice to_path_choice(const Napi::Value& value) {
  const std::string text = to_text(value, "path");
  if (text == "auto") return PathChoice::kAuto;
  if (text == "dma-buf") return PathChoice::kDmabuf;
  if (text == "peer-memory") return PathChoice::kPeerMemory;
  throw invalid_argument(value.Env(), "expected auto, dma-buf or peer-memory for path but received " + text);
}

struct Row {
  memory::RegionPtr region;
  std::uint64_t offset;
  std::uint64_t length;
};

std::vector<Row> to_rows(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  // First what may run JavaScript, then what takes pointers and handles.
  const std::vector<Napi::Value> values = to_list(info[0], "regions");
  const auto region = to_u32_column(info[1], "region");
  const auto offset = to_u64_column(info[2], "offset");
  const auto length = to_u64_column(info[3], "length");
  if (offset.size() != region.size() || length.size() != region.size()) {
    throw invalid_argument(env, "columns of unequal length: region has " + std::to_string(region.size()) +
                                    " rows, offset " + std::to_string(offset.size()) + ", length " +
                                    std::to_string(length.size()));
  }
  const std::vector<RegionHandle*> handles = RegionHandle::unwrap_all(values, "regions");
  std::vector<Row> rows;
  rows.reserve(region.size());
  for (std::size_t row = 0; row < region.size(); ++row) {
    if (region[row] >= handles.size()) {
      throw invalid_argument(env, "region[" + std::to_string(row) + "] is " + std::to_string(region[row]) + " of " +
                                      std::to_string(handles.size()) + " regions");
    }
    if (length[row] == 0)
      throw invalid_argument(env, "length[" + std::to_string(row) + "] is 0: no device registers that");
    rows.push_back({.region = handles[region[row]]->range(env, offset[row], length[row]),
                    .offset = offset[row],
                    .length = length[row]});
  }
  return rows;
}

/// All or none.
Result<std::shared_ptr<Registrations>> register_rows(transport::rdma::Nic& nic, const std::vector<Row>& rows,
                                                     PathChoice path) {
  auto made = std::make_shared<Registrations>();
  made->reserve(rows.size());
  for (const Row& row : rows) {
    auto one = nic.register_memory(row.region, row.offset, row.length, Access::kRemoteRead, path);
    if (!one.ok()) return one.status();
    made->push_back(std::move(one.value()));
  }
  return made;
}

Role to_role(const Napi::Value& value) {
  const std::string text = to_text(value, "role");
  if (text == "initiator") return Role::kInitiator;
  if (text == "responder") return Role::kResponder;
  throw invalid_argument(value.Env(), "expected initiator or responder for role but received " + text);
}

}  // namespace

void NicHandle::define(Addon& addon, Napi::Env env) {
  Handle::define(
      addon, env,
      {InstanceMethod<&NicHandle::register_memory>("register"), InstanceMethod<&NicHandle::register_all>("registerAll"),
       InstanceMethod<&NicHandle::create_endpoint>("createEndpoint"), InstanceMethod<&NicHandle::close>("close")});
}

NicHandle::NicHandle(const Napi::CallbackInfo& info) : Handle(info), nic_(newborn(info)) {
  const Napi::Env env = info.Env();
  const auto self = info.This().As<Napi::Object>();
  define_constant(self, "device", Napi::String::New(env, nic_->device()));
  define_constant(self, "gid", Napi::String::New(env, nic_->gid()));
  define_constant(self, "gidIndex", Napi::Number::New(env, nic_->gid_index()));
  define_constant(self, "lid", Napi::Number::New(env, nic_->lid()));
  define_constant(self, "mtu", Napi::Number::New(env, nic_->mtu()));
  define_constant(self, "maxMessage", Napi::Number::New(env, nic_->max_message()));
  define_constant(self, "maxSge", Napi::Number::New(env, nic_->max_sge()));
  define_constant(self, "maxInitiatorReads", Napi::Number::New(env, nic_->max_initiator_reads()));
  define_constant(self, "maxResponderReads", Napi::Number::New(env, nic_->max_responder_reads()));
  define_constant(self, "maxRegionBytes", Napi::BigInt::New(env, nic_->max_region()));
}

NicHandle::~NicHandle() { runtime()->drop(std::move(nic_)); }

const std::shared_ptr<transport::rdma::Nic>& NicHandle::nic(Napi::Env env) const {
  if (nic_ == nullptr) throw closed(env, "the NIC");
  return nic_;
}

Napi::Value NicHandle::register_memory(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return promised(env, [&]() -> Napi::Value {
    const auto owner = nic(env);
    const std::uint64_t offset = to_u64(info[1], "offset");
    const std::uint64_t length = to_u64(info[2], "length");
    const Access access = to_access(info[3]);
    const PathChoice path = to_path_choice(info[4]);
    const memory::RegionPtr region = RegionHandle::unwrap(info[0], "region").range(env, offset, length);
    if (length == 0) throw invalid_argument(env, "expected a length above 0: no device registers an empty range");
    return run(
        env, runtime(), [=] { return owner->register_memory(region, offset, length, access, path); },
        [owner](Napi::Env at, std::shared_ptr<transport::rdma::Registration> made) -> Napi::Value {
          return RegistrationHandle::create(at, {.registration = std::move(made), .nic = owner});
        });
  });
}

Napi::Value NicHandle::register_all(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return promised(env, [&]() -> Napi::Value {
    const auto owner = nic(env);
    const auto rows = std::make_shared<const std::vector<Row>>(to_rows(info));
    const PathChoice path = to_path_choice(info[4]);
    return run(
        env, runtime(), [=] { return register_rows(*owner, *rows, path); },
        [](Napi::Env at, std::shared_ptr<Registrations> made) -> Napi::Value {
          return RegistrationsHandle::create(at, std::move(made));
        });
  });
}

Napi::Value NicHandle::create_endpoint(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return promised(env, [&]() -> Napi::Value {
    const auto owner = nic(env);
    const Role role = to_role(info[0]);
    const std::uint32_t count = to_u32(info[1], "count", 1, kMostQueuePairs);
    const std::uint32_t depth = to_u32(info[2], "sendDepth", 1, kDeepestQueue);
    return run(
        env, runtime(), [=] { return Endpoint::create(owner, role, count, depth); },
        [role](Napi::Env at, std::shared_ptr<Endpoint> made) -> Napi::Value {
          return EndpointHandle::create(at, {.endpoint = std::move(made), .role = role});
        });
  });
}

Napi::Value NicHandle::close(const Napi::CallbackInfo& info) { return close_once(info.Env(), nic_); }

}  // namespace weightcast::binding
