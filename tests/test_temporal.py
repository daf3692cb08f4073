import numpy as np
import pytest

from jaxstyle.metrics import metrics, temporal
from jaxstyle.metrics.networks import MetricsError, lpips
from jaxstyle.metrics.temporal import lpips_by_lag, temporal_lpips, warping_error
from tests.pictures import smooth

NETWORKS = metrics.load_networks()


def pictures(shape, seed=0):
    return np.random.default_rng(seed).random(shape, np.float32)


def shift(down, right):
    """Positions of things that move so many pixels a frame."""

    def positions(now, before):
        y, x = np.mgrid[0:30, 0:40].astype(np.float64)
        return np.stack([y - (now - before) * down, x - (now - before) * right], -1)

    return positions


# ---- LPIPS -------------------------------------------------------------------------------------------------


def test_temporal_lpips_is_the_mean_over_neighbours_and_sees_each_frame_once(monkeypatch):
    frames = pictures((4, 32, 32, 3))
    frames[2] = frames[1]
    pairs = [float(lpips(NETWORKS, frames[i], frames[i + 1])) for i in range(3)]
    far = [float(lpips(NETWORKS, frames[i], frames[i + 2])) for i in range(2)]
    seen, original = [], temporal.features
    monkeypatch.setattr(temporal, "features", lambda *args: seen.append(args) or original(*args))
    found = lpips_by_lag(NETWORKS, (frame for frame in frames), (1, 2))
    assert found == pytest.approx([np.mean(pairs), np.mean(far)], rel=1e-4)
    assert pairs[1] < 1e-12 and len(seen) == 4
    assert temporal_lpips(NETWORKS, frames) == pytest.approx(found[0], rel=1e-6)


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([], "frames: 0; expected at least 2"),
        ([np.zeros((16, 16, 3), np.float32)], "frames: 1; expected at least 2"),
        ([np.zeros((16, 16, 3), np.float32), np.zeros((16, 17, 3), np.float32)], r"number 2 .*17.*\(16, 16, 3\)"),
        ([np.zeros((1, 16, 16, 3), np.float32)], r"number 1 .*expected \(H, W, 3\)"),
        ([np.zeros((8, 16, 3), np.float32)], "frames: 16 x 8 pixels; expected at least 16 x 16"),
    ],
)
def test_frames_that_are_no_video(frames, message):
    with pytest.raises(MetricsError, match=message):
        temporal_lpips(NETWORKS, frames)


def test_a_lag_is_at_least_one():
    for lag in (0, -1):
        with pytest.raises(MetricsError, match=f"^lag: expected at least 1, got {lag}$"):
            temporal_lpips(NETWORKS, pictures((3, 16, 16, 3)), lag)
        with pytest.raises(MetricsError, match=f"^frames: 3, lag: {lag}; expected"):
            warping_error(pictures((3, 30, 40, 3)), shift(0, 0), lag)
    with pytest.raises(MetricsError, match=r"^frames: 3; expected at least 4"):
        temporal_lpips(NETWORKS, pictures((3, 16, 16, 3)), 3)


# ---- warping error -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("lag", [1, 3])
def test_what_moves_as_it_should_has_no_error(lag):
    large = pictures((60, 80, 3))
    frames = [large[20 - 2 * i : 50 - 2 * i, 30 - 3 * i : 70 - 3 * i] for i in range(6)]
    assert warping_error(frames, shift(2, 3), lag) == 0
    assert warping_error(frames, shift(0, 0), lag) > 0.1


def test_flicker_is_the_mean_of_its_square():
    still = 0.25 + 0.5 * smooth(30, 40)
    frames = [still + 0.1 * (i % 2) for i in range(5)]
    assert warping_error(frames, shift(0, 0)) == pytest.approx(0.01, rel=1e-4)
    assert warping_error(frames, shift(0, 0), 2) == pytest.approx(0, abs=1e-10)
    as_bytes = [np.rint(255 * frame).astype(np.uint8) for frame in frames]
    assert warping_error(as_bytes, shift(0, 0)) == pytest.approx(0.01, rel=0.05)


def test_it_is_what_a_slow_reference_finds():
    frames = pictures((3, 30, 40, 3))
    rng = np.random.default_rng(1)
    moves = {(i, i - 1): np.stack(np.mgrid[0:30, 0:40], -1) + rng.normal(0, 3, (30, 40, 2)) for i in (1, 2)}
    errors = []
    for now in (1, 2):
        found = []
        for y in range(30):
            for x in range(40):
                row, column = moves[now, now - 1][y, x]
                if 0 <= row <= 29 and 0 <= column <= 39:
                    top, left = min(int(row), 28), min(int(column), 38)
                    v, u = row - top, column - left
                    b = frames[now - 1]
                    value = (1 - v) * ((1 - u) * b[top, left] + u * b[top, left + 1])
                    value = value + v * ((1 - u) * b[top + 1, left] + u * b[top + 1, left + 1])
                    found.append(np.square(frames[now][y, x] - value).mean())
        errors.append(np.mean(found))
    assert warping_error(frames, lambda now, before: moves[now, before]) == pytest.approx(np.mean(errors), rel=1e-4)


def test_what_was_hidden_or_outside_does_not_count():
    frames = [np.zeros((30, 40, 3), np.float32), np.zeros((30, 40, 3), np.float32)]
    frames[1][:, :10] = 1

    def positions(now, before):
        found = shift(0, 0)(now, before)
        found[:, :5] = np.nan
        found[:, 5:10, 1] = -3
        return found

    assert warping_error(frames, positions) == 0
    with pytest.raises(MetricsError, match=r"^positions: no pixel of frame 1 is in frame 0$"):
        warping_error(frames, lambda now, before: np.full((30, 40, 2), np.nan))
