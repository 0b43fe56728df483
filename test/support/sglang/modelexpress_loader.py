"""ModelExpress' own SGLang loader, run as it was installed: what it imports of engines is absent, what it asks of them is ours."""

import importlib.abc
import importlib.machinery
import sys
from types import ModuleType, SimpleNamespace
from unittest.mock import MagicMock

ABSENT = ("torch", "sglang", "huggingface_hub")


class Absent(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Modules of packages that are not installed; any name can be imported from them."""

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ABSENT:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        module = AbsentModule(spec.name)
        module.__path__ = []
        return module

    def exec_module(self, module):
        pass


class AbsentModule(ModuleType):
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        # A class, since some are inherited from.
        value = type(name, (MagicMock,), {}) if name[:1].isupper() else MagicMock()
        setattr(self, name, value)
        return value


sys.meta_path.append(Absent())

from google.protobuf import json_format
from modelexpress import p2p_pb2
from modelexpress.client import MxClient
from modelexpress.engines.sglang import loader as sglang_loader


class Adapter:
    """What the loader asks of the engine about the model."""

    def __init__(self, model, checkpoint):
        self.model = model
        self.checkpoint = checkpoint
        self.loaded_natively = False

    def load_via_native(self, result):
        self.model.load(self.checkpoint)
        self.loaded_natively = True
        return result

    def discover_tensors(self, result):
        return dict(self.model.named_parameters())

    def before_rdma_receive(self, result):
        return result

    def after_rdma_receive(self, result):
        return result

    def reinit_for_retry(self, result):
        return result


def load(model, checkpoint, engine, session_id, server, identity, rank, worker_id):
    """
    From another instance where the server knows one, else from the checkpoint; then it is a source itself. Whether it
    came from the checkpoint.
    """
    adapter = Adapter(model, checkpoint)
    context = SimpleNamespace(
        adapter=adapter,
        identity=json_format.ParseDict(identity, p2p_pb2.SourceIdentity()),
        mx_client=MxClient(server),
        global_rank=rank,
        worker_rank=rank,
        worker_id=worker_id,
        device_id=0,
        accelerator_backend=SimpleNamespace(name="cpu"),
    )
    sglang_loader.build_sglang_load_context = lambda *_: context
    config = SimpleNamespace(
        modelexpress_transport="transfer_engine",
        remote_instance_weight_loader_transfer_engine=engine,
        remote_instance_weight_loader_transfer_engine_session_id=session_id,
    )
    model.eval = lambda: model
    loader = sglang_loader.MxModelLoader(config)
    loader.load_model(model=model, model_config=None, device_config=None)
    return adapter.loaded_natively
