import json
import os
import struct

import numpy as np
import pytest
import safetensors.numpy

from jaxstyle import weights
from jaxstyle.weights import WeightsError

ARRAYS = {
    "b.kernel": np.arange(12, dtype=np.float16).reshape(3, 4),
    "a.bias": np.array([1.5, -2.0], np.float32),
    "count": np.array(7, np.int32),
}


@pytest.fixture
def file(tmp_path):
    weights.save(tmp_path / "toy.safetensors", ARRAYS, {"kind": "toy", "licence": "CC0-1.0"})
    return tmp_path / "toy.safetensors"


def test_load_returns_what_was_saved(file):
    loaded = weights.load(file, kind="toy")
    assert loaded.name == "toy" and loaded.path == file
    assert loaded.arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert loaded.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(loaded.arrays[name], array)
    expected = {"format": "jaxstyle", "version": "1", "kind": "toy", "licence": "CC0-1.0"}
    assert loaded.metadata == expected | {"sha256": weights.digest(ARRAYS)}


def test_any_safetensors_reader_opens_the_file(file):
    arrays = safetensors.numpy.load_file(file)
    np.testing.assert_array_equal(arrays["b.kernel"], ARRAYS["b.kernel"])


def test_same_content_gives_the_same_bytes_in_any_order(file, tmp_path):
    other = tmp_path / "other.safetensors"
    backwards = dict(reversed(ARRAYS.items()))
    weights.save(other, backwards, {"licence": "CC0-1.0", "kind": "toy"})
    assert other.read_bytes() == file.read_bytes()
    header = file.read_bytes()[8 : 8 + struct.unpack("<Q", file.read_bytes()[:8])[0]]
    assert list(json.loads(header)["__metadata__"]) == sorted(json.loads(header)["__metadata__"])


def test_save_does_not_depend_on_memory_layout(file, tmp_path):
    columns = ARRAYS | {"b.kernel": np.asfortranarray(ARRAYS["b.kernel"])}
    weights.save(tmp_path / "other.safetensors", columns, {"kind": "toy", "licence": "CC0-1.0"})
    assert (tmp_path / "other.safetensors").read_bytes() == file.read_bytes()


@pytest.mark.parametrize(
    "changed",
    [
        {"a.bias": np.array([1.5, -2.5], np.float32)},
        {"a.bias": np.array([1.5, -2.0], np.float64)},
        {"b.kernel": np.arange(12, dtype=np.float16).reshape(4, 3)},
        {"extra": np.zeros(1, np.float32)},
    ],
    ids=["value", "type", "shape", "name"],
)
def test_digest_sees_every_change(changed):
    assert weights.digest(ARRAYS | changed) != weights.digest(ARRAYS)


def test_save_leaves_the_old_file_when_it_fails(file, monkeypatch):
    before = file.read_bytes()

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        weights.save(file, {"a": np.zeros(1)}, {"kind": "toy"})
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


def test_saved_file_has_the_usual_permissions(file):
    plain = file.with_name("plain")
    plain.write_bytes(b"")
    assert file.stat().st_mode == plain.stat().st_mode


def test_save_refuses_what_load_would_refuse(tmp_path):
    with pytest.raises(WeightsError, match="kind"):
        weights.save(tmp_path / "x.safetensors", ARRAYS, {"licence": "CC0-1.0"})
    with pytest.raises(WeightsError, match="does not exist"):
        weights.save(tmp_path / "missing" / "x.safetensors", ARRAYS, {"kind": "toy"})


def error_of(path, **options):
    with pytest.raises(WeightsError) as caught:
        weights.load(path, **options)
    message = str(caught.value)
    assert str(path) in message and "\n" not in message
    return message


def test_load_missing_file(tmp_path):
    assert "no such weight file" in error_of(tmp_path / "none.safetensors")
    assert "vgg16" in error_of("vgg17")


def test_load_truncated_file(file):
    for size in (0, 5, 100, file.stat().st_size - 1):
        short = file.with_name(f"short{size}.safetensors")
        short.write_bytes(file.read_bytes()[:size])
        assert "not a complete safetensors file" in error_of(short)


def test_load_file_of_another_format(tmp_path):
    text = tmp_path / "text.safetensors"
    text.write_text("these are not weights, but a sentence that is long enough\n" * 3)
    assert "not a complete safetensors file" in error_of(text)


def test_load_flipped_bit(file):
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    assert "damaged" in error_of(file)


def test_load_wrong_kind(file):
    assert "kind 'toy'; needed is 'vgg'" in error_of(file, kind="vgg")


def test_load_foreign_and_newer_safetensors(tmp_path):
    path = tmp_path / "foreign.safetensors"
    path.write_bytes(safetensors.numpy.save({"a": np.zeros(2)}))
    assert "not written by jaxstyle" in error_of(path)
    newer = {"format": "jaxstyle", "version": "2", "kind": "toy", "sha256": "0"}
    path.write_bytes(safetensors.numpy.save({"a": np.zeros(2)}, metadata=newer))
    assert "version 2" in error_of(path)


def test_header_is_the_metadata_alone(file):
    """Which are read whole even where the arrays are damaged."""
    expected = weights.load(file).metadata
    assert weights.header(file) == weights.header(str(file)) == expected
    assert (expected["kind"], expected["sha256"]) == ("toy", weights.digest(ARRAYS))
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    assert weights.header(file) == expected
    assert weights.header("vgg16")["sha256"] == weights.info("vgg16")["sha256"]


def test_header_of_what_is_no_weight_file(file, tmp_path):
    foreign, short = tmp_path / "foreign.safetensors", tmp_path / "short.safetensors"
    foreign.write_bytes(safetensors.numpy.save({"a": np.zeros(2)}))
    short.write_bytes(file.read_bytes()[:100])
    for path, words in (
        (foreign, "not written by jaxstyle"),
        (short, "not a complete safetensors file"),
        (tmp_path / "none", "none: no such weight file; shipped are: "),
        ("", "'': no such weight file; shipped are: "),
    ):
        with pytest.raises(WeightsError, match=words) as error:
            weights.header(path)
        assert str(error.value).startswith(str(path)) and "\n" not in str(error.value)


@pytest.mark.parametrize("name", weights.shipped())
def test_shipped_weights_are_whole_and_documented(name):
    loaded = weights.load(name)
    facts = weights.info(name)
    assert facts["name"] == name and facts["sha256"] == loaded.metadata["sha256"]
    assert facts["kind"] == loaded.metadata["kind"]
    assert facts["licence"] == loaded.metadata["licence"]
    assert facts["bytes"] == weights.path(name).stat().st_size
    assert facts["parameters"] == sum(array.size for array in loaded.arrays.values())
    assert all(np.isfinite(array).all() for array in loaded.arrays.values())
    assert loaded.metadata["sha256"] in weights.card(name), "the card states another checksum"


def test_vgg16_is_shipped():
    assert "vgg16" in weights.shipped()
    assert weights.load("vgg16", kind="vgg").arrays["conv5_3.kernel"].shape == (3, 3, 512, 512)


def test_unknown_name_lists_what_is_shipped():
    for function in (weights.path, weights.card, weights.info):
        with pytest.raises(WeightsError, match=r"no shipped weights 'nope'; shipped are: .*vgg16"):
            function("nope")
