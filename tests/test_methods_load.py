import jax
import numpy as np
import pytest

from jaxstyle import methods, weights
from jaxstyle.methods import adain
from jaxstyle.methods.interface import Loaded
from jaxstyle.weights import WeightsError


def test_the_kind_of_the_file_says_which_method():
    found = methods.load("adain_vgg16")
    assert isinstance(found, Loaded) and isinstance(found.model, adain.Model)
    assert found.method is methods.METHODS["adain"] and found.name == "adain_vgg16"
    assert found.sha256 == weights.info("adain_vgg16")["sha256"]
    assert found.needs == adain.needs(found.model)


def test_a_file_of_ones_own(tmp_path):
    shipped = adain.load()
    path = tmp_path / "mine.safetensors"
    methods.METHODS["adain"].save(path, shipped, licence="CC0-1.0")
    found = methods.load(path)
    assert found.name == str(path) and found.sha256 == methods.load("adain_vgg16").sha256
    jax.tree.map(np.testing.assert_array_equal, found.model.decoder, shipped.decoder)


def test_what_is_no_method_is_one_line(tmp_path):
    path = tmp_path / "toy.safetensors"
    weights.save(path, {"a": np.zeros(1)}, {"kind": "toy"})
    for name, words in (
        (path, f"{path}: holds weights of kind 'toy'; needed is 'adain'"),
        ("vgg16", "vgg16: holds weights of kind 'vgg'; needed is 'adain'"),
        ("nothing", "nothing: no such weight file; shipped are: "),
    ):
        with pytest.raises(WeightsError) as error:
            methods.load(name)
        assert str(error.value).startswith(words) and "\n" not in str(error.value)


def test_a_damaged_file_is_found(tmp_path):
    path = tmp_path / "mine.safetensors"
    data = bytearray(weights.path("adain_vgg16").read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(WeightsError, match="damaged"):
        methods.load(path)


def test_a_model_made_in_memory():
    model = adain.Model({}, {})
    found = methods.loaded(model)
    assert found == Loaded(methods.METHODS["adain"], model, "", "")
    assert methods.loaded(found) is found
    with pytest.raises(TypeError, match=r"^model: expected what jaxstyle.methods.load returns, got str$"):
        methods.loaded("adain_vgg16")


def test_methods_are_named_by_the_kind_of_their_files():
    assert all(kind == method.kind for kind, method in methods.METHODS.items())
