"""Patterns at the cells' frequency: planted ones are found, as strong as they are; others are not."""

import numpy as np
import pytest

from jaxstyle.metrics.lattice import lattice


def natural(side=256, seed=0):
    """Noise with the spectrum of photographs."""
    rng = np.random.default_rng(seed)
    far = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side)))
    spectrum = np.fft.fft2(rng.normal(size=(side, side))) / np.maximum(far, 1 / side)
    waves = np.fft.ifft2(spectrum).real
    return 0.5 + 0.05 * waves / waves.std()


def dots(side, period, strength):
    line = np.cos(2 * np.pi * np.arange(side) / period)
    return strength * line[:, None] * line[None]


@pytest.mark.parametrize("period", [4, 8])
def test_a_photo_has_none_and_a_flat_picture_exactly_none(period):
    for seed in range(3):
        assert 0.8 < lattice(natural(seed=seed), period) < 1.25
    assert lattice(np.full((96, 96, 3), 0.4), period) == pytest.approx(1)


@pytest.mark.parametrize("period", [4, 8])
def test_a_planted_one_is_found_as_strong_as_it_is(period):
    picture = natural()
    found = [lattice(picture + dots(256, period, s), period, photo=picture) for s in (0, 0.004, 0.01, 0.03)]
    assert found == sorted(found) and found[2] > 1.3 * found[0] and found[3] > 3.5 * found[0]
    powers = np.array(found[2:]) - found[0]
    assert 4 < powers[1] / powers[0] < 14  # about the square of the strength


def test_other_periods_are_not_its_business():
    picture = natural()
    assert lattice(picture + dots(256, 5, 0.02), 8, photo=picture) < 1.3 * lattice(picture, 8)


def test_lines_of_one_direction_and_repeated_pixels_are_found():
    picture = natural()
    rows = picture + 0.01 * np.cos(2 * np.pi * np.arange(256) / 8)[:, None]
    assert lattice(rows, 8, photo=picture) > 1.3 * lattice(picture, 8)
    repeated = np.kron(natural(64), np.ones((4, 4)))
    assert lattice(repeated, 4) < 0.6  # at the frequency of repetition its spectrum is zero: that is told as well


def test_where_it_is_flat_counts():
    """A pattern on the rough half alone does no harm, one on the flat half does."""
    picture = natural()
    picture[:, :128] = 0.5 + 0.05 * (picture[:, :128] - 0.5)
    rough, flat = picture.copy(), picture.copy()
    rough[:, 144:] += dots(256, 8, 0.02)[:, 144:]
    flat[:, :112] += dots(256, 8, 0.002)[:, :112]
    plain = lattice(picture, 8)
    assert lattice(rough, 8, photo=picture) == pytest.approx(plain, rel=0.1)
    assert lattice(flat, 8, photo=picture) > 2 * plain


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros((63, 80)), 8), r"picture: expected at least 64 x 64 pixels for a period of 8, got \(63, 80\)"),
        ((np.zeros((4, 4, 2)), 2), r"picture: expected finite numbers \(H, W, 3\) or \(H, W\), got shape \(4, 4, 2\)"),
        ((np.full((64, 64), np.nan), 4), "picture: expected finite numbers"),
        ((np.zeros((64, 64)), 1), "period: expected a whole number of at least 2, got 1"),
        ((np.zeros((64, 64)), 4.0), "period: expected a whole number of at least 2, got 4.0"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        lattice(*arguments)


def test_bad_options():
    with pytest.raises(ValueError, match="share: expected more than 0, at most 1, got 0"):
        lattice(np.zeros((64, 64)), 4, share=0)
    with pytest.raises(ValueError, match=r"photo: expected the picture's size, \(64, 64\), got \(64, 65\)"):
        lattice(np.zeros((64, 64)), 4, photo=np.zeros((64, 65)))
