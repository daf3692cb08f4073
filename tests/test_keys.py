from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from jaxstyle import image
from jaxstyle.controls.controls import Controls
from jaxstyle.video import keys
from jaxstyle.video.keys import Script

GREYS = (0, 100, 200)


@pytest.fixture
def moving(tmp_path):
    """A mask that is a GIF: three greys, for 100, 200 and 100 ms."""
    frames = [Image.fromarray(np.full((6, 8, 3), grey, np.uint8)) for grey in GREYS]
    path = tmp_path / "moving.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=[100, 200, 100])
    return str(path)


def test_the_degree_is_linear_between_keys_and_constant_beyond():
    found = keys.checked_keys([(1, 0), (3, 1), (4, 0.5)])
    assert [keys.degree_at(found, t) for t in (0, 1, 2, 2.5, 3, 3.5, 9)] == [0, 0, 0.5, 0.75, 1, 0.75, 0.5]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([], "alpha_keys: expected seconds from 0 on"),
        ([(1, 0), (1, 1)], "each later than the one before"),
        ([(-1, 0)], "alpha_keys: expected seconds from 0 on"),
        ([(float("nan"), 0)], "alpha_keys: expected seconds from 0 on"),
        ([(0, 1.5)], r"alpha_keys: expected degrees in \[0, 1\], got \[1.5\]"),
        ([1, 2], "alpha_keys: expected pairs of seconds and a degree of style"),
        ("0:1", "alpha_keys: expected pairs"),
    ],
)
def test_bad_keys_are_one_line(given, words):
    with pytest.raises(ValueError, match=words):
        keys.checked_keys(given)


def test_keys_multiply_alpha():
    script = Script(Controls(alpha=0.5, size=40), ((0.0, 0.0), (2.0, 1.0)), image.MAX_PIXELS)
    assert [script.at(Fraction(t))[0].alpha for t in (0, 1, 2, 3)] == [0, 0.25, 0.5, 0.5]
    assert script.at(Fraction(4))[0].size is None  # frames have their size already


@pytest.mark.parametrize("where", ["alpha_map", "first mask", "second mask"])
def test_a_mask_may_be_a_clip(tmp_path, moving, where):
    """At every time its newest frame; after its end the last; what is a picture stays."""
    still = str(tmp_path / "still.png")
    image.write(still, np.full((6, 8), 0.25, np.float32))
    controls = {
        "alpha_map": Controls(alpha_map=moving, mask=(still,)),
        "first mask": Controls(alpha_map=still, mask=(moving, still)),
        "second mask": Controls(mask=(still, moving)),
    }[where]
    script = Script(controls, None, image.MAX_PIXELS)
    seen = []
    for time in (0, Fraction(99, 1000), Fraction(1, 10), Fraction(299, 1000), Fraction(3, 10), 5):
        _, maps = script.at(Fraction(time))
        found = {
            "alpha_map": maps.alpha_map,
            "first mask": (maps.mask or (None,))[0],
            "second mask": (maps.mask or (None,))[-1],
        }[where]
        seen.append(round(255 * float(found.read(2, 3, 2, 3)[0, 0])))
        others = [m for m in (maps.alpha_map, *maps.mask) if m is not None and m is not found]
        assert all(abs(float(m.read(0, 1, 0, 1)[0, 0]) - 0.25) < 0.01 for m in others) and len(others) in (1, 2)
    assert seen == [0, 0, 100, 100, 200, 200]
    stamps = script.stamps()
    assert [s is not None for s in stamps] == {"alpha_map": [1, 0], "first mask": [0, 1, 0], "second mask": [0, 0, 1]}[
        where
    ]


def test_the_part_that_is_wanted():
    assert keys.span(None, None) == (0, None) and keys.span(0.5, 2) == (Fraction(1, 2), 2)
    with pytest.raises(ValueError, match=r"^start: expected seconds from 0 on, got -1$"):
        keys.span(-1, None)
    with pytest.raises(ValueError, match=r"^end: expected more than the start, 2 s, got 2$"):
        keys.span(2, 2)
