import io
import os
import pickle
import struct
import zipfile
from collections import OrderedDict

import numpy as np
import pytest

from jaxstyle.nets.safe_pickle import CheckpointError, read_arrays

TREE = {
    "net": {"kernel": np.arange(24, dtype=np.float32).reshape(2, 3, 4), "bias": np.array([0.5, -1.0])},
    "columns": np.asfortranarray(np.arange(6, dtype=np.float16).reshape(2, 3)),
    "big_endian": np.array([1, 2, 3], ">i4"),
}


class Call:
    """Pickles as a call of ``function(*arguments)`` at loading time."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def torch_zip(pickled: bytes, compression: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/data/0", np.arange(6, dtype="<f4").tobytes())
    return stream.getvalue()


def torch_stream(pickled: bytes) -> bytes:
    head = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}]
    return b"".join(pickle.dumps(value, protocol=2) for value in head) + pickled


def error_of(data: bytes) -> str:
    with pytest.raises(CheckpointError) as caught:
        read_arrays(data, "file.pth")
    message = str(caught.value)
    assert message.startswith("file.pth: ") and "\n" not in message
    return message


@pytest.mark.parametrize("protocol", [3, 4])
def test_numpy_pickle(protocol):
    read = read_arrays(pickle.dumps(TREE, protocol=protocol), "file")
    assert read.keys() == TREE.keys()
    for found, expected in [
        (read["net"]["kernel"], TREE["net"]["kernel"]),
        (read["net"]["bias"], TREE["net"]["bias"]),
        (read["columns"], TREE["columns"]),
        (read["big_endian"], TREE["big_endian"]),
    ]:
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)


@pytest.mark.torch
@pytest.mark.parametrize("zipped", [True, False])
def test_torch_file_of_either_format(tmp_path, zipped):
    torch = pytest.importorskip("torch")
    base = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4)
    state = OrderedDict(
        plain=base,
        view=base[1:, ::2].transpose(1, 2),  # shares the storage, with offset and strides
        parameter=torch.nn.Parameter(torch.tensor([1.0, 2.0])),
        half=torch.tensor([0.5], dtype=torch.float16),
        count=torch.tensor(3),
        empty=torch.zeros(0, 4),
    )
    state._metadata = OrderedDict(version=1)  # as Module.state_dict has it
    torch.save(state, tmp_path / "x.pth", _use_new_zipfile_serialization=zipped)
    read = read_arrays((tmp_path / "x.pth").read_bytes(), "x.pth")
    assert read.keys() == state.keys()
    for name, tensor in state.items():
        np.testing.assert_array_equal(read[name], tensor.detach().numpy())
        assert read[name].shape == tuple(tensor.shape)


@pytest.mark.parametrize("wrap", [bytes, torch_zip, torch_stream], ids=["pickle", "zip", "stream"])
@pytest.mark.parametrize(
    ("function", "arguments", "named"),
    [
        (os.system, ("touch {}",), "system"),
        (eval, ("open({!r}, 'w')",), "eval"),
        (getattr, (np, "savetxt"), "getattr"),
        (np.load, ("{}",), "numpy"),
        (np.frombuffer, (b"abcd",), "frombuffer"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_pickle_that_calls_something_is_refused_by_name(tmp_path, wrap, function, arguments, named):
    mark = tmp_path / "mark"
    arguments = tuple(a.format(str(mark)) if isinstance(a, str) else a for a in arguments)
    if function is getattr:
        arguments = ("a string", "join")
    message = error_of(wrap(pickle.dumps({"features.0.weight": Call(function, *arguments)}, protocol=2)))
    assert "refused, it names" in message and named in message
    assert not mark.exists()


def test_dotted_name_does_not_reach_through_an_admitted_module():
    def text(value):
        return b"\x8c" + bytes([len(value)]) + value.encode()

    for module, name in [
        ("numpy", "ndarray.tofile"),
        ("collections", "abc.sys.exit"),
        ("torch._utils", "os"),
    ]:
        data = b"\x80\x04" + text(module) + text(name) + b"\x93)R."
        assert f"it names {module}.{name}" in error_of(data)


def tensor_pickle(offset: int, shape: tuple, stride: tuple, key: str = "0") -> bytes:
    """{'w': tensor over float storage ``key`` of 6 values} as torch pickles it, protocol 0, by hand."""
    shape_text, stride_text = ("(" + "".join(f"I{n}\n" for n in numbers) + "t" for numbers in (shape, stride))
    storage = f"(Vstorage\nctorch\nFloatStorage\nV{key}\nVcpu\nI6\ntQ"
    arguments = f"({storage}I{offset}\n{shape_text}{stride_text}I00\nNt"
    return f"(dVw\nctorch._utils\n_rebuild_tensor_v2\n{arguments}Rs.".encode()


def test_tensor_reads_its_own_values():
    read = read_arrays(torch_zip(tensor_pickle(1, (2, 2), (3, 1))), "x")["w"]
    np.testing.assert_array_equal(read, np.array([[1, 2], [4, 5]], np.float32))


@pytest.mark.parametrize(
    ("offset", "shape", "stride"),
    [
        (0, (7,), (1,)),
        (3, (4,), (1,)),
        (0, (2, 2), (5, 1)),
        (-1, (2,), (1,)),
        (5, (2,), (-1,)),
        (0, (1 << 40,), (0,)),
        (0, (2, 2), (1,)),
    ],
)
def test_tensor_beyond_its_storage_is_refused(offset, shape, stride):
    assert "tensor" in error_of(torch_zip(tensor_pickle(offset, shape, stride)))


def test_tensor_without_storage_and_compressed_zip_are_refused():
    assert "not a readable checkpoint" in error_of(torch_zip(tensor_pickle(0, (1,), (1,), key="9")))
    bomb = torch_zip(tensor_pickle(0, (1,), (1,)), zipfile.ZIP_DEFLATED)
    assert "compressed" in error_of(bomb)


def test_object_array_is_refused():
    message = error_of(pickle.dumps({"a": np.array([[1], "x"], dtype=object)}, protocol=3))
    assert "plain numbers" in message


def test_truncated_files_are_refused():
    whole = pickle.dumps(TREE, protocol=3)
    for data in (b"", whole[:10], whole[: len(whole) // 2], whole[:-1]):
        assert "not a readable checkpoint" in error_of(data)
    zipped = torch_zip(tensor_pickle(0, (6,), (1,)))
    assert "not a readable checkpoint" in error_of(zipped[: len(zipped) // 2])
    keys = pickle.dumps(["0"], protocol=2)
    stream = torch_stream(tensor_pickle(0, (6,), (1,))) + keys + struct.pack("<q", 6)
    values = np.arange(6, dtype="<f4").tobytes()
    np.testing.assert_array_equal(read_arrays(stream + values, "x")["w"], np.arange(6))
    assert "not a readable checkpoint" in error_of(stream + values[:-1])
    assert "not a readable checkpoint" in error_of(stream + values[:8])


def test_other_contents_are_refused():
    assert "not a readable checkpoint" in error_of(b"<html>not found</html>")
    assert "holds a list" in error_of(pickle.dumps([1, 2], protocol=2))
    loop = {}
    loop["again"] = loop
    assert "recursion" in error_of(pickle.dumps(loop, protocol=2))
