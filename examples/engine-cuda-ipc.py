"""An inference engine whose GPU memory Weightcast serves or fills; docs/gpu.md says what goes over the socket.

    python engine-cuda-ipc.py offer SOCKET     then: weightcast seed --cuda-ipc SOCKET --model-name demo --server HOST:PORT
    python engine-cuda-ipc.py fill SOCKET      then: weightcast pull --into-cuda-ipc SOCKET --model-name demo --server HOST:PORT
"""
import ctypes
import json
import os
import socket
import sys

import torch

cuda = ctypes.CDLL(os.environ.get("WEIGHTCAST_CUDA_LIB", "libcuda.so.1"))
u64, i32, size = ctypes.c_uint64, ctypes.c_int, ctypes.c_size_t


def call(name, *arguments):
    if (code := getattr(cuda, name)(*arguments)) != 0:
        raise RuntimeError(f"{name}: CUDA error {code}")


def place(pointer):
    """The allocation, or the chunk of an expandable segment, that an address is in: (base, bytes)."""
    base, length = u64(), size()
    call("cuMemGetAddressRange_v2", ctypes.byref(base), ctypes.byref(length), u64(pointer))
    return base.value, length.value


def pci_address(ordinal):
    text = ctypes.create_string_buffer(32)
    call("cuDeviceGetPCIBusId", text, 32, i32(ordinal))
    return text.value.decode()


def descriptor(base):
    handle, fd = u64(), i32(-1)
    call("cuMemRetainAllocationHandle", ctypes.byref(handle), ctypes.c_void_p(base))
    call("cuMemExportToShareableHandle", ctypes.byref(fd), handle, 1, u64(0))  # 1: a POSIX descriptor
    call("cuMemRelease", handle)
    return fd.value


def describe(tensors):
    """The message, and the descriptors that belong to it."""
    places, starts, allocations, rows, fds = {}, {}, [], [], []
    for tensor in tensors.values():  # each allocation once; a tensor may lie in several chunks
        at, end = tensor.data_ptr(), tensor.data_ptr() + tensor.numel() * tensor.element_size()
        while at < end:
            base, length = place(at)
            places[base] = (length, tensor.device.index)
            at = base + length
    for base, (length, ordinal) in sorted(places.items()):
        handle = (ctypes.c_ubyte * 64)()
        device = pci_address(ordinal)
        if cuda.cuIpcGetMemHandle(ctypes.byref(handle), u64(base)) == 0:
            allocations.append({"kind": "legacy", "device": device, "bytes": length, "handle": bytes(handle).hex()})
            starts[base] = (len(allocations) - 1, base)
            continue
        last = allocations[-1] if allocations else {}
        index, first = starts.get(max(starts, default=0), (0, 0))
        if last.get("kind") == "vmm" and last["device"] == device and first + sum(last["chunks"]) == base:
            last["chunks"].append(length)  # the segment goes on
            starts[base] = (index, first)
        else:
            allocations.append({"kind": "vmm", "device": device, "chunks": [length]})
            starts[base] = (len(allocations) - 1, base)
        fds.append(descriptor(base))
    for name, tensor in tensors.items():
        index, first = starts[place(tensor.data_ptr())[0]]
        rows.append({"name": name, "dtype": str(tensor.dtype), "shape": list(tensor.shape), "allocation": index,
                     "bytes": tensor.numel() * tensor.element_size(), "offset": tensor.data_ptr() - first})
    return {"protocol": "weightcast-engine-1", "allocations": allocations, "tensors": rows}, fds


def lend(path, tensors):
    """Lends the tensors to whoever connects first, and gives what it says, until none of them is mapped there any more."""
    torch.cuda.synchronize()  # what wrote them has ended
    message, fds = describe(tensors)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(path)
        listener.listen(1)
        print("listening", flush=True)
        connection, _ = listener.accept()
    with connection:
        connection.sendall(json.dumps(message).encode())
        socket.send_fds(connection, [b"\n"], fds[:253])  # as many as Linux takes at once; the others come with empty lines
        for first in range(253, len(fds), 253):
            socket.send_fds(connection, [b"\n"], fds[first:first + 253])
        for fd in fds:
            os.close(fd)
        # To take the memory back while it is served: connection.shutdown(socket.SHUT_WR), and go on reading to the end.
        for line in connection.makefile():
            yield json.loads(line)


def model():
    return {f"layer.{i}.weight": torch.arange(i, i + 700 * 1001, dtype=torch.float32, device="cuda").reshape(700, 1001)
            for i in range(8)}


def main(side, path):
    lent = expected = model()
    if side == "fill":
        lent = {name: torch.empty_like(tensor) for name, tensor in expected.items()}
    last = {}
    for last in lend(path, lent):
        print(json.dumps(last), flush=True)
    if last.get("state") != "done":
        sys.exit(f"it failed: {last}")
    if not all(torch.equal(lent[name], expected[name]) for name in expected):
        sys.exit("the tensors are not what they should be")
    print("right", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
