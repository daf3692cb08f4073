"""Every control beside every other, through `jaxstyle.stylize`: what is true of one alone stays true beside another.

A law of a control is an equation that needs no stored picture: a white map changes nothing, with a black one the style
does not matter, recolouring a style beforehand is what ``preserve_color`` does, and so on.
"""

import functools

import jax
import numpy as np
import pytest

import jaxstyle
from jaxstyle import image
from jaxstyle.controls import colors
from jaxstyle.painting import picture

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

HEIGHT, WIDTH = 64, 128
PREVIEW = 32  # short side
RNG = np.random.default_rng(0)


def blocks(power):
    """A style: patches of colour with rough borders."""
    return np.kron(RNG.random((8, 8, 3), np.float32), np.ones((8, 8, 1), np.float32)) ** power


def photo():
    """Smooth, of middle brightness and little colour, so that nothing is clipped where chroma is compared."""
    y, x = np.mgrid[0 : 1 : HEIGHT * 1j, 0 : 1 : WIDTH * 1j]
    waves = [np.sin(9 * x + i) * np.cos(7 * y - i) for i in range(3)]
    return (0.5 + 0.12 * waves[0][..., None] + 0.05 * np.stack(waves, -1)).astype(np.float32)


PHOTO, STYLES = photo(), {name: blocks(power) for name, power in (("a", 0.5), ("b", 2), ("c", 1))}
WHITE, BLACK = np.ones((2, 3), np.float32), np.zeros((4, 5), np.float32)
LEFT = np.repeat(np.float32([[1, 1, 1, 0]]), 32, axis=1)  # three quarters: the decoder sees 40 pixels far

