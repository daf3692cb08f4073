import json
from pathlib import Path

import numpy as np
import pytest

from jaxstyle import Controls
from jaxstyle.controls.controls import Fields, parse_gradient

RNG = np.random.default_rng(0)


def test_controls_go_through_json_and_are_hashable():
    controls = Controls(
        alpha=0.5,
        alpha_map=Path("map.png"),
        gradient="left:0,right:1",
        weights=[2, 1],
        mask=["a.png", Path("b.png")],
        preserve_color="match",
        size=[640, 480],
        style_size=256,
        alpha_blend="features",
    )
    record = json.loads(json.dumps(controls.as_dict()))
    assert Controls(**record) == controls and hash(Controls(**record)) == hash(controls)
    assert record["mask"] == ["a.png", "b.png"] and controls.files() == ("map.png", "a.png", "b.png")
    assert Controls(**Controls().as_dict()) == Controls()


def test_pictures_in_memory_are_recorded_by_their_pixels():
    mask = RNG.random((4, 5), np.float32)
    first, second = (Controls(mask=[m]).as_dict()["mask"][0] for m in (mask, 1 - mask))
    assert first.startswith("sha256:") and first != second
    assert first == Controls(mask=mask.copy()).as_dict()["mask"][0]
    assert Controls(alpha_map=mask).files() == ()


def test_fields_are_those_of_controls():
    assert list(Fields.__annotations__) == list(Controls().as_dict())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"alpha": 1.5}, "alpha: expected a number in [0, 1], got 1.5"),
        ({"alpha": float("nan")}, "alpha: expected a number in [0, 1]"),
        ({"alpha": "much"}, "alpha: .* got 'much'"),
        ({"alpha": np.zeros((3, 3))}, "alpha: .*alpha_map.*ndarray"),
        ({"gradient": "left"}, "gradient: expected PLACE:VALUE"),
        ({"gradient": "left:0,left:1"}, "gradient: .*each place once"),
        ({"gradient": "north:0,south:1"}, "gradient: .*bottom-left"),
        ({"gradient": "left:0"}, "gradient: expected two opposite sides"),
        ({"gradient": "left:0,top:1"}, "gradient: expected two opposite sides"),
        ({"gradient": "center:0"}, "gradient: expected two opposite sides"),
        ({"gradient": "center:0,edge:1,left:1"}, "gradient: expected two opposite sides"),
        ({"gradient": "left:0,right:2"}, "gradient: expected values in [0, 1], got right:2"),
        ({"gradient": "left:0,right:x"}, "gradient: expected a number after right:, got 'x'"),
        ({"gradient": "left:0,right:nan"}, "gradient: expected a number after right:"),
        ({"alpha_blend": "paper"}, "alpha_blend: expected photo or features, got 'paper'"),
        ({"alpha_blend": None}, "alpha_blend: expected photo or features, got None"),
        ({"weights": (0, 0)}, "weights: expected numbers of at least 0, not all of them 0"),
        ({"weights": (1, -1)}, "weights: expected numbers of at least 0"),
        ({"weights": (1, float("inf"))}, "weights: expected numbers"),
        ({"weights": ()}, "weights: "),
        ({"weights": "2,1"}, "weights: expected one number per style"),
        ({"weights": 2}, "weights: expected one number per style"),
        ({"preserve_color": "hue"}, "preserve_color: expected one of match, histogram, luminance, got 'hue'"),
        ({"size": 0}, "size: expected a whole number of at least 1, got 0"),
        ({"size": (0, 5)}, "size: expected a whole number"),
        ({"size": (1, 2, 3)}, "size: expected the short side or"),
        ({"size": "640"}, "size: "),
        ({"size": 2**40}, "size: expected at most 1000000, got 1099511627776"),
        ({"size": (8, 2**40)}, "size: expected at most 1000000, got 1099511627776"),
        ({"style_size": 2**40}, "style_size: expected at most 1000000, got 1099511627776"),
        ({"style_size": 2.5}, "style_size: expected a whole number of at least 1, got 2.5"),
        ({"style_size": True}, "style_size: "),
        ({"refine": -1}, "refine: expected a whole number of at least 0, got -1"),
        ({"refine": 10**20}, "refine: expected at most 10000, got 100000000000000000000"),
    ],
)
def test_a_wrong_field_is_named(fields, message):
    with pytest.raises(ValueError, match="^" + message.replace("[", r"\[").replace("]", r"\]")):
        Controls(**fields)


def test_counts_must_fit_the_styles():
    Controls(weights=(1, 2), mask=("a", "b")).check_styles(2)
    with pytest.raises(ValueError, match="weights: expected 3, one per style, got 2"):
        Controls(weights=(1, 2)).check_styles(3)
    with pytest.raises(ValueError, match="mask: expected 2, one per style, got 1"):
        Controls(mask="a.png").check_styles(2)


def test_blanks_in_a_gradient_do_no_harm():
    assert parse_gradient(" left : 0, right:1 ") == {"left": 0, "right": 1}
