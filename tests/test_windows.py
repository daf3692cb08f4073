import numpy as np
import PIL.Image
import PIL.ImageCms
import pytest

from jaxstyle import image
from jaxstyle.image import ImageError
from jaxstyle.image import windows as bigimage
from jaxstyle.image.windows import ArraySource, open_large

RNG = np.random.default_rng(0)
HEIGHT, WIDTH = 70, 101


def samples(channels, dtype=np.uint8):
    return RNG.integers(0, np.iinfo(dtype).max + 1, (HEIGHT, WIDTH, channels), dtype)


def windows(source):
    """The whole picture, put together from windows that do not fit anything."""
    out = np.empty(source.shape, np.float32)
    for top in range(0, HEIGHT, 23):
        for left in range(0, WIDTH, 37):
            bottom, right = min(top + 23, HEIGHT), min(left + 37, WIDTH)
            window = source.read(top, bottom, left, right)
            assert window.dtype == np.float32
            out[top:bottom, left:right] = window
    return out


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, bool])
def test_windows_of_an_array(dtype):
    array = (RNG.random((HEIGHT, WIDTH, 3)) * (1 if dtype in (np.float32, bool) else np.iinfo(dtype).max)).astype(dtype)
    source = ArraySource(array)
    assert isinstance(source, bigimage.Source) and source.shape == (HEIGHT, WIDTH, 3)
    expected = array.astype(np.float32) / (1 if dtype in (np.float32, bool) else np.iinfo(dtype).max)
    np.testing.assert_allclose(windows(source), expected, atol=1e-7)


def test_a_memory_mapped_array_is_not_read_as_a_whole(tmp_path):
    np.save(tmp_path / "picture.npy", samples(3))
    mapped = np.load(tmp_path / "picture.npy", mmap_mode="r")
    np.testing.assert_array_equal(windows(ArraySource(mapped)), mapped.astype(np.float32) / np.float32(255))


@pytest.mark.parametrize("array", [np.zeros((0, 4, 3)), np.zeros(4), np.zeros((4, 4), np.int32), "picture.png"])
def test_what_is_no_picture(array):
    with pytest.raises(ValueError, match="source: expected "):
        ArraySource(array)


@pytest.mark.parametrize("value", [1.01, 255, -1, np.nan])
def test_floats_of_another_scale_are_found_when_they_are_reached(value):
    array = np.zeros((20, 10), np.float32)
    array[15, 5] = value
    source = ArraySource(array)
    assert source.read(0, 15, 0, 10).shape == (15, 10)
    with pytest.raises(ValueError, match=r"source: expected floats in \[0, 1\].* in rows 10 \.\. 19"):
        source.read(10, 20, 0, 10)


def test_a_small_overshoot_is_clipped():
    array = np.array([[-0.0001, 0.5, 1.0001]], np.float32)
    np.testing.assert_array_equal(ArraySource(array).read(0, 1, 0, 3), np.array([[0, 0.5, 1]], np.float32))


