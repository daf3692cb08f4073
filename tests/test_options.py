from pathlib import Path

import pytest

from jaxstyle import image
from jaxstyle.controls.controls import Controls
from jaxstyle.painting.options import DEFAULT_WEIGHTS, Limits, Output, sort


def test_nothing_given_is_what_the_groups_begin_with():
    assert sort(None, {}) == (Controls(), Limits(), Output(), DEFAULT_WEIGHTS, {})
    assert Limits().max_pixels == image.MAX_PIXELS


def test_every_option_goes_to_its_group():
    options = {
        "alpha": 0.5,
        "size": (40, 30),
        "max_pixels": 99,
        "tile": 64,
        "scratch": "here",
        "devices": (1, 2),
        "format": "webp",
        "overwrite": True,
        "keep": ("a.png",),
        "bits": 16,
        "weights_file": Path("mine.safetensors"),
        "columns": 3,
    }
    before = dict(options)
    found = sort(None, options, "columns", "cell")
    assert found.controls == Controls(alpha=0.5, size=(40, 30))
    assert found.limits == Limits(99, 64, "here", (1, 2))
    assert found.output == Output("webp", True, ("a.png",), 16)
    assert found.weights_file == "mine.safetensors" and found.rest == {"columns": 3}
    assert options == before


def test_keywords_go_before_the_fields_of_controls():
    controls = Controls(alpha=0.5, style_size=40)
    assert sort(controls, {"alpha": 0.25}).controls == Controls(alpha=0.25, style_size=40)
    assert sort(controls, {}).controls == controls


@pytest.mark.parametrize("options", [{"alhpa": 1}, {"alpha": 0.5, "tile": 8, "alhpa": 1}, {"seed": 1, "alhpa": 2}])
def test_an_unknown_keyword_is_named(options):
    with pytest.raises(TypeError, match=r"^unexpected keyword argument 'alhpa'$"):
        sort(None, options)
    if len(options) == 1:
        assert sort(None, options, "alhpa").rest == options


def test_a_control_that_is_out_of_range():
    with pytest.raises(ValueError, match="alpha"):
        sort(Controls(), {"alpha": 2})
