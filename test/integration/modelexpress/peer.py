"""The real ModelExpress client as a process: one JSON command a line on stdin, one JSON answer a line on stdout.

The package is used as it was installed. Two packages that it imports for engines and downloads are replaced, since nothing
here touches tensors of an engine or a model hub: torch and huggingface_hub.
"""

import json
import logging
import sys
from unittest.mock import MagicMock

for absent in ("torch", "huggingface_hub", "huggingface_hub.constants"):
    sys.modules[absent] = MagicMock()

import grpc
from google.protobuf import json_format
from modelexpress import p2p_pb2
from modelexpress.client import MxClient
from modelexpress.metadata import worker_server
from modelexpress.metadata.publisher import PublisherThread
from modelexpress.metadata.source_id import compute_mx_source_id

logging.basicConfig(stream=sys.stderr, level=logging.INFO)


class Agent:
    """The part of a NIXL manager that the publisher asks: is the data plane well?"""

    def __init__(self):
        self.healthy = True
        self.data_plane_error = None

    def is_healthy(self):
        return self.healthy


class Peer:
    def __init__(self):
        self.client = None
        self.publisher = None
        self.agent = Agent()
        self.loads = []
        self.worker = None
        self.leases = {}
        self.publications = 0

    def connect(self, server):
        self.client = MxClient(server)

    def source_id(self, identity):
        return compute_mx_source_id(message(p2p_pb2.SourceIdentity, identity))

    def publish(self, identity, worker, worker_id):
        return self.client.publish_metadata(
            message(p2p_pb2.SourceIdentity, identity), message(p2p_pb2.WorkerMetadata, worker), worker_id
        )

    def publish_large(self, identity, worker_id, tensors):
        """As many tensors as that, under both fields, as the client writes them."""
        protos = [
            p2p_pb2.TensorDescriptor(
                name=f"model.layers.{i}.weight", addr=2**64 - 1 - i, size=i, device_id=i % 8, dtype="torch.bfloat16"
            )
            for i in range(tensors)
        ]
        worker = p2p_pb2.WorkerMetadata(
            nixl_metadata=b"agent", tensors=protos, tensor_source=p2p_pb2.TensorSourceMetadata(tensors=protos)
        )
        return self.client.publish_metadata(message(p2p_pb2.SourceIdentity, identity), worker, worker_id)

    def fetch_large(self, mx_source_id, worker_id, tensors):
        """How many of the tensors of publish_large come back as they were, of either list."""
        worker = self.client.get_metadata(mx_source_id, worker_id).worker

        def right(descriptors):
            return len(descriptors) == tensors and all(
                t.name == f"model.layers.{i}.weight"
                and (t.addr, t.size, t.device_id, t.dtype) == (2**64 - 1 - i, i, i % 8, "torch.bfloat16")
                for i, t in enumerate(descriptors)
            )

        return {"legacy": right(worker.tensors), "source": right(worker.tensor_source.tensors)}

    def list(self, identity=None, status=None):
        return plain(
            self.client.list_sources(
                None if identity is None else message(p2p_pb2.SourceIdentity, identity),
                None if status is None else p2p_pb2.SourceStatus.Value(status),
            )
        )

    def get(self, mx_source_id, worker_id):
        return plain(self.client.get_metadata(mx_source_id, worker_id))

    def update(self, mx_source_id, worker_id, worker_rank, status, source_load=None):
        return self.client.update_status(
            mx_source_id, worker_id, worker_rank, p2p_pb2.SourceStatus.Value(status), source_load
        )

    def start_publisher(self, identity, worker, worker_id, interval):
        """Its thread, with its own heartbeat, load and health."""

        def publish():
            self.publications += 1
            return self.publish(identity, worker, worker_id)

        self.publisher = PublisherThread(
            mx_client=self.client,
            worker_id=worker_id,
            worker_rank=worker.get("workerRank", 0),
            nixl_manager=self.agent,
            publish_fn=publish,
            interval_secs=interval,
            source_load_provider=lambda: self.loads[-1] if self.loads else None,
        )
        self.publisher.start()

    def publisher_state(self):
        return {"sourceId": self.publisher.mx_source_id, "publications": self.publications}

    def set_health(self, healthy):
        self.agent.healthy = healthy

    def set_load(self, load):
        self.loads.append(load)

    def stop_publisher(self):
        self.publisher.stop()

    def start_worker(self, tensors, worker_id, mx_source_id=None, worker_rank=0, accelerator=""):
        self.worker = worker_server.WorkerGrpcServer(
            tensor_protos=[message(p2p_pb2.TensorDescriptor, tensor) for tensor in tensors],
            mx_source_id=mx_source_id,
            worker_rank=worker_rank,
            accelerator=accelerator,
            worker_id=worker_id,
        )
        return self.worker.start()

    def set_worker_source(self, mx_source_id):
        self.worker.set_mx_source_id(mx_source_id)

    def drain_worker(self, timeout):
        self.worker.drain_tensor_reads(timeout)

    def fetch_manifest(self, endpoint, mx_source_id, worker_id=""):
        tensors, size = worker_server.fetch_tensor_manifest(endpoint, mx_source_id, worker_id=worker_id)
        return {"tensors": [plain(tensor) for tensor in tensors], "bytes": size}

    def prepare_read(self, endpoint, mx_source_id, worker_id=""):
        lease, size = worker_server.prepare_tensor_read(endpoint, mx_source_id, worker_id=worker_id)
        name = f"lease{len(self.leases)}"
        self.leases[name] = lease
        return {"lease": name, "tensors": len(lease.manifest.tensors), "manifest": plain(lease.manifest), "bytes": size}

    def release_read(self, lease):
        self.leases[lease].close()


def message(kind, fields):
    return json_format.ParseDict(fields, kind())


def plain(reply):
    # Presence matters here: what a reply does not carry must not show up as a default.
    return json_format.MessageToDict(reply)


def main():
    peer = Peer()
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer = {"result": getattr(peer, command["call"])(**command["with"])}
        except grpc.RpcError as error:
            answer = {"error": {"kind": "rpc", "code": error.code().name, "message": error.details()}}
        except Exception as error:
            answer = {"error": {"kind": type(error).__name__, "message": str(error)}}
        print(json.dumps(answer), flush=True)


main()
