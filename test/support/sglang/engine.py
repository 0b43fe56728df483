"""
An SGLang rank that loads its weights from another instance, or serves them: the calls of SGLang's loader in their order, on CPU
memory, with Mooncake's TransferEngine as it was installed. One JSON command a line on stdin, one JSON answer a line on stdout.
"""

import json
import logging
import os
import sys

# Sums must not depend on how many threads shared them.
os.environ["OPENBLAS_NUM_THREADS"] = "1"
# Logs of the engine and of Python go to stderr; stdout is for answers.
answers = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)
logging.basicConfig(stream=sys.stderr, level=logging.INFO)

from mooncake.engine import TransferEngine

import bert
import instance
from parameters import Model, arrays_of, config_of, sha256s

WEIGHTS = "model.safetensors"


class Rank:
    def __init__(self):
        self.engine = None
        self.session_id = ""
        self.model = None
        self.weight_info = None
        self.public = None

    def initialize(self, host, protocol="rdma", device=""):
        self.engine = TransferEngine()
        result = self.engine.initialize(host, "P2PHANDSHAKE", protocol, device)
        assert result == 0, f"initialize returned {result}"
        self.session_id = f"{host}:{self.engine.get_rpc_port()}"
        return self.session_id

    def build(self, folder):
        """The model as its configuration says, without weights."""
        self.model = Model(f"{folder}/{WEIGHTS}")
        return len(self.model.parameters)

    def load_from_checkpoint(self, folder):
        self.model.load(f"{folder}/{WEIGHTS}")

    def register(self):
        """SGLang's register_memory_region_v2: neighbouring blocks with weights are one region. How many regions."""
        self.weight_info = {
            name: (tensor.data_ptr(), tensor.numel(), tensor.element_size())
            for name, tensor in self.model.named_parameters()
        }
        starts = {address for address, _, _ in self.weight_info.values()}
        runs = []
        for segment in self.model.allocator.snapshot():
            run = None
            for block in segment["blocks"]:
                if block["state"] != "active_allocated" or block["address"] not in starts:
                    continue
                if run is not None and run[0] + run[1] == block["address"]:
                    run[1] += block["size"]
                else:
                    run = [block["address"], block["size"]]
                    runs.append(run)
        for address, size in runs:
            result = self.engine.register_memory(address, size)
            assert result == 0, f"register_memory({address:#x}, {size}) returned {result}"
        return len(runs)

    def load_from_instance(self, url, rank):
        """SGLang's load_model_from_remote_instance_by_transfer_engine. Tensors read."""
        answer = instance.get_json(f"{url}/get_remote_instance_transfer_engine_info?rank={rank}")
        session_id, seed_info = answer["remote_instance_transfer_engine_info"]
        seed, client, lengths = [], [], []
        for name, tensor in self.model.named_parameters():
            info = seed_info.get(name)
            if info is None:
                raise RuntimeError(f"cannot find weight info for {name}")
            address, numel, element_size = info
            if numel != tensor.numel() or element_size != tensor.element_size():
                raise RuntimeError(f"weight info of {name} is {info}, expected {tensor.numel()} x {tensor.element_size()}")
            seed.append(address)
            client.append(tensor.data_ptr())
            lengths.append(tensor.numel() * tensor.element_size())
        result = self.engine.batch_transfer_sync_read(session_id, client, seed, lengths)
        if result < 0:
            raise RuntimeError(f"batch_transfer_sync_read returned {result}")
        return len(lengths)

    def serve(self):
        """Starts the two HTTP servers of an instance; their URLs."""
        bootstrap = instance.Bootstrap()
        url = f"http://127.0.0.1:{bootstrap.server_port}"
        self.public = instance.Public(url)
        return {"bootstrap": url, "public": f"http://127.0.0.1:{self.public.server_port}"}

    def publish(self, bootstrap, rank):
        """What every rank does when its weights are registered. Status and text."""
        info = {"session_id": self.session_id, "weights_info_dict": self.weight_info}
        return instance.put_json(f"{bootstrap}/register_transfer_engine_info", {"tp_rank": rank, "transfer_engine_info": info})

    def load_through_modelexpress(self, folder, server, identity, rank, worker_id):
        """Whether the weights came from the checkpoint."""
        # Its imports are the ModelExpress package's; who has none does not need them.
        import modelexpress_loader

        checkpoint = f"{folder}/{WEIGHTS}"
        return modelexpress_loader.load(
            self.model, checkpoint, self.engine, self.session_id, server, identity, rank, worker_id
        )

    def sha256s(self):
        return sha256s(self.model.arrays())

    def embedding(self, folder, tokens):
        return embedding(self.model.arrays(), folder, tokens)

    def sha256s_of(self, weights, folder):
        return sha256s(arrays_of(weights, f"{folder}/{WEIGHTS}"))

    def embedding_of(self, weights, folder, tokens):
        return embedding(arrays_of(weights, f"{folder}/{WEIGHTS}"), folder, tokens)


def embedding(weights, folder, tokens):
    """As hexadecimal bytes: equal or not, nothing in between."""
    return bert.embed(weights, tokens, config_of(folder)["num_attention_heads"]).tobytes().hex()


def main():
    rank = Rank()
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer = {"result": getattr(rank, command["call"])(**command["with"])}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)
    # The engine's threads may hold the interpreter's end up for seconds; nothing of it is wanted any more.
    os._exit(0)


main()
