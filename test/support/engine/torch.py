"""A test double of torch, for examples/engine-cuda-ipc.py on machines without a GPU: tensors in memory of the stand-in for NVIDIA's
driver (test/standin). FAKE_TORCH_VMM=1 lays them out as expandable segments do: one reservation, chunks of 2 MiB."""
import array
import ctypes
import os

_cuda = ctypes.CDLL(os.environ["WEIGHTCAST_CUDA_LIB"])
_u64, _i32 = ctypes.c_uint64, ctypes.c_int
_chunk = 2 << 20
float32 = "torch.float32"


def _call(name, *arguments):
    code = getattr(_cuda, name)(*arguments)
    assert code == 0, f"{name}: {code}"


_context, _stream = ctypes.c_void_p(), ctypes.c_void_p()
_call("cuInit", 0)
_call("cuDevicePrimaryCtxRetain", ctypes.byref(_context), 0)
_call("cuCtxPushCurrent_v2", _context)
_call("cuStreamCreate", ctypes.byref(_stream), 1)


class _Properties(ctypes.Structure):
    _fields_ = [("type", _i32), ("handles", _i32), ("where", _i32), ("ordinal", _i32), ("rest", _u64 * 2)]


class _Access(ctypes.Structure):
    _fields_ = [("where", _i32), ("ordinal", _i32), ("flags", _i32)]


class _Arena:
    """One segment, handed out in multiples of 512 bytes."""

    def __init__(self, size):
        self.base, self.used, self.size = _u64(), 512, size
        if os.environ.get("FAKE_TORCH_VMM") != "1":
            _call("cuMemAlloc_v2", ctypes.byref(self.base), ctypes.c_size_t(size))
            return
        _call("cuMemAddressReserve", ctypes.byref(self.base), ctypes.c_size_t(size), ctypes.c_size_t(0), _u64(0), _u64(0))
        properties = _Properties(type=1, handles=1, where=1, ordinal=0)
        for offset in range(0, size, _chunk):
            handle = _u64()
            _call("cuMemCreate", ctypes.byref(handle), ctypes.c_size_t(_chunk), ctypes.byref(properties), _u64(0))
            _call("cuMemMap", _u64(self.base.value + offset), ctypes.c_size_t(_chunk), ctypes.c_size_t(0), handle, _u64(0))
            _call("cuMemRelease", handle)
        access = _Access(where=1, ordinal=0, flags=3)
        _call("cuMemSetAccess", self.base, ctypes.c_size_t(size), ctypes.byref(access), ctypes.c_size_t(1))

    def take(self, size):
        start = self.base.value + self.used
        self.used += -(-size // 512) * 512
        assert self.used <= self.size
        return start


_arena = _Arena(64 << 20)


class _Device:
    index = 0


class Tensor:
    dtype, device = float32, _Device

    def __init__(self, shape):
        self.shape = shape
        self._pointer = _arena.take(self.numel() * 4)

    def data_ptr(self):
        return self._pointer

    def numel(self):
        count = 1
        for size in self.shape:
            count *= size
        return count

    def element_size(self):
        return 4

    def reshape(self, *shape):
        self.shape = shape
        return self


def arange(first, end, dtype, device):
    assert dtype == float32 and device == "cuda"
    tensor = Tensor((end - first,))
    values = array.array("f", range(first, end)).tobytes()
    _call("cuMemcpyHtoDAsync_v2", _u64(tensor.data_ptr()), values, ctypes.c_size_t(len(values)), _stream)
    _call("cuStreamSynchronize", _stream)
    return tensor


def empty_like(tensor):
    return Tensor(tensor.shape)


def _bytes(tensor):
    values = ctypes.create_string_buffer(tensor.numel() * 4)
    _call("cuMemcpyDtoHAsync_v2", values, _u64(tensor.data_ptr()), ctypes.c_size_t(len(values)), _stream)
    _call("cuStreamSynchronize", _stream)
    return values.raw


def equal(one, other):
    return tuple(one.shape) == tuple(other.shape) and _bytes(one) == _bytes(other)


class cuda:
    @staticmethod
    def synchronize():
        _call("cuStreamSynchronize", _stream)
