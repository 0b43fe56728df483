"""The reference implementation of safetensors, for comparison. One JSON document on standard output.

describe FILE...  name -> [dtype, shape, SHA-256 of the bytes] of every tensor of every file
write DIR         numpy.safetensors, a file of every numpy dtype, and its description
verdict DIR       file name -> null if the reference opens it, else its error, for every file in DIR
"""

import hashlib
import json
import os
import sys

import numpy as np
from safetensors import deserialize, safe_open
from safetensors.numpy import save_file


def describe(path):
    with open(path, "rb") as file:
        tensors = deserialize(file.read())
    return {name: [t["dtype"], list(t["shape"]), hashlib.sha256(t["data"]).hexdigest()] for name, t in tensors}


def write(directory):
    random = np.random.default_rng(7)
    kinds = "bool uint8 int8 uint16 int16 float16 uint32 int32 float32 complex64 uint64 int64 float64".split()
    tensors = {}
    for index, kind in enumerate(kinds):
        shape = (index, 3)
        raw = random.integers(0, 2, (shape[0], shape[1] * np.dtype(kind).itemsize), dtype=np.uint8)
        tensors[f"{kind}.weight"] = raw.view(kind).reshape(shape)
    tensors["scalar"] = np.array(2.5)
    tensors["__proto__"] = np.arange(5, dtype=np.int32)
    tensors['quoted "\\ \n 重み'] = np.zeros((0, 4), dtype=np.float16)
    path = os.path.join(directory, "numpy.safetensors")
    save_file(tensors, path, metadata={"format": "np", "note": "é"})
    return describe(path)


def verdict(path):
    try:
        with safe_open(path, "numpy"):
            return None
    except Exception as error:  # Which class it is differs between versions.
        return str(error) or type(error).__name__


def main(action, *arguments):
    if action == "describe":
        return {path: describe(path) for path in arguments}
    if action == "write":
        return write(arguments[0])
    return {name: verdict(os.path.join(arguments[0], name)) for name in os.listdir(arguments[0])}


json.dump(main(*sys.argv[1:]), sys.stdout)
