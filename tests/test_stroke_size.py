import shutil

import numpy as np
import pytest

from jaxstyle import image
from jaxstyle.image import ImageError
from jaxstyle.image.windows import ArraySource
from jaxstyle.painting import stroke_size
from jaxstyle.painting.stroke_size import Shelf, painted

HEIGHT, WIDTH = 75, 110
PHOTO = np.random.default_rng(0).random((HEIGHT, WIDTH, 3), np.float32)


@pytest.fixture
def negative():
    """Instead of a method; with the sizes that were painted, and whether their progress counts."""
    calls = []

    def paint(source, counts):
        height, width = source.shape[:2]
        calls.append(((height, width), counts))
        for top in range(0, height, 32):
            yield 1 - source.read(top, min(top + 32, height), 0, width)

    paint.calls = calls
    return paint


@pytest.mark.parametrize("disk", [False, True])
@pytest.mark.parametrize("style_size", [20, 40, 75, 90])
def test_scaled_down_it_is_the_small_painting_with_the_detail_of_the_large(
    negative, style_size, disk, tmp_path, monkeypatch
):
    monkeypatch.setattr(stroke_size, "ROWS", 50)
    small = image.short_side_size((HEIGHT, WIDTH), style_size)
    with Shelf(tmp_path if disk else None) as shelf:
        bands = list(painted(ArraySource(PHOTO), small, negative, shelf))
    found = np.concatenate(bands)
    expected = image.resize(1 - image.resize(PHOTO, small), (HEIGHT, WIDTH))
    if style_size < HEIGHT:
        seen = image.resize(image.resize(1 - PHOTO, small), (HEIGHT, WIDTH))
        expected = np.clip(expected + 1 - PHOTO - seen, 0, 1)
    assert found.dtype == np.float32 and found.min() >= 0 and found.max() <= 1
    np.testing.assert_allclose(found, expected, atol=1e-4 if disk else 1e-6)
    if style_size == HEIGHT:
        assert negative.calls == [((HEIGHT, WIDTH), True)]  # once, and nothing is kept
    elif style_size > HEIGHT:
        assert negative.calls == [(small, True)]
    else:
        assert negative.calls == [(small, False), ((HEIGHT, WIDTH), True)]
    if style_size != HEIGHT:
        assert [len(band) for band in bands] == ([50, 25] if disk else [HEIGHT])
    assert list(tmp_path.iterdir()) == []


def test_a_disk_without_room(negative, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(1, 1, 0))
    source = ArraySource(PHOTO)
    with Shelf(tmp_path) as shelf:
        np.concatenate(list(painted(source, (HEIGHT, WIDTH), negative, shelf)))  # needs none
        with pytest.raises(ImageError, match=r"there is no room for the painting in between \(0\.0 GB are needed\)$"):
            list(painted(source, (40, 59), negative, shelf))
