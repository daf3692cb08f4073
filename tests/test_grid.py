"""Pictures in a grid."""

import numpy as np
import pytest

from jaxstyle.image.grid import grid


def test_places_every_picture_on_white() -> None:
    rows = [[np.full((2, 3, 3), 0.1 * (3 * i + j)) for j in range(3)] for i in range(2)]
    rows[1][2] = np.full((2, 3, 3), 7.0)  # clipped
    out = grid(rows, margin=1)
    assert out.shape == (1 + 2 * 3, 1 + 3 * 4, 3)
    assert out.dtype == np.float32
    expected = np.array([[0, 0.1, 0.2], [0.3, 0.4, 1.0]], np.float32)
    np.testing.assert_allclose(out[1::3, 1::4][:2, :3, 0], expected, rtol=1e-6)
    np.testing.assert_allclose(out[2::3, 3::4][:2, :3, 0], expected, rtol=1e-6)
    assert (out[0] == 1).all()
    assert (out[:, -1] == 1).all()
    assert (out[3] == 1).all()
    for wrong in ([], [[]], [[rows[0][0]], rows[0]], [[rows[0][0], np.zeros((1, 1, 3))]]):
        with pytest.raises(ValueError, match="rows"):
            grid(wrong)
