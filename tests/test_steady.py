import threading
import time
from typing import NamedTuple

import numpy as np
import pytest

from jaxstyle.video import steady
from jaxstyle.video.steady import Average, Flow, Memory
from tests.pictures import smooth


class Survey(NamedTuple):
    mean: np.ndarray
    squares: np.ndarray


def survey(value):
    return Survey(np.full(3, value, np.float32), np.full((2, 2), 10 * value, np.float32))


def textured(height=96, width=128, seed=0):
    """A picture on which flow can hold on."""
    rng = np.random.default_rng(seed)
    sizes = [(s, rng.random((-(-height // s), -(-width // s), 3))) for s in (2, 4, 8, 16)]
    whole = sum(np.kron(coarse, np.ones((s, s, 1)))[:height, :width] / 4 for s, coarse in sizes)
    return np.asarray(255 * whole).astype(np.uint8)


# ---- cuts --------------------------------------------------------------------------------------------------


def test_cuts_are_told_from_motion_and_noise():
    one, other = textured(seed=1), np.asarray(255 * smooth(96, 128)).astype(np.uint8)
    assert steady.difference(one, one) == 0
    moved = np.roll(one, (3, -5), (0, 1))
    noisy = np.clip(one + np.random.default_rng(0).normal(0, 6, one.shape), 0, 255).astype(np.uint8)
    for same in (moved, noisy, np.clip(one.astype(int) + 6, 0, 255).astype(np.uint8)):
        assert steady.difference(one, same) < steady.CUT / 2
    assert steady.difference(one, other) > steady.CUT and steady.difference(one, 255 - other) > steady.CUT
    assert steady.difference(np.zeros((9, 9, 3), np.uint8), np.full((9, 9, 3), 255, np.uint8)) == 1


# ---- statistics --------------------------------------------------------------------------------------------


def test_the_average_is_exponential_and_begins_anew_at_cuts():
    average, size = Average(0.75, 0), (8, 8)
    values, cuts = [4, 8, 0, 2], [True, False, False, True]
    found = [float(average.join(i, cuts[i], size, survey(v)).mean[0]) for i, v in enumerate(values)]
    assert found == [4, 5, 3.75, 2]
    leaves = average.after(3)[size]
    np.testing.assert_array_equal(leaves[1], np.full((2, 2), 20, np.float32))


def test_an_average_that_was_put_away_goes_on_with_the_same_bits():
    whole, first = Average(0.9, 0), Average(0.9, 0)
    values = np.random.default_rng(0).random(6)
    for i, value in enumerate(values):
        wanted = whole.join(i, False, (4, 4), survey(value))
        if i < 3:
            first.join(i, False, (4, 4), survey(value))
    second = Average(0.9, 3, first.after(2))
    for i in range(3, 6):
        found = second.join(i, False, (4, 4), survey(values[i]))
    np.testing.assert_array_equal(found.mean, wanted.mean)


def test_threads_wait_for_the_frame_before():
    average, order = Average(0.5, 0), []

    def join(number):
        average.join(number, False, (4, 4), survey(number))
        order.append(number)

    threads = [threading.Thread(target=join, args=(number,)) for number in (2, 1, 0)]
    for thread in threads:
        thread.start()
        time.sleep(0.02)
    for thread in threads:
        thread.join(5)
    assert sorted(order) == [0, 1, 2]
    np.testing.assert_allclose(average.after(2)[(4, 4)][0], 1.25)  # ((0 + 1) / 2 + 2) / 2


def test_nobody_waits_for_a_frame_that_failed():
    average, found = Average(0.5, 0), []

    def join():
        try:
            average.join(1, False, (4, 4), survey(1))
        except RuntimeError as error:
            found.append(str(error))

    thread = threading.Thread(target=join)
    thread.start()
    average.fail()
    thread.join(5)
    assert found == ["the frame before could not be painted"]


# ---- flow --------------------------------------------------------------------------------------------------


def test_the_flow_of_a_shift_is_that_shift():
    pytest.importorskip("cv2", reason="flow needs OpenCV: pip install 'jaxstyle[flow]'")
    before = textured()
    now = np.roll(before, (3, -4), (0, 1))  # things move 3 down and 4 to the left
    found = steady.flow(before, now)
    y, x = np.mgrid[16:80, 16:112]
    assert np.abs(found.columns[16:80, 16:112] - (x + 4)).mean() < 0.2
    assert np.abs(found.rows[16:80, 16:112] - (y - 3)).mean() < 0.2
    assert found.trust[16:80, 16:112].mean() > 0.9 and found.trust.min() >= 0 and found.trust.max() <= 1
    assert found.trust[:, -4:].mean() < 0.2  # what comes in at the border was not there before


def test_what_comes_into_view_is_not_trusted():
    pytest.importorskip("cv2", reason="flow needs OpenCV: pip install 'jaxstyle[flow]'")
    before, now = textured(), textured()
    now[30:60, 40:80] = textured(seed=5)[30:60, 40:80]
    found = steady.flow(before, now)
    assert found.trust[34:56, 44:76].mean() < 0.3 < 0.9 < found.trust[70:].mean()


def test_without_opencv_there_is_no_flow(monkeypatch):
    monkeypatch.setattr(steady, "flow_library", lambda: None)
    assert steady.flow(textured(), textured()) is None


def still(height, width, trust=1.0):
    rows, columns = np.indices((height, width), dtype=np.float32)
    return Flow(columns, rows, np.full((height, width), trust, np.float32))


def test_mixing_is_a_mean_whose_contrast_is_kept():
    pytest.importorskip("cv2", reason="flow needs OpenCV: pip install 'jaxstyle[flow]'")
    rng = np.random.default_rng(0)
    painted = np.clip(rng.normal(0.5, 0.1, (64, 64, 3)), 0, 1).astype(np.float32)
    same = steady.mixed(painted, steady.as_samples(painted), still(64, 64), 0.5)
    assert np.abs(same - painted).max() < 2 / 255
    other = steady.as_samples(np.clip(rng.normal(0.5, 0.1, (64, 64, 3)), 0, 1).astype(np.float32))
    found = steady.mixed(painted, other, still(64, 64), 0.5)
    assert found.std() == pytest.approx(painted.std(), rel=0.03)  # of a mean alone 0.71 of it
    toward = [np.corrcoef(found.ravel(), x.ravel())[0, 1] for x in (painted, other.astype(np.float32))]
    assert toward[0] == pytest.approx(toward[1], abs=0.05) and toward[0] == pytest.approx(2**-0.5, abs=0.05)


def test_where_nothing_is_mixed_the_painting_stays_to_the_last_bit():
    pytest.importorskip("cv2", reason="flow needs OpenCV: pip install 'jaxstyle[flow]'")
    painted, before = smooth(40, 50), textured(40, 50)
    np.testing.assert_array_equal(steady.mixed(painted, before, still(40, 50, 0.0), 0.5), painted)
    weight = np.zeros((40, 50), np.float32)
    weight[:, 25:] = 0.5
    found = steady.mixed(painted, before, still(40, 50), weight)
    np.testing.assert_array_equal(found[:, :25], painted[:, :25])
    assert np.abs(found - painted)[:, 25:].mean() > 0.02


def test_no_weight_is_above_the_largest():
    pytest.importorskip("cv2", reason="flow needs OpenCV: pip install 'jaxstyle[flow]'")
    painted, before = smooth(40, 48), textured(40, 48)
    np.testing.assert_array_equal(
        steady.mixed(painted, before, still(40, 48), 0.9), steady.mixed(painted, before, still(40, 48), steady.MOST)
    )


# ---- memory ------------------------------------------------------------------------------------------------


def test_a_memory_comes_back_as_it_was():
    rng = np.random.default_rng(0)
    averages = {(8, 9): [rng.random(3, np.float32), np.float32(4)], (2, 3): [rng.random((2, 2), np.float32)]}
    memory = Memory(textured(8, 16), textured(8, 16, 1), rng.random((5, 3), np.float32), averages)
    found = Memory.from_bytes(memory.to_bytes())
    for a, b in zip(memory[:3], found[:3], strict=True):
        np.testing.assert_array_equal(a, b)
    assert list(found.averages) == list(averages)
    for size, leaves in averages.items():
        for a, b in zip(leaves, found.averages[size], strict=True):
            np.testing.assert_array_equal(a, b)
            assert np.asarray(b).dtype == np.float32
    assert Memory.from_bytes(memory._replace(averages={}).to_bytes()).averages == {}


def test_the_colours_of_a_scene_are_few_of_its_pixels():
    found = steady.scene_colours(np.zeros((1000, 700, 3), np.float32))
    assert found.shape[1] == 3 and 2**14 <= len(found) <= 2**16
    np.testing.assert_array_equal(steady.scene_colours(smooth(5, 6)), smooth(5, 6).reshape(-1, 3))
