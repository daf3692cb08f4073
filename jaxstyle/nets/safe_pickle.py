"""Read arrays out of other people's checkpoints without running what is inside them.

``torch.save`` files (the zip format and the older stream of pickles) and plain pickles of numpy arrays are
both pickles: loading one with :mod:`pickle` may call any function of the machine. Here the unpickler admits
nothing but plain containers and stand-ins that record shape, type and bytes; the arrays are built from those
records afterwards, with every size checked. No torch and no numpy function
that a pickle names is called.
"""

import collections
import io
import math
import pickle
import zipfile
from dataclasses import dataclass, field
from typing import Any

import numpy as np

_TORCH_MAGIC = 0x1950A86A20F9469CFC6C  # first pickle of a torch.save stream (torch/serialization.py, MAGIC_NUMBER)
_TORCH_STORAGES = {
    "FloatStorage": np.dtype("<f4"),
    "HalfStorage": np.dtype("<f2"),
    "DoubleStorage": np.dtype("<f8"),
    "LongStorage": np.dtype("<i8"),
}
_NUMPY_TYPES = ("f2", "f4", "f8", "i4", "i8")


class CheckpointError(ValueError):
    """The file is not a checkpoint that can be read safely; the message is one line and names the file."""


@dataclass(frozen=True)
class _Storage:
    key: str
    dtype: np.dtype
    size: int


@dataclass(frozen=True)
class _Tensor:
    """What a pickled torch tensor says about itself; offset and stride count elements of the storage."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    def array(self, storages: dict[str, bytes]) -> np.ndarray:
        numbers = (self.offset, *self.shape, *self.stride)
        if len(self.shape) != len(self.stride) or not all(type(n) is int and n >= 0 for n in numbers):
            raise ValueError("a tensor has a malformed shape")
        flat = np.frombuffer(storages[self.storage.key], self.storage.dtype)
        last = self.offset + sum((n - 1) * step for n, step in zip(self.shape, self.stride, strict=True))
        if math.prod(self.shape) > flat.size or (0 not in self.shape and last >= flat.size):
            raise ValueError(f"a tensor of shape {self.shape} reaches beyond its {flat.size} stored values")
        strides = [step * flat.itemsize for step in self.stride]
        return np.lib.stride_tricks.as_strided(flat[self.offset :], self.shape, strides).copy()


@dataclass
class _NumpyDtype:
    """Stand-in for ``numpy.dtype``: remembers the type code and its byte order."""

    code: str
    align: bool = False
    copy: bool = False
    order: str = "<"

    def __setstate__(self, state: tuple) -> None:
        self.order = {"<": "<", "|": "<", ">": ">"}[state[1]]

    def dtype(self) -> np.dtype:
        if self.code not in _NUMPY_TYPES:
            raise ValueError(f"an array has type {self.code!r}; accepted are {', '.join(_NUMPY_TYPES)}")
        return np.dtype(self.order + self.code)


@dataclass
class _NumpyArray:
    """Stand-in for ``numpy.ndarray``: remembers (version, shape, dtype, column-major, bytes)."""

    state: tuple = field(default=())

    def __setstate__(self, state: tuple) -> None:
        self.state = state

    def array(self) -> np.ndarray:
        _, shape, dtype, column_major, raw = self.state
        if not isinstance(dtype, _NumpyDtype) or not isinstance(raw, bytes):
            raise ValueError("an array does not hold plain numbers")
        flat = np.frombuffer(raw, dtype.dtype())
        return flat.reshape(shape, order="F" if column_major else "C").copy()


def _reconstruct(_cls: object, _shape: object, _code: object) -> _NumpyArray:
    return _NumpyArray()


def _rebuild_tensor(storage: _Storage, offset: int, shape: tuple, stride: tuple, *_: object) -> _Tensor:
    if not isinstance(storage, _Storage):
        raise ValueError("a tensor has no storage")
    return _Tensor(storage, offset, tuple(shape), tuple(stride))


def _rebuild_parameter(data: object, *_: object) -> object:
    return data


_ADMITTED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    **{("torch", name): dtype for name, dtype in _TORCH_STORAGES.items()},
    ("numpy", "ndarray"): _NumpyArray,
    ("numpy", "dtype"): _NumpyDtype,
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
}


class _Unpickler(pickle.Unpickler):
    """Resolves the globals of ``_ADMITTED`` and no others."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ADMITTED[module, name]
        except KeyError:
            raise CheckpointError(f"it names {module}.{name}, which arrays do not need") from None

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _location, size = pid[:5]
        if kind != "storage" or not isinstance(dtype, np.dtype) or (len(pid) > 5 and pid[5] is not None):
            raise ValueError("it refers to something other than a tensor storage")
        return _Storage(str(key), dtype, int(size))


