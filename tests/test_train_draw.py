"""The program that makes the built-in styles: it makes those that are shipped, and what it is made of."""

import io

import numpy as np
import pytest

from jaxstyle import image, styles
from train.draw import pieces
from train.draw.__main__ import DRAWINGS, EXAMPLES, PAINTINGS, encoded, picture


def test_it_makes_all_of_them():
    assert {*DRAWINGS, *PAINTINGS} == set(styles.STYLES)
    assert not set(DRAWINGS) & set(PAINTINGS)


@pytest.mark.skipif(not EXAMPLES.exists(), reason="not a checkout")
@pytest.mark.parametrize("name", styles.STYLES)
def test_shipped_pictures_are_made_anew(name):
    """The same bytes with the same NumPy and Pillow; with others at most the rounding of JPEG."""
    made = picture(name)
    assert made.dtype == np.float32 and made.ndim == 3 and made.min() >= 0 and made.max() <= 1
    shipped = (styles.FOLDER / f"{name}.jpg").read_bytes()
    data = encoded(made)
    if data != shipped:
        old, new = (image.read(io.BytesIO(file)).pixels for file in (shipped, data))
        assert np.abs(old - new).mean() < 0.005


def test_cells_are_those_of_the_nearest_points():
    """By brute force over all points."""
    found = pieces.cells((40, 56), np.random.default_rng(3), 9.0)
    y, x = np.mgrid[:40, :56]
    away = np.hypot(y[..., None] - found.points[:, 0], x[..., None] - found.points[:, 1])
    np.testing.assert_array_equal(found.number, away.argmin(-1))
    near = np.sort(away, axis=-1)
    np.testing.assert_allclose(found.border, (near[..., 1] - near[..., 0]) / 2, atol=1e-4)


def test_noise_fills_the_range_and_is_smooth():
    field = pieces.noise((64, 80), np.random.default_rng(0), 3.0, 1)
    assert field.shape == (64, 80) and field.min() == 0 and field.max() == 1
    rough = pieces.noise((64, 80), np.random.default_rng(0), 3.0, 4, gain=0.9)
    assert np.abs(np.diff(field)).mean() < 0.5 * np.abs(np.diff(rough)).mean()


def test_strokes_go_where_they_are_told():
    """Strokes along the rows vary less along them than across."""
    rng = np.random.default_rng(0)
    x = rng.random((60, 60, 3)).astype(np.float32)
    brush = pieces.Brush(20, 2, turned=0.0, shade=0.0, cover=4)
    made = pieces.brushed(x, np.zeros((60, 60), np.float32), rng, brush, "#000000")
    assert np.abs(np.diff(made, axis=1)).mean() < 0.5 * np.abs(np.diff(made, axis=0)).mean()


def test_a_landscape_has_a_sky_a_sun_and_hills():
    tones = ["#000000", "#000000", "#000000", "#ffff00", "#00ff00", "#0000ff"]
    made, layer = pieces.landscape((50, 70), np.random.default_rng(1), tones, 4)
    assert set(np.unique(layer)) == {-1, 0, 1, 2, 3, 4}
    np.testing.assert_array_equal(made[layer == -1], np.broadcast_to([1, 1, 0], made[layer == -1].shape))
    assert not made[layer == 0].any()
    np.testing.assert_allclose(made[layer == 1], np.broadcast_to([0, 1, 0], made[layer == 1].shape), atol=1e-6)
    np.testing.assert_allclose(made[layer == 4], np.broadcast_to([0, 0, 1], made[layer == 4].shape), atol=1e-6)
    assert (layer[:3] <= 0).all() and (layer[-1] >= 3).all()


def test_a_file_is_as_good_as_its_size_allows():
    rough = np.random.default_rng(0).random((400, 400, 3)).astype(np.float32)
    assert len(encoded(rough)) <= 62_000
    flat = encoded(np.full((64, 64, 3), 0.5, np.float32))
    assert np.abs(image.read(io.BytesIO(flat)).pixels - 0.5).max() < 0.01
