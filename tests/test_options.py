from pathlib import Path

import jax
import numpy as np
import pytest

import jaxstyle
from jaxstyle import image
from jaxstyle.controls.controls import Controls
from jaxstyle.methods.inr.network import Spec, init
from jaxstyle.painting.options import Limits, Options, Output, sort


class Everything(Options, total=False):
    """All fields of all groups, and one of none."""

    devices: object
    keep: object
    bits: object
    columns: int


def test_nothing_given_is_what_the_groups_begin_with():
    assert sort(Options, None, {}) == (Controls(), Limits(), Output(), None, {})
    assert Limits().max_pixels == image.MAX_PIXELS


def test_every_option_goes_to_its_group():
    options = {
        "alpha": 0.5,
        "size": (40, 30),
        "max_pixels": 99,
        "tile": 64,
        "scratch": "here",
        "devices": jax.devices(),
        "format": "webp",
        "overwrite": True,
        "keep": ("a.png",),
        "bits": 16,
        "weights_file": Path("mine.safetensors"),
        "columns": 3,
    }
    before = dict(options)
    found = sort(Everything, None, options)
    assert found.controls == Controls(alpha=0.5, size=(40, 30))
    assert found.limits == Limits(99, 64, "here", tuple(jax.devices()))
    assert found.output == Output("webp", True, ("a.png",), 16)
    assert found.weights_file == "mine.safetensors" and found.rest == {"columns": 3}
    assert options == before


def test_keywords_go_before_the_fields_of_controls():
    controls = Controls(alpha=0.5, style_size=40)
    assert sort(Options, controls, {"alpha": 0.25}).controls == Controls(alpha=0.25, style_size=40)
    assert sort(Options, controls, {}).controls == controls


@pytest.mark.parametrize("options", [{"alhpa": 1}, {"alpha": 0.5, "tile": 8, "alhpa": 1}, {"columns": 1, "alhpa": 2}])
def test_an_unknown_keyword_is_named(options):
    with pytest.raises(TypeError, match=r"^unexpected keyword argument 'alhpa'$"):
        sort(Everything, None, options)


def test_a_control_that_is_out_of_range():
    with pytest.raises(ValueError, match="alpha"):
        sort(Options, Controls(), {"alpha": 2})


@pytest.mark.parametrize("name", ["tile", "weights_file", "overwrite", "max_pixels", "bits", "keep", "devices"])
def test_a_picture_in_memory_takes_controls_alone(name):
    with pytest.raises(TypeError, match=f"^unexpected keyword argument '{name}'$"):
        jaxstyle.stylize("a.png", "b.png", **{name: 8})


@pytest.mark.parametrize("name", ["bits", "keep", "devices", "seed", "columns"])
def test_a_file_takes_what_it_says(name):
    with pytest.raises(TypeError, match=f"^unexpected keyword argument '{name}'$"):
        jaxstyle.stylize_file("a.png", "b.png", **{name: 8})


def test_weights_are_a_name_or_a_path():
    with pytest.raises(TypeError, match=r"^weights_file: expected a name or a path, got 5$"):
        jaxstyle.stylize_file("a.png", "b.png", "out.png", weights_file=5)


@pytest.mark.parametrize("given", [[], (), "cpu", 0, [0], np.array(1), 2 * jax.devices()[:1]])
@pytest.mark.parametrize("door", ["folder", "dataset", "render", "sweep", "image"])
def test_devices_are_some_of_those_there_are(tmp_path, door, given):
    fit = tmp_path / "fit.safetensors"
    calls = {
        "folder": lambda: jaxstyle.stylize_folder(tmp_path, "b.png", tmp_path / "out", devices=given),
        "dataset": lambda: jaxstyle.stylize_dataset(tmp_path, tmp_path / "out", "b.png", devices=given),
        "render": lambda: jaxstyle.render_file(fit, tmp_path / "out.png", devices=given),
        "sweep": lambda: jaxstyle.sweep_file(fit, tmp_path / "out.gif", 3, devices=given),
        "image": lambda: jaxstyle.render_image(init(jax.random.key(0), Spec(), size=(3, 2)), devices=given),
    }
    with pytest.raises(ValueError, match=r"^devices: expected at least one of jax\.devices\(\), got "):
        calls[door]()