def _unpickle(stream: io.BytesIO) -> Any:
    return _Unpickler(stream, encoding="utf-8").load()


def _read_zip(data: bytes) -> tuple[Any, dict[str, bytes]]:
    """The zip format of ``torch.save``: NAME/data.pkl and one file NAME/data/KEY for each storage."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = {entry.filename.partition("/")[2]: entry for entry in archive.infolist()}
        if "data.pkl" not in entries:
            raise ValueError("it is a zip file without data.pkl")
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries.values()):
            raise ValueError("it is compressed; torch.save stores its files uncompressed")
        if "byteorder" in entries and archive.read(entries["byteorder"]) != b"little":
            raise ValueError("it holds big-endian tensors")
        root = _unpickle(io.BytesIO(archive.read(entries["data.pkl"])))
        prefix = "data/"
        return root, {
            name.removeprefix(prefix): archive.read(entry) for name, entry in entries.items() if name.startswith(prefix)
        }


def _read_stream(data: bytes) -> tuple[Any, dict[str, bytes]]:
    """A plain pickle, or the older ``torch.save``: magic, version, system, object, keys, raw storages."""
    stream = io.BytesIO(data)
    root = _unpickle(stream)
    if root != _TORCH_MAGIC:
        return root, {}
    _version, system, root, keys = (_unpickle(stream) for _ in range(4))
    if not system.get("little_endian", True):
        raise ValueError("it holds big-endian tensors")
    sizes = {tensor.storage.key: tensor.storage for tensor in _tensors(root)}
    storages = {}
    for key in keys:
        count = int.from_bytes(stream.read(8), "little")
        storage = sizes.get(key)
        if storage is None or count != storage.size:
            raise ValueError(f"storage {key} has {count} values, which is not what its tensor says")
        storages[key] = stream.read(count * storage.dtype.itemsize)
    return root, storages


def _tensors(tree: Any) -> list[_Tensor]:
    if isinstance(tree, dict):
        return [tensor for value in tree.values() for tensor in _tensors(value)]
    return [tree] if isinstance(tree, _Tensor) else []


def _build(tree: Any, storages: dict[str, bytes]) -> Any:
    """Replaces the stand-ins of a tree of dicts by arrays; everything else that is not a dict is left out."""
    built = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            built[str(key)] = _build(value, storages)
        elif isinstance(value, _Tensor):
            built[str(key)] = value.array(storages)
        elif isinstance(value, _NumpyArray):
            built[str(key)] = value.array()
    return built


def read_arrays(data: bytes, name: str) -> dict[str, Any]:
    """Reads a checkpoint as a tree of dicts with numpy arrays at the leaves.

    Args:
      data: the whole file: a ``torch.save`` file of either format, or a pickle of dicts of numpy arrays.
      name: what to call it in messages, usually its path.

    Returns:
      Nested dicts; leaves that are not arrays are left out.

    Raises:
      CheckpointError: the file is cut short or of another format, or it names anything that arrays do not
        need (such a file is refused before a single object of it is used).
    """
    try:
        root, storages = _read_zip(data) if data[:4] == b"PK\x03\x04" else _read_stream(data)
        if not isinstance(root, dict):
            raise ValueError(f"it holds a {type(root).__name__}; expected a dict of arrays")
        return _build(root, storages)
    except CheckpointError as error:
        raise CheckpointError(f"{name}: refused, {error}") from None
    except Exception as error:  # a hostile or broken pickle may fail in any way: all of them are the file's fault
        reason = " ".join(str(error).split()) or type(error).__name__
        raise CheckpointError(f"{name}: not a readable checkpoint: {reason}") from None
