#include "verbs/queue_pair.h"

#include <cerrno>

namespace weightcast::verbs {
namespace {

constexpr std::uint8_t kRetryCount = 6;     // a dead peer shows after about 0.5 s; 7 is for ever on Soft-RoCE
constexpr std::uint8_t kRnrRetryCount = 6;  // reads need no receive request, so this never counts
constexpr std::uint8_t kMinRnrTimer = 12;   // 0.64 ms
constexpr std::uint8_t kHopLimit = 16;
constexpr std::uint32_t kFirstPsn = 0;  // Mooncake does not exchange it: 0 on both sides

}  // namespace

Result<std::unique_ptr<QueuePair>> QueuePair::create(std::shared_ptr<ProtectionDomain> pd,
                                                     std::shared_ptr<CompletionQueue> cq, std::uint32_t send_depth,
                                                     std::uint32_t max_segments) {
  ibv_qp_init_attr attributes{};
  attributes.qp_type = IBV_QPT_RC;
  attributes.send_cq = cq->get();
  attributes.recv_cq = cq->get();
  attributes.sq_sig_all = 1;
  attributes.cap.max_send_wr = send_depth;
  attributes.cap.max_send_sge = max_segments;
  attributes.cap.max_recv_wr = 1;  // some providers refuse 0
  attributes.cap.max_recv_sge = 1;
  errno = 0;
  ibv_qp* qp = pd->context()->library().create_qp(pd->get(), &attributes);
  if (qp != nullptr) return std::unique_ptr<QueuePair>(new QueuePair(std::move(pd), std::move(cq), qp));
  const int error = errno;
  return Status::system(Code::kVerbs, "ibv_create_qp", error,
                        "cannot make a queue pair of " + std::to_string(send_depth) + " work requests with " +
                            std::to_string(max_segments) + " segments on RDMA device " + pd->context()->device());
}

QueuePair::~QueuePair() { (void)pd_->context()->library().destroy_qp(qp_); }

Status QueuePair::modify(ibv_qp_attr& attributes, int mask, const char* call, const std::string& values) {
  const int error = pd_->context()->library().modify_qp(qp_, &attributes, mask);
  if (error == 0) return Status::success();
  return Status::system(Code::kVerbs, call, error,
                        "queue pair " + std::to_string(number()) + " on RDMA device " + pd_->context()->device() +
                            " refused its next state" + values);
}

Status QueuePair::to_init(std::uint8_t port, unsigned access) {
  ibv_qp_attr attributes{};
  attributes.qp_state = IBV_QPS_INIT;
  attributes.pkey_index = 0;
  attributes.port_num = port;
  attributes.qp_access_flags = access;
  return modify(attributes, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS, "ibv_modify_qp(INIT)",
                ", port " + std::to_string(port));
}

Status QueuePair::to_ready_to_receive(const PathAttributes& path) {
  ibv_qp_attr attributes{};
  attributes.qp_state = IBV_QPS_RTR;
  attributes.path_mtu = path.mtu;
  attributes.dest_qp_num = path.peer_number;
  attributes.rq_psn = kFirstPsn;
  attributes.max_dest_rd_atomic = path.max_dest_reads;
  attributes.min_rnr_timer = kMinRnrTimer;
  attributes.ah_attr.is_global = 1;
  attributes.ah_attr.grh.dgid = path.peer_gid;
  attributes.ah_attr.grh.sgid_index = path.gid_index;
  attributes.ah_attr.grh.hop_limit = kHopLimit;
  attributes.ah_attr.dlid = path.peer_lid;
  attributes.ah_attr.port_num = path.port;
  return modify(attributes,
                IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
                    IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER,
                "ibv_modify_qp(RTR)",
                ", GID index " + std::to_string(path.gid_index) + ", MTU " + std::to_string(128U << path.mtu) + ", " +
                    std::to_string(path.max_dest_reads) + " reads served at once");
}

Status QueuePair::to_ready_to_send(const PathAttributes& path) {
  ibv_qp_attr attributes{};
  attributes.qp_state = IBV_QPS_RTS;
  attributes.timeout = path.ack_timeout;
  attributes.retry_cnt = kRetryCount;
  attributes.rnr_retry = kRnrRetryCount;
  attributes.sq_psn = kFirstPsn;
  attributes.max_rd_atomic = path.max_reads;
  return modify(
      attributes,
      IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY | IBV_QP_SQ_PSN | IBV_QP_MAX_QP_RD_ATOMIC,
      "ibv_modify_qp(RTS)", ", " + std::to_string(path.max_reads) + " reads in flight");
}

Status QueuePair::to_error() {
  ibv_qp_attr attributes{};
  attributes.qp_state = IBV_QPS_ERR;
  return modify(attributes, IBV_QP_STATE, "ibv_modify_qp(ERR)", "");
}

Result<ibv_qp_state> QueuePair::state() const {
  ibv_qp_attr attributes{};
  ibv_qp_init_attr initial{};
  const int error = pd_->context()->library().query_qp(qp_, &attributes, IBV_QP_STATE, &initial);
  if (error == 0) return attributes.qp_state;
  return Status::system(
      Code::kVerbs, "ibv_query_qp", error,
      "cannot query queue pair " + std::to_string(number()) + " on RDMA device " + pd_->context()->device());
}

}  // namespace weightcast::verbs
