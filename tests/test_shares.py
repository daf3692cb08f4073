import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.image.windows import ArraySource
from jaxstyle.painting.shares import Shares


def window_of(values):
    return lambda top, bottom, left, right: values[top:bottom, left:right]


def shares(alpha, parts, height, width):
    """Those of a whole picture, mirrored up to whole positions of 8 pixels."""
    return Shares(alpha, parts, (height, width), 8).window(0, 0, -(-height // 8) * 8, -(-width // 8) * 8)


def test_shares_are_the_mean_of_mirrored_blocks():
    rng = np.random.default_rng(0)
    alpha, parts = rng.random((150, 21), np.float32), rng.random((150, 21, 2), np.float32) / 2
    whole = np.pad(alpha[..., None] * parts, ((0, 2), (0, 3), (0, 0)), mode="symmetric")
    expected = whole.reshape(19, 8, 3, 8, 2).mean((1, 3))
    for form in (lambda values: values, jnp.asarray, ArraySource, window_of):
        found = shares(form(alpha), form(parts), 150, 21)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(shares(0.5, parts, 150, 21), shares(np.full_like(alpha, 0.5), parts, 150, 21), atol=1e-6)
    assert shares(0.5, np.array([0.5, 0.25]), 16, 20).tolist() == [[[0.25, 0.125]]]  # of all positions
    assert shares(np.full((16, 16), 255, np.uint8), np.ones(1), 16, 16).tolist() == [[[1], [1]]] * 2


def test_a_window_is_a_part_of_the_whole():
    """Also beyond the picture, where everything is mirrored, again and again if it must."""
    rng = np.random.default_rng(0)
    alpha, parts = rng.random((150, 21), np.float32), rng.random((150, 21, 2), np.float32) / 2
    found = Shares(alpha, parts, (150, 21), 8)
    assert found.count == 2
    whole = np.pad(alpha[..., None] * parts, ((0, 50), (0, 67), (0, 0)), mode="symmetric")
    expected = whole.reshape(25, 8, 11, 8, 2).mean((1, 3))
    for top, left, height, width in ((0, 0, 200, 88), (8, 16, 160, 8), (192, 80, 8, 8)):
        part = expected[top // 8 : (top + height) // 8, left // 8 : (left + width) // 8]
        np.testing.assert_allclose(found.window(top, left, height, width), part, atol=1e-6)


def test_the_total_is_that_of_pixels():
    rng = np.random.default_rng(0)
    alpha, parts = rng.random((15, 21), np.float32), rng.random((15, 21, 2), np.float32) / 2
    found = Shares(alpha, parts, (15, 21), 8).total(3, 7, 2, 20)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, (alpha * parts.sum(-1))[3:7, 2:20], atol=1e-6)
    found = Shares(0.5, parts, (15, 21), 8).total(3, 7, 2, 20)
    np.testing.assert_allclose(found, 0.5 * parts.sum(-1)[3:7, 2:20], atol=1e-6)
    assert Shares(0.5, np.array([0.5, 0.25]), (15, 21), 8).total(0, 15, 0, 21).tolist() == [[0.375]]  # of all pixels


@pytest.mark.parametrize(
    ("alpha", "parts", "message"),
    [
        (
            np.zeros((24, 16)),
            np.ones(1),
            r"alpha: expected a map \(16, 24\) of the picture's pixels, got shape \(24, 16\)",
        ),
        (1, np.zeros((16, 24)), r"shares: expected a map \(16, 24, K\) of the picture's pixels"),
        (np.zeros(4), np.ones(1), r"alpha: expected a number or \(H, W\), got shape \(4,\)"),
        (1, 1, r"shares: expected \(K,\) or \(H, W, K\), got shape \(\)"),
        (2, np.ones(1), r"alpha: expected values in \[0, 1\], found 2 .. 2"),
        (1.5, np.ones(1), "alpha: expected values in"),
        (1, np.array([0.75, 0.5]), r"shares: expected sums of at most 1 at every place, found 1.25"),
        (1, np.full((16, 24, 2), 0.75), r"shares: expected sums of at most 1 at every place, found 1.5"),
    ],
)
def test_says_what_is_wrong(alpha, parts, message):
    with pytest.raises(ValueError, match=message):
        Shares(alpha, parts, (16, 24), 8)


def one_wrong(shape, value):
    values = np.full(shape, 0.5, np.float32)
    values[15, 23] = value
    return values


@pytest.mark.parametrize(
    ("alpha", "parts", "message"),
    [
        (one_wrong((16, 24), 2), np.ones(1), r"alpha: expected values in \[0, 1\], found 0.5 .. 2"),
        (one_wrong((16, 24), -1), np.ones(1), r"alpha: expected values in \[0, 1\], found -1 .. 0.5"),
        (1, one_wrong((16, 24, 2), 1), r"shares: expected sums of at most 1 at every place, found 2"),
        (1, one_wrong((16, 24, 2), -1), r"shares: expected values in \[0, 1\], found -1 .. 0.5"),
    ],
)
def test_a_wrong_value_anywhere_is_found(alpha, parts, message):
    """Of arrays at once, of functions when they are read."""
    with pytest.raises(ValueError, match=message):
        Shares(alpha, parts, (16, 24), 8)
    read = [window_of(values) if np.ndim(values) > 1 else values for values in (alpha, parts)]
    found = Shares(*read, (16, 24), 8)
    with pytest.raises(ValueError, match=message):
        found.window(0, 0, 16, 24)
