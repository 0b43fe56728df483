#include "transport/rdma/completion_error.h"

namespace weightcast::transport::rdma {
namespace {

struct Meaning {
  Code code;
  const char* sentence;
};

Meaning meaning_of(ibv_wc_status status) {
  if (status == IBV_WC_REM_ACCESS_ERR || status == IBV_WC_REM_INV_REQ_ERR || status == IBV_WC_REM_OP_ERR) {
    return {Code::kRemoteAccess, "the peer refused the read: what it published is stale; fetch its metadata again"};
  }
  if (status == IBV_WC_RETRY_EXC_ERR || status == IBV_WC_RNR_RETRY_EXC_ERR) {
    return {Code::kPeerLost, "the peer does not answer: it ended, closed this connection, or the path to it is down"};
  }
  if (status == IBV_WC_LOC_PROT_ERR) {
    return {Code::kVerbs, "the device refused the local destination: it is not registered for this device"};
  }
  return {Code::kVerbs, "a read failed"};
}

}  // namespace

Status completion_error(const verbs::Library& library, const ibv_wc& completion, const std::string& lane) {
  const Meaning meaning = meaning_of(completion.status);
  Status status =
      Status::error(meaning.code, lane + ": " + meaning.sentence + " (" + library.wc_status_str(completion.status) +
                                      ", vendor error " + std::to_string(completion.vendor_err) + ")");
  status.call = "ibv_poll_cq";
  status.wc_status = completion.status;
  status.vendor_error = completion.vendor_err;
  return status;
}

}  // namespace weightcast::transport::rdma