CONTROLS = {
    "alpha": {"alpha": 0.6},
    "alpha_map": {"alpha_map": np.float32([[0.3, 1]])},
    "gradient": {"gradient": "top:0.2,bottom:1"},
    "weights": {"weights": (3, 1)},
    "mask": {"mask": (LEFT, 1 - LEFT)},
    "match": {"preserve_color": "match"},
    "histogram": {"preserve_color": "histogram"},
    "luminance": {"preserve_color": "luminance"},
    "size": {"size": 48},
    "style_size": {"style_size": PREVIEW},
}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Styles looked at at 64 pixels, and operations compiled one by one: they are the same for all controls."""
    monkeypatch.setattr(picture, "STYLE_SIZE", HEIGHT)
    with jax.disable_jit():
        yield


made = {}


def run(fields, content=PHOTO, styles="ab", looks=None):
    """Levels 0 to 255 of the result, int16."""
    looks = [STYLES[name] for name in styles] if looks is None else looks
    key = repr([_hashed(fields), *(array.tobytes() for array in (content, *looks))])
    if key not in made:
        found = np.asarray(jaxstyle.stylize(content, looks, **fields))
        assert found.shape == (*shape(fields, content), 3) and found.dtype == np.uint8
        assert found.std() > 2  # a picture: what is not finite would be refused on the way
        made[key] = found.astype(np.int16)
    return made[key]


def _hashed(fields):
    """Arrays among the values as their bytes."""
    tuples = {name: value if isinstance(value, tuple) else (value,) for name, value in fields.items()}
    return sorted(
        (name, [(x.shape, x.tobytes()) if isinstance(x, np.ndarray) else x for x in value])
        for name, value in tuples.items()
    )


def shape(fields, content=PHOTO):
    height, width = content.shape[:2]
    return (fields["size"], fields["size"] * width // height) if "size" in fields else (height, width)


def same(a, b):
    assert a.shape == b.shape
    assert np.abs(a - b).max() <= 1  # of 255


def no_style(beside):
    return run({**beside, "alpha": 0})


def alpha(beside):
    """Without any degree of style, the styles do not matter."""
    same(no_style(beside), run({**beside, "alpha": 0}, styles="cb"))


def alpha_map(beside):
    same(run({**beside, "alpha_map": WHITE}), run(beside))
    same(run({**beside, "alpha_map": BLACK}), no_style(beside))


def gradient(beside):
    same(run({**beside, "gradient": "left:1,right:1"}), run(beside))
    same(run({**beside, "gradient": "center:0,edge:0"}), no_style(beside))


def weights(beside):
    """Only ratios count, and a style of weight 0 might as well not be there."""
    same(run({**beside, "weights": (2, 2)}), run(beside))
    two, one = ({"mask": (LEFT, BLACK)}, {"mask": (LEFT,)}) if "mask" in beside else (beside, beside)
    same(run({**two, "weights": (1, 0)}), run(one, styles="a"))


def mask(beside):
    """White ones change nothing, black ones leave the content; where only one style is, others do not matter."""
    same(run({**beside, "mask": (WHITE, WHITE)}), run(beside))
    same(run({**beside, "mask": (BLACK, BLACK)}), no_style(beside))
    chosen = {**beside, **CONTROLS["mask"]}
    found, other = run(chosen), run(chosen, styles="ac")
    width = shape(beside)[1]
    same(found[:, : width // 8], other[:, : width // 8])
    assert np.abs(found - other)[:, -width // 8 :].max() > 3


def recoloured(way, recolour, beside):
    """As if the styles had been recoloured beforehand, as large as they are looked at."""
    content = image.resize(PHOTO, shape(beside))
    seen = [image.resize_short_side(STYLES[name], beside.get("style_size", HEIGHT)) for name in "ab"]
    same(run({**beside, "preserve_color": way}), run(beside, looks=[recolour(look, content) for look in seen]))


match = functools.partial(recoloured, "match", colors.match_covariance)
histogram = functools.partial(recoloured, "histogram", colors.match_histogram)


def luminance(beside):
    """Red, green and blue differ from each other as in the content; light and dark as without it."""
    found, plain = run({**beside, "preserve_color": "luminance"}), run(beside)
    content = image.resize(PHOTO, shape(beside)) * 255
    inside = (found > 2).all(-1) & (found < 253).all(-1)
    assert inside.mean() > 0.5
    for a, b in ((0, 1), (1, 2)):
        chroma = (content[..., a] - content[..., b])[inside]
        np.testing.assert_allclose((found[..., a] - found[..., b])[inside], chroma, atol=1.1)
    np.testing.assert_allclose(colors.luma(found)[inside], colors.luma(plain)[inside], atol=1.6)


def size(beside):
    """As if the content had been resized beforehand."""
    same(run({**beside, "size": 48}), run(beside, content=image.resize(PHOTO, (48, 96))))


def style_size(beside):
    """Scaled down, the result is the preview, to clipping and resampling; without it the two have little in common."""
    content = image.resize(PHOTO, shape(beside))
    less = {name: value for name, value in beside.items() if name != "size"}
    small = run({**less, "style_size": PREVIEW}, content=image.resize(content, (PREVIEW, 2 * PREVIEW)))

    def distance(found):
        return np.abs(image.resize(np.float32(found) / 255, (PREVIEW, 2 * PREVIEW)) * 255 - small).mean()

    assert distance(run({**beside, "style_size": PREVIEW})) < 0.15 * distance(run(beside))


LAWS = {
    "alpha": alpha,
    "alpha_map": alpha_map,
    "gradient": gradient,
    "weights": weights,
    "mask": mask,
    "match": match,
    "histogram": histogram,
    "luminance": luminance,
    "size": size,
    "style_size": style_size,
}


def test_every_control_has_a_law():
    named = {name for fields in CONTROLS.values() for name in fields}
    assert LAWS.keys() == CONTROLS.keys() and named == jaxstyle.Controls.__dataclass_fields__.keys()


@pytest.mark.parametrize("name", LAWS)
def test_beside_every_other(name):
    beside = [fields for fields in CONTROLS.values() if fields.keys() != CONTROLS[name].keys()]
    for fields in ({}, *beside):
        try:
            LAWS[name](fields)
        except AssertionError as error:
            raise AssertionError(f"{name} beside {fields or 'nothing'}") from error


@pytest.mark.parametrize("name", CONTROLS)
def test_a_seed_is_refused_beside_any(name):
    with pytest.raises(TypeError, match="unexpected keyword argument 'seed'"):
        jaxstyle.stylize(PHOTO, list(STYLES.values())[:2], seed=3, **CONTROLS[name])
