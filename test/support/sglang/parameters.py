"""A model's parameters as an engine holds them: in segments of a caching allocator, among blocks that hold other things."""

import ctypes
import hashlib
import json
import mmap

import numpy as np
from safetensors import safe_open

# What torch's allocator has for large tensors: segments of at least 20 MiB, blocks of multiples of 512 bytes.
SEGMENT = 20 << 20
BLOCK = 512

DTYPES = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "I64": np.int64, "I32": np.int32, "U8": np.uint8, "BOOL": np.bool_}


class Tensor:
    """A numpy array with what loaders ask of a torch tensor."""

    def __init__(self, array):
        self.array = array

    def data_ptr(self):
        return self.array.ctypes.data

    def numel(self):
        return self.array.size

    def element_size(self):
        return self.array.itemsize


class Allocator:
    """Blocks one after the other in segments; it can be asked for a snapshot, as torch.cuda.memory can."""

    def __init__(self):
        self.segments = []

    def allocate(self, size):
        taken = -(-size // BLOCK) * BLOCK
        if not self.segments or self.segments[-1]["free"] < taken:
            memory = mmap.mmap(-1, max(SEGMENT, taken))
            start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
            self.segments.append({"memory": memory, "start": start, "free": len(memory), "blocks": []})
        segment = self.segments[-1]
        at = len(segment["memory"]) - segment["free"]
        segment["free"] -= taken
        segment["blocks"].append({"address": segment["start"] + at, "size": taken, "state": "active_allocated"})
        return segment["memory"], at

    def release(self, memory, at):
        for segment in self.segments:
            for block in segment["blocks"]:
                if segment["memory"] is memory and block["address"] == segment["start"] + at:
                    block["state"] = "inactive"

    def snapshot(self):
        return [{"address": s["start"], "total_size": len(s["memory"]), "blocks": s["blocks"]} for s in self.segments]


class Model:
    """Parameters of the architecture of a checkpoint: its names, dtypes and shapes, with bytes that mean nothing yet."""

    def __init__(self, path):
        self.allocator = Allocator()
        self.parameters = {}
        with safe_open(path, "np") as file:
            for index, name in enumerate(file.keys()):
                entry = file.get_slice(name)
                dtype = np.dtype(DTYPES[entry.get_dtype()])
                shape = entry.get_shape()
                count = int(np.prod(shape))
                memory, at = self.allocator.allocate(count * dtype.itemsize)
                array = np.frombuffer(memory, dtype, count, at).reshape(shape)
                array.view(np.uint8)[...] = 0xA5
                self.parameters[name] = Tensor(array)
                # Engines hold more than weights; runs of weights end there.
                if index % 40 == 17:
                    self.allocator.allocate(4096)
                elif index % 40 == 37:
                    self.allocator.release(*self.allocator.allocate(8192))

    def named_parameters(self):
        return self.parameters.items()

    def load(self, path):
        """From the checkpoint, as the first instance does."""
        with safe_open(path, "np") as file:
            for name, tensor in self.named_parameters():
                tensor.array[...] = file.get_tensor(name)

    def arrays(self):
        return {name: tensor.array for name, tensor in self.named_parameters()}


def sha256s(arrays):
    return {name: hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest() for name, array in arrays.items()}


def arrays_of(path, like):
    """What a file holds, as the dtypes and shapes of another: who pulls from a peer that tells neither may write flat bytes."""
    with safe_open(path, "np") as file, safe_open(like, "np") as known:
        return {
            name: file.get_tensor(name).view(DTYPES[known.get_slice(name).get_dtype()]).reshape(known.get_slice(name).get_shape())
            for name in file.keys()
        }


def config_of(folder):
    with open(f"{folder}/config.json") as file:
        return json.load(file)
