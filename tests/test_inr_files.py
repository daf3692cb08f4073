import dataclasses
import json
import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle import weights
from jaxstyle.methods.inr import files
from jaxstyle.methods.inr.network import Spec, init
from jaxstyle.weights import WeightsError

SMALL = Spec(octaves=3, latent=4, width=16, depth=4, skip=2, bottleneck=8)
GRIDS = dataclasses.replace(SMALL, grids=(2, 5), features=3)


@pytest.fixture
def file(key, tmp_path):
    files.save(tmp_path / "fit.safetensors", init(key, SMALL, size=(30, 20)))
    return tmp_path / "fit.safetensors"


def test_a_file_keeps_grids(key, tmp_path):
    params = init(key, GRIDS, size=(9, 7))
    files.save(tmp_path / "fit.safetensors", params)
    found = files.load(tmp_path / "fit.safetensors")
    assert (found.spec, found.size) == (GRIDS, (9, 7))
    jax.tree.map(np.testing.assert_array_equal, found, params)


def test_a_file_gives_back_every_bit(file, key):
    wanted, found = init(key, SMALL, size=(30, 20)), files.load(file)
    assert jax.tree.structure(found) == jax.tree.structure(wanted)
    jax.tree.map(np.testing.assert_array_equal, found, wanted)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(found))


def test_the_same_picture_gives_the_same_bytes(file, tmp_path):
    files.save(tmp_path / "again", files.load(file))
    assert (tmp_path / "again").read_bytes() == file.read_bytes()


def test_a_file_says_what_it_is(file, tmp_path):
    metadata = weights.load(file).metadata
    assert (metadata["kind"], metadata["licence"], metadata["size"]) == ("inr", "your own", "30x20")
    assert json.loads(metadata["spec"]) == {**dataclasses.asdict(SMALL), "grids": []}
    files.save(tmp_path / "mine", files.load(file), licence="CC0-1.0", seed="3", kind="something else")
    metadata = weights.load(tmp_path / "mine").metadata
    assert (metadata["kind"], metadata["licence"], metadata["seed"]) == ("inr", "CC0-1.0", "3")


def test_every_byte_of_a_file_counts(file):
    data = bytearray(file.read_bytes())
    for place in (len(data) - 1, len(data) // 2):
        changed = bytearray(data)
        changed[place] ^= 1
        file.write_bytes(changed)
        with pytest.raises(WeightsError, match=r"fit\.safetensors: damaged: sha256"):
            files.load(file)
    for length in (0, 7, 100, len(data) - 1):
        file.write_bytes(data[:length])
        with pytest.raises(WeightsError, match=r"fit\.safetensors: not a complete safetensors file"):
            files.load(file)


@pytest.mark.parametrize(
    ("metadata", "arrays", "message"),
    [
        ({"kind": "adain"}, {}, "holds weights of kind 'adain'; needed is 'inr'"),
        ({"spec": ""}, {}, "its metadata 'spec' describe no network"),
        ({"spec": "{"}, {}, "its metadata 'spec' describe no network"),
        ({"spec": '{"octaves": 3, "heads": 8}'}, {}, "its metadata 'spec' describe no network"),
        ({"spec": '{"width": -4}'}, {}, "describe no network: width: expected a whole number of at least 1, got -4"),
        ({"spec": "{}"}, {}, "its arrays are not those of the network that its metadata describe"),
        ({"spec": "[" * 100_000}, {}, "its metadata 'spec' describe no network"),
        ({"spec": '{"octaves": 1000000000}'}, {}, "its arrays are not those of the network"),
        ({"spec": '{"depth": 1000000000}'}, {}, "its arrays are not those of the network"),
        ({"spec": '{"grids": [1000000000000]}'}, {}, "its arrays are not those of the network"),
        ({"size": "30x0"}, {}, "expected WIDTHxHEIGHT as its metadata 'size', found '30x0'"),
        ({"size": f"30x{'9' * 5000}"}, {}, "expected WIDTHxHEIGHT as its metadata 'size', found '30x99"),
        ({}, {"z_c": np.zeros(5, np.float32)}, "its arrays are not those of the network"),
        ({}, {"z_d": np.zeros(4, np.float32)}, "its arrays are not those of the network"),
        ({}, {"z_c": np.full(4, np.nan, np.float32)}, "z_c is not float32 or holds values that are not finite"),
        ({}, {"z_s": np.zeros(4, np.float16)}, "z_s is not float32 or holds values that are not finite"),
    ],
)
def test_a_file_that_is_no_picture_is_refused_in_one_line(file, metadata, arrays, message):
    good = weights.load(file)
    kept = {k: v for k, v in good.metadata.items() if k in ("kind", "spec", "size")}
    weights.save(file, good.arrays | arrays, kept | metadata)
    with pytest.raises(WeightsError) as error:
        files.load(file)
    assert str(error.value).startswith(f"{file}: ") and message in str(error.value)
    assert "\n" not in str(error.value)


def test_what_cannot_be_saved_leaves_nothing(file, key, tmp_path):
    before = file.read_bytes()
    stacked = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), init(key, SMALL))
    with pytest.raises(ValueError, match=r"^params: expected the arrays of one picture"):
        files.save(file, stacked)
    with pytest.raises(WeightsError, match=r"folder .* does not exist"):
        files.save(tmp_path / "missing" / "fit.safetensors", init(key, SMALL))
    assert file.read_bytes() == before and list(tmp_path.iterdir()) == [file]


def test_a_file_that_is_missing_is_named_and_shipped_weights_are_no_pictures(file, tmp_path, monkeypatch):
    for name, found in ((tmp_path / "missing", "no such file"), (tmp_path, "is a folder"), ("vgg16", "no such file")):
        with pytest.raises(WeightsError) as error:
            files.load(name)
        assert str(error.value) == f"{name}: {found}; expected a fitted picture, inr.safetensors"
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(WeightsError, match="permission denied"):
        files.load(file)


def test_what_is_written_can_be_read(key, tmp_path):
    """64-bit parameters are rounded; what is not finite is refused, as `load` would."""
    params = init(key, SMALL)
    wide = dataclasses.replace(params, z_c=np.asarray(params.z_c, np.float64) + 1e-12)
    files.save(tmp_path / "a.safetensors", wide)
    np.testing.assert_array_equal(files.load(tmp_path / "a.safetensors").z_c, params.z_c)
    broken = dataclasses.replace(params, z_s=params.z_s.at[0].set(np.inf))
    with pytest.raises(ValueError, match="params: z_s holds values that are not finite"):
        files.save(tmp_path / "b.safetensors", broken)
    assert not (tmp_path / "b.safetensors").exists()
