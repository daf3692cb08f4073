"""Tiles of a fitted picture: they are what the definition of its coordinates says, at any depth."""

import jax
import numpy as np
import pytest

from jaxstyle.methods import inr
from jaxstyle.methods.inr.rendering import render_grid
from jaxstyle.painting import deep

SPEC = inr.Spec(octaves=4, width=8, depth=3, skip=0, bottleneck=4)


@pytest.fixture(scope="module")
def params():
    return inr.init(jax.random.key(0), SPEC, size=(300, 200))


def reference(params, level, column, row, alpha):
    """Every pixel's colour from its own coordinates, in exact integers."""
    width, height = params.size[0] << level, params.size[1] << level
    xs = range(column * 256, min(column * 256 + 256, width))
    ys = range(row * 256, min(row * 256 + 256, height))
    at = np.float32([[((2 * x + 1 - width) / width, (2 * y + 1 - height) / height) for x in xs] for y in ys])
    return np.asarray(inr.render(params, at, alpha))


@pytest.mark.parametrize(("level", "column", "row"), [(0, 0, 0), (0, 1, 0), (3, 9, 6), (12, 4799, 3199), (20, 7, 9)])
def test_a_tile_is_what_its_coordinates_say(params, level, column, row):
    found, expected = deep.tile(params, level, column, row, 0.25), reference(params, level, column, row, 0.25)
    assert found.dtype == np.uint8 and found.shape == expected.shape
    assert np.abs(found / 255 - expected).max() <= 0.6 / 255


def test_neighbouring_tiles_and_levels_meet(params):
    """Columns on both sides of a seam differ as little as others do; a level is the next one halved."""
    left, right = (deep.tile(params, 4, column, 3).astype(float) for column in (4, 5))
    inside = np.abs(np.diff(left[:, -8:], axis=1)).max()
    assert np.abs(right[:, 0] - left[:, -1]).max() <= inside + 1
    coarse = deep.tile(params, 3, 2, 1).astype(float)
    fine = np.concatenate([np.concatenate([deep.tile(params, 4, 4 + i, 2 + j) for i in (0, 1)], 1) for j in (0, 1)])
    halved = fine.reshape(256, 2, 256, 2, 3).mean((1, 3))
    assert np.abs(halved - coarse).max() <= 2


def test_tiles_share_a_program(params):
    deep.tile(params, 1, 0, 0)
    once = render_grid._cache_size()
    for level, column, row, alpha in ((1, 2, 1, 0.0), (5, 37, 24, 1.0), (12, 5, 5, 0.3), (40, 0, 0, 0.5)):
        deep.tile(params, level, column, row, alpha)
    other = inr.init(jax.random.key(1), SPEC, size=(64, 90))
    deep.tile(other, 3, 1, 2)
    assert render_grid._cache_size() == once


@pytest.mark.parametrize(
    ("place", "problem"),
    [
        ((41, 0, 0, 1.0), "level: expected 0 to 40, got 41"),
        ((-1, 0, 0, 1.0), "level: expected 0 to 40, got -1"),
        ((0, 2, 0, 1.0), "tile: there is no 2_0 in level 0 of 300 x 200 pixels"),
        ((1, 0, 2, 1.0), "tile: there is no 0_2 in level 1 of 600 x 400 pixels"),
        ((0, 0, 0, 1.5), "alpha: expected a number in"),
        ((0, 0, 0, float("nan")), "alpha: expected a number in"),
    ],
)
def test_tiles_that_are_not_there_are_refused(params, place, problem):
    with pytest.raises(ValueError, match=f"^{problem}"):
        deep.tile(params, *place)