@pytest.mark.parametrize("strip", [1, 2000, 1 << 20])
@pytest.mark.parametrize("shape", [(HEIGHT, WIDTH), (HEIGHT, WIDTH, 3)])
@pytest.mark.parametrize("size", [(HEIGHT, WIDTH), (140, 31), (9, 260), (1, 1)])
def test_resized_windows_are_those_of_the_whole(shape, size, strip, monkeypatch):
    monkeypatch.setattr(bigimage, "STRIP_PIXELS", strip)
    pixels = RNG.random(shape).astype(np.float32)
    expected = image.resize(pixels, size)
    source = bigimage.Resized(ArraySource(pixels), *size)
    assert source.shape == expected.shape and isinstance(source, bigimage.Source)
    for top, bottom in ((0, size[0]), (size[0] // 3, size[0] // 3 + 1), (size[0] // 2, size[0])):
        for left, right in ((0, size[1]), (size[1] // 3, size[1])):
            window = source.read(top, bottom, left, right)
            np.testing.assert_allclose(window, expected[top:bottom, left:right], atol=2e-5)


@pytest.mark.parametrize(
    ("mode", "name"), [("RGB", "a.png"), ("RGBA", "b.png"), ("L", "c.png"), ("CMYK", "d.jpg"), ("P", "e.gif")]
)
def test_gives_what_read_gives(tmp_path, mode, name):
    path = tmp_path / name
    PIL.Image.fromarray(samples(4), "RGBA").convert(mode).save(path)
    expected = image.read(path)
    with open_large(path) as picture:
        np.testing.assert_array_equal(windows(picture.pixels), expected.pixels)
        assert (picture.alpha is None) == (expected.alpha is None)
        if picture.alpha is not None:
            np.testing.assert_array_equal(windows(picture.alpha), expected.alpha)
        assert (picture.bits, picture.format, picture.streamed) == (8, expected.format, False)
        assert picture.notices == expected.notices
    with open_large(path.read_bytes()) as same:
        np.testing.assert_array_equal(windows(same.pixels), expected.pixels)


def test_sixteen_bits_orientation_and_exif(tmp_path):
    exif = PIL.Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a description"
    PIL.Image.fromarray(samples(3)).save(tmp_path / "turned.jpg", exif=exif)
    image.write(tmp_path / "deep.png", samples(3, np.uint16), bits=16)
    for name, bits in (("turned.jpg", 8), ("deep.png", 16)):
        expected = image.read(tmp_path / name)
        with open_large(tmp_path / name) as picture:
            assert (picture.bits, picture.exif, picture.pixels.shape) == (bits, expected.exif, expected.pixels.shape)
            height, width = picture.pixels.shape[:2]
            np.testing.assert_array_equal(picture.pixels.read(0, height, 0, width), expected.pixels)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(
    "layout",
    [{"tile": (32, 48)}, {"tile": (32, 48), "compression": "zlib", "predictor": True}, {"rowsperstrip": 9}, {}],
)
def test_tiff_is_read_piece_by_piece(tmp_path, layout, channels, dtype, monkeypatch):
    tifffile = pytest.importorskip("tifffile")
    monkeypatch.setattr(bigimage, "CACHE_BYTES", 20_000)  # so that segments are dropped and read again
    array, path = samples(channels, dtype), tmp_path / "picture.tif"
    extra = {"extrasamples": ["unassalpha"]} if channels == 4 else {}
    kind = "minisblack" if channels == 1 else "rgb"
    tifffile.imwrite(path, array if channels > 1 else array[..., 0], photometric=kind, **layout, **extra)
    with open_large(path) as picture:
        assert (picture.streamed, picture.format, picture.bits) == (True, "TIFF", array.itemsize * 8)
        unit = array.astype(np.float32) / np.float32(np.iinfo(dtype).max)
        expected = np.repeat(unit, 3, -1) if channels == 1 else unit[..., :3]
        np.testing.assert_array_equal(windows(picture.pixels), expected)
        assert (picture.alpha is not None) == (channels == 4)
        if picture.alpha is not None:
            np.testing.assert_array_equal(windows(picture.alpha), unit[..., 3])
    with open_large(path.read_bytes()) as same:
        assert same.streamed
        np.testing.assert_array_equal(windows(same.pixels), expected)


def test_tiff_of_other_kinds_is_decoded_as_a_whole(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    rgb = PIL.Image.fromarray(samples(3))
    rgb.convert("P").save(tmp_path / "palette.tif")
    rgb.convert("CMYK").save(tmp_path / "cmyk.tif")
    exif = PIL.Image.Exif()
    exif[0x0112] = 3
    rgb.save(tmp_path / "turned.tif", exif=exif)
    rgb.save(
        tmp_path / "profile.tif", icc_profile=PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()
    )
    tifffile.imwrite(
        tmp_path / "planes.tif", np.moveaxis(samples(3), -1, 0), photometric="rgb", planarconfig="separate"
    )
    for path in tmp_path.iterdir():
        expected = image.read(path)
        with open_large(path) as picture:
            assert not picture.streamed, path
            np.testing.assert_array_equal(windows(picture.pixels), expected.pixels)


def test_tiff_without_tifffile(tmp_path, monkeypatch):
    PIL.Image.fromarray(samples(3)).save(tmp_path / "picture.tif")
    monkeypatch.setitem(__import__("sys").modules, "tifffile", None)
    with open_large(tmp_path / "picture.tif") as picture:
        assert not picture.streamed
        np.testing.assert_array_equal(windows(picture.pixels), image.read(tmp_path / "picture.tif").pixels)


def test_damage_inside_a_tiff_is_found_when_it_is_reached(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    path = tmp_path / "damaged.tif"
    tifffile.imwrite(path, samples(3), photometric="rgb", rowsperstrip=10, compression="zlib")
    with tifffile.TiffFile(path) as file:
        offset = file.pages[0].dataoffsets[5]
    data = bytearray(path.read_bytes())
    data[offset : offset + 50] = bytes(50)
    path.write_bytes(data)
    with open_large(path) as picture:
        picture.pixels.read(0, 50, 0, WIDTH)
        with pytest.raises(ImageError, match=r"damaged.tif: cannot be decoded at row 50, column 0: ") as found:
            picture.pixels.read(40, 60, 0, WIDTH)
    assert "\n" not in str(found.value)


def test_says_what_is_wrong(tmp_path):
    (tmp_path / "text.png").write_text("not a picture")
    PIL.Image.fromarray(samples(3)).save(tmp_path / "good.png")
    data = (tmp_path / "good.png").read_bytes()
    (tmp_path / "half.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(ImageError, match=r"text\.png: cannot be read: it is text"):
        open_large(tmp_path / "text.png")
    with pytest.raises(ImageError, match=r"half\.png: cannot be read: "):
        open_large(tmp_path / "half.png")
    with pytest.raises(ImageError, match=r"none\.png: no such file"):
        open_large(tmp_path / "none.png")
    with pytest.raises(ImageError, match=r"good\.png: 101 x 70 is 0\.0 megapixels, more than the limit"):
        open_large(tmp_path / "good.png", max_pixels=100)


def test_sample():
    pixels, mask = samples(3), np.zeros((HEIGHT, WIDTH), np.uint8)
    unit = pixels.astype(np.float32) / np.float32(255)
    every = bigimage.sample(bigimage.LargePicture(ArraySource(pixels)))
    np.testing.assert_array_equal(every, unit.reshape(-1, 3))
    some = bigimage.sample(bigimage.LargePicture(ArraySource(pixels)), 800)
    np.testing.assert_array_equal(some, unit[1::3, 1::3].reshape(-1, 3))
    clear = bigimage.LargePicture(ArraySource(pixels), ArraySource(mask))
    np.testing.assert_array_equal(bigimage.sample(clear), every)
    mask[:20] = 1
    np.testing.assert_array_equal(bigimage.sample(clear), unit[:20].reshape(-1, 3))
    assert bigimage.sample(bigimage.LargePicture(ArraySource(pixels[:1])), 4).shape == (17, 3)
