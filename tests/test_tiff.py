import errno

import numpy as np
import PIL.Image
import pytest

from jaxstyle.image import tiff
from jaxstyle.image.pyramid import halved
from jaxstyle.image.tiff import levels, write_tiff
from jaxstyle.runtime.scratch import Scratch

tifffile = pytest.importorskip("tifffile")
RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    monkeypatch.setattr(tiff, "TILE", 32)


def bands(samples, step):
    return (samples[top : top + step] for top in range(0, len(samples), step))


def test_levels_go_down_to_one_tile():
    assert [levels(*size) for size in ((1, 1), (32, 32), (33, 1), (64, 64), (65, 64), (20, 1000))] == [0, 0, 1, 1, 2, 5]


@pytest.mark.parametrize(("height", "width"), [(70, 100), (64, 96), (33, 31), (20, 20)])
@pytest.mark.parametrize(("dtype", "channels"), [(np.uint8, 3), (np.uint16, 4)])
@pytest.mark.parametrize("step", [7, 32, 1000])
def test_every_level_is_the_mean_of_the_one_before(tmp_path, height, width, dtype, channels, step):
    samples = RNG.integers(0, np.iinfo(dtype).max + 1, (height, width, channels)).astype(dtype)
    write_tiff(str(tmp_path / "a.tif"), bands(samples, step), samples.shape, samples.itemsize * 8, pyramid=True)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        page, found = file.pages[0], file.series[0].levels
        assert len(file.pages) == 1 and len(found) == 1 + levels(height, width)
        assert file.series[0].is_pyramidal == (len(found) > 1)
        assert page.subfiletype == 0 and (page.tilewidth, page.tilelength) == (32, 32)
        for level in found:
            np.testing.assert_array_equal(level.asarray(), samples)
            assert level.pages[0].subfiletype == (level is not found[0])
            samples = halved(samples)
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]


def test_pillow_reads_the_full_size(tmp_path, monkeypatch):
    samples = RNG.integers(0, 256, (70, 100, 3), np.uint8)
    for limit, big in ((7001, False), (7000, True)):
        monkeypatch.setattr(tiff, "PYRAMID_BIGTIFF", limit)
        write_tiff(str(tmp_path / "a.tif"), bands(samples, 9), samples.shape, 8, pyramid=True)
        with tifffile.TiffFile(tmp_path / "a.tif") as file:
            assert file.is_bigtiff == big
        with PIL.Image.open(tmp_path / "a.tif") as found:
            assert found.n_frames == 1
            np.testing.assert_array_equal(np.asarray(found), samples)


def test_without_a_pyramid_there_is_one_picture(tmp_path):
    samples = RNG.integers(0, 256, (70, 100, 3), np.uint8)
    write_tiff(str(tmp_path / "a.tif"), bands(samples, 9), samples.shape, 8)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert not file.is_bigtiff and not file.series[0].is_pyramidal
        np.testing.assert_array_equal(file.asarray(), samples)


def test_no_room_for_the_smaller_versions(tmp_path, monkeypatch):
    samples = RNG.integers(0, 256, (70, 100, 3), np.uint8)
    monkeypatch.setattr(Scratch, "write", lambda self, *_: self.__exit__())  # as when the disk is full
    with pytest.raises(OSError, match=r"no space left on device for the smaller versions .*50 x 35") as caught:
        write_tiff(str(tmp_path / "a.tif"), bands(samples, 9), samples.shape, 8, pyramid=True)
    assert caught.value.errno == errno.ENOSPC
