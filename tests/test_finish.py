import numpy as np
import pytest

from jaxstyle import Controls
from jaxstyle.controls import colors
from jaxstyle.image.windows import ArraySource
from jaxstyle.painting import finish as module
from jaxstyle.painting.finish import FULL, finish, painted_part
from jaxstyle.painting.shares import Shares

RNG = np.random.default_rng(0)
HEIGHT, WIDTH = 21, 13
PHOTO, PAINTED = (RNG.random((HEIGHT, WIDTH, 3), np.float32) for _ in range(2))


def finished(alpha, parts=(1.0,), photo=PHOTO, painted=PAINTED, **fields):
    shares = Shares(alpha, np.float32(parts), photo.shape[:2], 8)
    return finish(painted, 0, ArraySource(photo), shares, Controls(**fields))


# ---- the ramp ----------------------------------------------------------------------------------------------


def test_the_ramp_begins_at_0_and_ends_at_1_exactly():
    assert painted_part(np.float32([0, FULL, 0.75, 1])).tolist() == [0, 1, 1, 1]
    assert painted_part(np.float32(FULL / 2)) == pytest.approx(0.75)
    assert painted_part(np.ones((2, 3))).dtype == np.float32


def test_the_ramp_grows_without_a_jump_or_a_corner():
    step = 1 / 1000
    values = painted_part(np.arange(0, 1 + step / 2, step)).astype(np.float64)
    slopes = np.diff(values) / step
    assert (slopes[: round(FULL / step)] > 0).all()
    assert slopes.max() == pytest.approx(2 / FULL, rel=0.01)
    assert np.abs(np.diff(slopes)).max() < 2 / FULL**2 * step * 1.05  # its second derivative is at most that
    assert slopes[round(FULL / step) - 1] < 0.01


# ---- what it does ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.0, np.zeros((HEIGHT, WIDTH), np.float32)], ids=["number", "map"])
@pytest.mark.parametrize("way", [None, "luminance"])
def test_degree_0_is_the_photo_to_the_last_bit(alpha, way):
    for kind in (np.uint8, np.uint16):
        levels = RNG.integers(0, np.iinfo(kind).max, (HEIGHT, WIDTH, 3), kind, endpoint=True)
        found = finished(alpha, photo=levels, preserve_color=way)
        np.testing.assert_array_equal(np.rint(found * np.iinfo(kind).max), levels)
    np.testing.assert_array_equal(finished(alpha, preserve_color=way), PHOTO)


@pytest.mark.parametrize("alpha", [FULL, 0.7, 1.0, np.full((HEIGHT, WIDTH), 0.8, np.float32)], ids=str)
def test_large_degrees_are_all_painting_and_read_no_photo(alpha):
    class Unread:
        shape = (HEIGHT, WIDTH, 3)

        def read(self, *window):
            pytest.fail("it was read")

    shares = Shares(alpha, np.ones(1), (HEIGHT, WIDTH), 8)
    assert finish(PAINTED, 0, Unread(), shares, Controls()) is PAINTED


def test_between_it_is_the_formula_at_every_pixel():
    alpha, parts = RNG.random((HEIGHT, WIDTH), np.float32), RNG.random((HEIGHT, WIDTH, 2), np.float32) / 2
    alpha[3:9], parts[:, 4:6] = 0, 0
    t = np.minimum(1, alpha * parts.sum(-1) / FULL)[..., None]
    a = 1 - (1 - t) ** 2
    found = finished(alpha, parts)
    np.testing.assert_allclose(found, a * PAINTED + (1 - a) * PHOTO, atol=1e-6)
    np.testing.assert_array_equal(found[3:9], PHOTO[3:9])
    np.testing.assert_array_equal(found[:, 4:6], PHOTO[:, 4:6])
    np.testing.assert_array_equal(finished(alpha, parts, alpha_blend="features"), PAINTED)
    kept = finished(alpha, parts, preserve_color="luminance")
    np.testing.assert_array_equal(kept, colors.keep_chroma(found, PHOTO))


def test_the_shares_of_several_styles_count_together():
    quarter = finished(FULL / 2)
    np.testing.assert_allclose(finished(FULL, (0.25, 0.25)), quarter, atol=1e-6)
    np.testing.assert_array_equal(finished(1.0, (0.0, 0.0)), PHOTO)
    thirds = np.float32([1, 1, 1]) / 3
    np.testing.assert_array_equal(finished(1.0, thirds), PAINTED)


def test_bands_of_any_rows_are_those_of_the_whole(monkeypatch):
    alpha = RNG.random((HEIGHT, WIDTH), np.float32)
    whole = finished(alpha)
    monkeypatch.setattr(module, "_ROWS", 4)
    shares = Shares(alpha, np.ones(1), (HEIGHT, WIDTH), 8)
    given = PAINTED.copy()
    rows = [finish(given[a:b], a, ArraySource(PHOTO), shares, Controls()) for a, b in ((0, 5), (5, 6), (6, HEIGHT))]
    np.testing.assert_array_equal(np.concatenate(rows), whole)
    np.testing.assert_array_equal(given, PAINTED)  # what the method gave is not written to
