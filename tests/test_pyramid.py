import numpy as np
import pytest

from jaxstyle.image.pyramid import Halving, halved

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_means_are_rounded_to_nearest_halves_upwards(dtype):
    full = np.iinfo(dtype).max
    rows = np.array([[0, 1, full, full], [0, 1, full, full - 1]], dtype)[..., None]
    assert halved(rows)[..., 0].tolist() == [[1, full]]  # 0.5 and full - 0.25
    samples = RNG.integers(0, full + 1, (6, 8, 3)).astype(dtype)
    exact = samples.astype(float).reshape(3, 2, 4, 2, 3).mean((1, 3))
    np.testing.assert_array_equal(halved(samples), np.floor(exact + 0.5))


@pytest.mark.parametrize("height", [1, 2, 7, 12])
@pytest.mark.parametrize("step", [1, 3, 100])
def test_bands_give_what_the_whole_gives(height, step):
    samples = RNG.integers(0, 256, (height, 5, 3), np.uint8)
    halving = Halving()
    found = [halving.add(samples[top : top + step]) for top in range(0, height, step)]
    last = halving.finish()
    assert (last is None) == (height % 2 == 0)
    found += [] if last is None else [last]
    np.testing.assert_array_equal(np.concatenate(found), halved(samples))
    assert halved(samples).shape == (-(-height // 2), 3, 3)


def test_no_rows_are_none():
    assert halved(np.zeros((0, 5, 3), np.uint8)).shape == (0, 3, 3)
