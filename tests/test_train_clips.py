import numpy as np
import pytest

from jaxstyle.metrics.temporal import warping_error
from tests.pictures import smooth
from train.evaluate.clips import MOVES, ROOM, CameraClip

SIDE, COUNT = 40, 6


def clip(move):
    return CameraClip(smooth(round(ROOM * SIDE), round(1.2 * ROOM * SIDE)), move, COUNT, SIDE)


@pytest.mark.parametrize("move", MOVES)
def test_the_motion_of_a_clip_is_what_it_says(move):
    """A smooth picture moved by it is the next frame but for rounding to 8 bits, far apart too; it does move."""
    found = clip(move)
    frames = [frame.pixels for frame in found.frames()]
    assert len(frames) == COUNT and frames[0].shape == (SIDE, SIDE, 3) and found.facts.frames == COUNT
    for lag in (1, 5):
        assert warping_error(frames, found.positions, lag) < 2 / 255**2
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    assert np.abs(found.positions(5, 0) - np.stack([y, x], -1)).max() > 1


@pytest.mark.parametrize("move", MOVES)
def test_positions_there_and_back_are_the_pixels(move):
    found = clip(move)
    there = found.positions(4, 1)
    back = found.positions(1, 4)
    corners = there[::39, ::39]
    # both are affine: what the back way does to any place follows from three of its values
    origin, down, right = back[0, 0], back[1, 0] - back[0, 0], back[0, 1] - back[0, 0]
    again = origin + corners[..., :1] * down + corners[..., 1:] * right
    np.testing.assert_allclose(again, np.stack(np.meshgrid([0, 39], [0, 39], indexing="ij"), -1), atol=1e-9)


def test_frames_from_a_number_on():
    found = clip("pan")
    whole = list(found.frames())
    part = list(found.frames(4))
    assert [frame.pts for frame in part] == [4, 5]
    np.testing.assert_array_equal(part[0].pixels, whole[4].pixels)
