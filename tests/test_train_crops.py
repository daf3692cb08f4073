"""The order of examples, crops, substitutes for what cannot be read, and the cache."""

import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.train_pictures import crops, write_folder, write_picture
from train.crops import Cropping, Crops, _resample_window, resize_short_side, to_uint8
from train.sources import DataError, open_source


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Seven pictures in nested folders, one note and one hidden file."""
    return write_folder(tmp_path / "pictures")


def test_each_epoch_visits_every_picture_once_in_its_own_order(folder: Path) -> None:
    stream = crops(open_source(str(folder)))
    orders = [stream.order(epoch).tolist() for epoch in range(4)]
    assert all(sorted(order) == list(range(7)) for order in orders)
    assert len({tuple(order) for order in orders}) == 4


def test_example_depends_on_seed_stream_and_number_only(folder: Path) -> None:
    source = open_source(str(folder))
    one, other = crops(source), crops(source, cache_bytes=1 << 20)
    late = [one.example(k) for k in (30, 4, 4, 17)]
    for number in range(31):  # fills caches in another order
        other.example(number)
    again = [other.example(k) for k in (30, 4, 4, 17)]
    np.testing.assert_array_equal(late, again)
    assert late[0].shape == (16, 16, 3)
    assert late[0].dtype == np.uint8
    for changed in ({"seed": 4}, {"stream": "style"}):
        assert not np.array_equal(one.example(4), crops(source, **changed).example(4))


@pytest.mark.parametrize("largest_crop", [0, 20])
def test_crop_is_a_window_of_the_resized_picture(tmp_path: Path, largest_crop: int) -> None:
    # Red rises with x, green with y: a crop's corners tell where it was cut, and whether it was mirrored.
    y, x = np.mgrid[0:24, 0:48]
    pixels = np.stack([4 * x, 8 * y, 0 * x], -1).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "ramp.png")
    stream = crops(open_source(str(tmp_path)), largest_crop=largest_crop)
    cuts = [stream.example(k).astype(int) for k in range(64)]
    widths = [abs(cut[0, -1, 0] - cut[0, 0, 0]) / 4 for cut in cuts]  # distance of the outer pixel centres
    if largest_crop:
        assert 14 < min(widths) < 16
        assert 17 < max(widths) < 20
    else:
        assert set(widths) == {15}
        assert all(cut[-1, 0, 1] - cut[0, 0, 1] == 15 * 8 for cut in cuts)
        lefts = {min(cut[0, 0, 0], cut[0, -1, 0]) // 4 for cut in cuts}
        assert lefts <= set(range(33))
        assert len(lefts) > 15
        assert {cut[0, 0, 1] // 8 for cut in cuts} == set(range(9))
    mirrored = sum(cut[0, 0, 0] > cut[0, -1, 0] for cut in cuts)
    assert 16 < mirrored < 48
    unflipped = crops(open_source(str(tmp_path)), flip=False)
    assert all(cut[0, 0, 0] < cut[0, -1, 0] for cut in map(unflipped.example, range(16)))


def test_small_pictures_are_enlarged_and_extreme_ones_skipped(tmp_path: Path) -> None:
    write_picture(tmp_path / "tiny.png", (3, 2))
    write_picture(tmp_path / "thread.png", (200, 2))
    stream = crops(open_source(str(tmp_path)))
    assert {stream.example(k).shape for k in range(6)} == {(16, 16, 3)}
    assert list(stream.skipped) == ["thread.png"]
    assert "200x2" in stream.skipped["thread.png"]


def test_window_equals_a_cut_of_the_whole_enlarged_picture(folder: Path) -> None:
    pixels = to_uint8(open_source(str(folder)).pixels(3))  # 32 rows, 40 columns
    whole = resize_short_side(pixels, 64)
    window = _resample_window(pixels, (5 / 64, 30 / 80, 37 / 64, 62 / 80), 32)
    assert np.abs(window.astype(int) - whole[5:37, 30:62]).max() <= 1


def test_sizes_that_contradict_each_other_are_refused(folder: Path) -> None:
    source = open_source(str(folder))
    for options, name in (({"crop": 25}, "crop: 25"), ({"largest_crop": 25}, "largest_crop: 25")):
        with pytest.raises(DataError, match=name):
            crops(source, **options)
    with pytest.raises(DataError, match="no pictures"):
        Crops(source, [], Cropping(8, 8), stream="style")


def test_unreadable_pictures_are_replaced_named_once_and_counted(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = crops(open_source(str(folder)))
    (folder / "b/2.png").write_text("text")
    cut = (folder / "b/1.jpg").read_bytes()
    (folder / "b/1.jpg").write_bytes(cut[: len(cut) // 2])
    source = open_source(str(folder))
    bad = {i for i in range(7) if source.name(i) in ("b/1.jpg", "b/2.png")}
    stream = crops(source)
    with caplog.at_level(logging.WARNING):
        found = [stream.example(k) for k in range(21)]
    assert set(stream.skipped) == {"b/1.jpg", "b/2.png"}
    assert sum("b/2.png" in record.getMessage() for record in caplog.records) == 1
    for k, example in enumerate(found):
        order = whole.order(k // 7).tolist()
        if order[k % 7] in bad:
            # The substitute does not depend on what was met before.
            np.testing.assert_array_equal(example, crops(source).example(k))
        else:
            np.testing.assert_array_equal(example, whole.example(k))


def test_cache_keeps_to_its_limit(folder: Path) -> None:
    room = 2 * 24 * 30 * 3 + 1  # two pictures of 40x32 brought to 30x24
    stream = crops(open_source(str(folder)), cache_bytes=room)
    for k in range(14):
        stream.example(k)
    assert stream._cache.used_bytes == room - 1
