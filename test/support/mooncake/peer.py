"""A real Mooncake TransferEngine as a process: one JSON command a line on stdin, one JSON answer a line on stdout.

The wheel is used as it was installed; which release it is, is PYTHONPATH's business. Memory holds bytes that follow from a
name (SHAKE128), so that both sides know what must arrive without telling each other.
"""

import ctypes
import hashlib
import json
import mmap
import os
import sys
import time

# glog and prints of the engine go to stderr; stdout is for answers.
answers = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)

from mooncake.engine import TransferEngine

PAGE = mmap.PAGESIZE

# Looked at at once by `number` and `misnumbered`: 8 MiB.
WORDS = 2**20

memcmp = ctypes.CDLL(None).memcmp
memcmp.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]


class Peer:
    def __init__(self):
        self.engine = None
        self.memory = None
        self.length = 0
        self.start = 0
        self.tensors = {}

    def initialize(self, host, protocol="rdma", device=""):
        self.engine = TransferEngine()
        result = self.engine.initialize(host, "P2PHANDSHAKE", protocol, device)
        assert result == 0, f"initialize returned {result}"
        return f"{host}:{self.engine.get_rpc_port()}"

    def allocate(self, tensors, align=64, filled=None):
        """Tensors, [name, bytes] each, one after the other in one mapping. `filled` names what the bytes follow from."""
        offsets, end = [], 0
        for _, size in tensors:
            end = -(-end // align) * align
            offsets.append(end)
            end += size
        self.length = -(-end // PAGE) * PAGE
        self.memory = mmap.mmap(-1, self.length)
        self.start = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        self.tensors = {name: (self.start + at, size) for (name, size), at in zip(tensors, offsets)}
        if filled is not None:
            self.memory[:] = pattern(filled, self.length)
        return {name: [str(address), size] for name, (address, size) in self.tensors.items()}

    def register(self, merged=True):
        """The whole mapping at once, as SGLang merges, or each tensor for itself, as ModelExpress does. Regions registered."""
        if merged:
            ranges = [(self.start, self.length)]
        else:
            ranges = list(self.tensors.values())
        for address, size in ranges:
            result = self.engine.register_memory(address, size)
            assert result == 0, f"register_memory({address:#x}, {size}) returned {result}"
        self.ranges = ranges
        return len(ranges)

    def unregister(self):
        for address, _ in self.ranges:
            result = self.engine.unregister_memory(address)
            assert result == 0, f"unregister_memory({address:#x}) returned {result}"

    def fill(self, name):
        self.memory[:] = pattern(name, self.length)

    def clear(self):
        ctypes.memset(self.start, 0, self.length)

    def read(self, session, addresses):
        """Reads each named tensor from its address, a decimal string, in one batch, as SGLang's loader does."""
        local = [self.tensors[name][0] for name in addresses]
        lengths = [self.tensors[name][1] for name in addresses]
        began, cpu = time.perf_counter(), time.process_time()
        result = self.engine.batch_transfer_sync_read(session, local, [int(at) for at in addresses.values()], lengths)
        return {
            "result": result,
            "seconds": time.perf_counter() - began,
            "cpuSeconds": time.process_time() - cpu,
            "bytes": sum(lengths),
        }

    def differing(self, sources, filled):
        """Names of tensors whose bytes are not those at [offset, ...] of what follows from `filled`."""
        expected = pattern(filled, max(offset + self.tensors[name][1] for name, offset in sources.items()))
        # In place: copies of all of it would take longer than reading it did.
        start = ctypes.cast(ctypes.c_char_p(expected), ctypes.c_void_p).value
        wrong = []
        for name, offset in sources.items():
            address, size = self.tensors[name]
            if memcmp(address, start + offset, size) != 0:
                wrong.append(name)
        return wrong

    def number(self):
        """Fills the memory with 64-bit words that count from 0: large ones are made and checked in no time."""
        import numpy

        words = numpy.frombuffer(self.memory, numpy.uint64)
        for start in range(0, len(words), WORDS):
            words[start : start + WORDS] = numpy.arange(start, min(start + WORDS, len(words)), dtype=numpy.uint64)

    def misnumbered(self, sources):
        """Names of tensors whose words are not those from byte [offset, ...] on of memory that `number` filled."""
        import numpy

        wrong = []
        for name, offset in sources.items():
            address, size = self.tensors[name]
            words = numpy.frombuffer((ctypes.c_char * size).from_address(address), numpy.uint64)
            for start in range(0, len(words), WORDS):
                part = words[start : start + WORDS]
                first = offset // 8 + start
                if not numpy.array_equal(part, numpy.arange(first, first + len(part), dtype=numpy.uint64)):
                    wrong.append(name)
                    break
        return wrong

    def usage(self):
        """What a leak would show in."""
        with open("/proc/self/status") as status:
            fields = dict(line.split(":", 1) for line in status)
        return {
            "threads": int(fields["Threads"]),
            "files": len(os.listdir("/proc/self/fd")),
            "rssKiB": int(fields["VmRSS"].split()[0]),
            "cpuSeconds": time.process_time(),
        }


_patterns = {}


def pattern(name, size):
    """SHAKE128 of the name, the last one kept: it is compared with again and again."""
    kept = _patterns.get(name)
    if kept is None or len(kept) < size:
        _patterns.clear()
        _patterns[name] = kept = hashlib.shake_128(name.encode()).digest(size)
    return kept[:size] if len(kept) > size else kept


def main():
    peer = Peer()
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer = {"result": getattr(peer, command["call"])(**command["with"])}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)
    # The engine's threads may hold the interpreter's end up for seconds; nothing of it is wanted any more.
    os._exit(0)


main()
