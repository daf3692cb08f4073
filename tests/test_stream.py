import os

import numpy as np
import PIL.Image
import pytest

from jaxstyle import image
from jaxstyle.image import ImageError, stream, tiff
from jaxstyle.image.stream import Rows, check_target
from jaxstyle.image.windows import ArraySource, open_large

RNG = np.random.default_rng(0)
HEIGHT, WIDTH = 531, 700
PIXELS = np.repeat(np.repeat(RNG.random((59, 70, 3), np.float32), 9, 0), 10, 1)
MASK = np.repeat(np.repeat(RNG.random((59, 70), np.float32), 9, 0), 10, 1)


def write(target, bands, height, width, *, alpha=None, bits=8, exif=None, **options):
    return stream.write(target, Rows(bands, height, width, alpha, bits, exif), **options)


def bands(pixels=PIXELS, heights=(1, 300, 7, 223)):
    top = 0
    for height in heights:
        yield pixels[top : top + height]
        top += height


@pytest.mark.parametrize("alpha", [None, MASK])
@pytest.mark.parametrize(("name", "bits"), [("a.png", 8), ("a.png", 16), ("a.tif", 8), ("a.tif", 16), ("a.webp", 8)])
def test_every_sample_is_kept(tmp_path, name, bits, alpha):
    if name == "a.tif":
        pytest.importorskip("tifffile")
    path = tmp_path / name
    mask = None if alpha is None else ArraySource(alpha)
    assert write(path, bands(), HEIGHT, WIDTH, alpha=mask, bits=bits) == ()
    with open_large(path) as found:  # `image.read` takes 16-bit TIFF with transparency at 8 bits
        assert found.bits == bits
        np.testing.assert_allclose(found.pixels.read(0, HEIGHT, 0, WIDTH), PIXELS, atol=0.51 / (2**bits - 1))
        if alpha is not None:
            np.testing.assert_allclose(found.alpha.read(0, HEIGHT, 0, WIDTH), alpha, atol=0.51 / (2**bits - 1))
    assert [file.name for file in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("bits", [8, 16])
def test_png_has_the_samples_that_image_write_gives(tmp_path, bits):
    mask = MASK.copy()
    write(tmp_path / "rows.png", bands(), HEIGHT, WIDTH, alpha=ArraySource(mask), bits=bits)
    image.write(tmp_path / "whole.png", PIXELS, alpha=mask, bits=bits)
    rows, whole = image.read(tmp_path / "rows.png"), image.read(tmp_path / "whole.png")
    np.testing.assert_array_equal(rows.pixels, whole.pixels)
    np.testing.assert_array_equal(rows.alpha, whole.alpha)


def test_tiff_is_tiled_and_large_where_it_must_be(tmp_path, monkeypatch):
    tifffile = pytest.importorskip("tifffile")
    write(tmp_path / "a.tif", bands(), HEIGHT, WIDTH)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        page = file.pages[0]
        assert (page.tilewidth, page.tilelength, page.compression.name) == (512, 512, "ADOBE_DEFLATE")
        assert not file.is_bigtiff
    assert image.read(tmp_path / "a.tif").pixels.shape == (HEIGHT, WIDTH, 3)  # Pillow reads it, too
    options = {}
    monkeypatch.setattr(tifffile, "TiffWriter", lambda path, **given: options.update(given) or 1 / 0)
    for shape, large in (((37000, 37000, 3), False), ((38000, 38000, 3), True)):
        with pytest.raises(ZeroDivisionError):
            tiff.write_tiff("x", [], shape, 8)
        assert options["bigtiff"] is large


def test_exif_is_kept_where_rows_can_hold_it(tmp_path):
    exif = PIL.Image.Exif()
    exif[0x010E] = "a description"
    block = exif.tobytes()
    assert write(tmp_path / "a.png", bands(), HEIGHT, WIDTH, exif=block) == ()
    with PIL.Image.open(tmp_path / "a.png") as found:
        assert found.getexif()[0x010E] == "a description"
    write(tmp_path / "a.jpg", bands(), HEIGHT, WIDTH, exif=block)
    with PIL.Image.open(tmp_path / "a.jpg") as found:
        assert found.getexif()[0x010E] == "a description"
    notices = write(tmp_path / "a.dzi", bands(), HEIGHT, WIDTH, exif=block)
    assert notices == ("DZI is written in tiles without EXIF data: PNG keeps it",)


def test_what_a_format_cannot_hold_is_said(tmp_path):
    notices = write(tmp_path / "a.jpg", bands(), HEIGHT, WIDTH, alpha=ArraySource(MASK), bits=16, quality=100)
    assert [n.split(":")[0] for n in notices] == [
        "JPEG is written at 8 bits per channel",
        "JPEG has no transparency",
    ]
    assert np.abs(image.read(tmp_path / "a.jpg").pixels - PIXELS).mean() < 0.02


def test_tiff_without_tifffile(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tifffile", None)
    notices = write(tmp_path / "a.tif", bands(), HEIGHT, WIDTH, bits=16)
    assert notices == ("TIFF is written at 8 bits per channel: PNG keeps 16",)
    np.testing.assert_allclose(image.read(tmp_path / "a.tif").pixels, PIXELS, atol=0.51 / 255)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.dzi", "a.jpg"])
def test_a_failure_leaves_what_was_there(tmp_path, name):
    def breaks(error):
        yield PIXELS[:300]
        raise error

    for error in (KeyboardInterrupt(), ImageError("photo.tif", "cannot be decoded")):
        with pytest.raises(type(error)):
            write(tmp_path / name, breaks(error), HEIGHT, WIDTH)
        assert list(tmp_path.iterdir()) == []
    write(tmp_path / name, bands(), HEIGHT, WIDTH)
    before = {file: file.is_dir() or file.read_bytes() for file in tmp_path.rglob("*")}
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / name, breaks(KeyboardInterrupt()), HEIGHT, WIDTH)
    assert {file: file.is_dir() or file.read_bytes() for file in tmp_path.rglob("*")} == before
    with pytest.raises(ImageError, match=r"exists already"):
        write(tmp_path / name, bands(), HEIGHT, WIDTH, overwrite=False)
    write(tmp_path / name, bands(), HEIGHT, WIDTH)
    assert {file: file.is_dir() or file.read_bytes() for file in tmp_path.rglob("*")} == before


def test_a_full_disk_is_one_line(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(stream, "write_png", full)
    with pytest.raises(ImageError, match=r"a\.png: cannot be written: no space left on device$"):
        write(tmp_path / "a.png", bands(), HEIGHT, WIDTH)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("heights", "message"),
    [((300,), "300 rows of 531 came"), ((300, 200, 31, 1), r"rows 531 .. 531 .* do not fit 700 x 531")],
)
def test_rows_are_counted(tmp_path, heights, message):
    pixels = np.concatenate([PIXELS, PIXELS[:1]])
    with pytest.raises(ImageError, match=message):
        write(tmp_path / "a.png", bands(pixels, heights), HEIGHT, WIDTH)
    with pytest.raises(ImageError, match="do not fit 700 x 531"):
        write(tmp_path / "a.png", bands(PIXELS[:, 1:]), HEIGHT, WIDTH)
    assert list(tmp_path.iterdir()) == []


def test_targets(tmp_path):
    def never():
        raise AssertionError("the first band was computed")
        yield

    os.mkfifo(tmp_path / "pipe.png")
    for name, message in (
        ("a.xyz", r"unknown suffix '\.xyz'"),
        ("none/a.jpg", r"cannot be written: there is no folder .*none"),
        ("none/a.png", r"cannot be written: there is no folder .*none"),
        ("pipe.png", "is not a regular file"),
    ):
        with pytest.raises(ImageError, match=message):
            write(tmp_path / name, never(), HEIGHT, WIDTH, overwrite=True)
    with pytest.raises(ImageError, match=r"cannot be written: there is no folder"):
        check_target(tmp_path / "none" / "a.dzi")
    with pytest.raises(ImageError, match=r"unknown suffix '\.xyz': expected one of \.bmp, \.dzi, \.jfif"):
        check_target(tmp_path / "a.xyz")
    check_target(tmp_path / "a.dzi")
    (tmp_path / "a_files").mkdir()
    with pytest.raises(ImageError, match=r"a\.dzi: it or .*a_files exists already"):
        check_target(tmp_path / "a.dzi")
    check_target(tmp_path / "a.dzi", overwrite=True)
    (tmp_path / "b.dzi").mkdir()
    with pytest.raises(ImageError, match="is a folder"):
        check_target(tmp_path / "b.dzi", overwrite=True)


def test_the_format_may_be_given(tmp_path):
    for format, suffix in (("png", ".x"), ("jpg", ""), ("TIFF", ".png")):
        path = tmp_path / f"a{suffix}"
        check_target(path, format=format)
        write(path, bands(), HEIGHT, WIDTH, format=format)
        assert image.read(path).format == image.format_of(path, format)
    with pytest.raises(ImageError, match="unknown format 'dzi'"):
        check_target(tmp_path / "b", format="dzi")


def test_a_pyramid_replaces_only_pyramids_and_never_a_source(tmp_path):
    (tmp_path / "a_files").mkdir()
    (tmp_path / "a_files" / "0").mkdir()
    check_target(tmp_path / "a.dzi", overwrite=True)
    for source in ("a.dzi", "a_files/0/photo.png"):
        (tmp_path / source).touch()
        with pytest.raises(ImageError, match=r"a\.dzi: would replace the source .*, which is never done"):
            check_target(tmp_path / "a.dzi", overwrite=True, keep=[tmp_path / source])
    check_target(tmp_path / "a.dzi", overwrite=True, keep=[tmp_path / "a_files.png"])
    (tmp_path / "a_files" / "thesis.doc").touch()
    with pytest.raises(ImageError, match=r"a_files holds something else than tiles \(thesis\.doc\)"):
        write(tmp_path / "a.dzi", bands(), HEIGHT, WIDTH, overwrite=True)
    assert (tmp_path / "a_files" / "thesis.doc").exists()
    (tmp_path / "b_files").touch()
    with pytest.raises(ImageError, match=r"b_files is in the way: it is no folder of tiles"):
        check_target(tmp_path / "b.dzi", overwrite=True)


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real.png").write_bytes(b"old")
    (tmp_path / "link.png").symlink_to("real.png")
    write(tmp_path / "link.png", bands(), HEIGHT, WIDTH)
    assert (tmp_path / "link.png").is_symlink()
    assert image.read(tmp_path / "real.png").pixels.shape == (HEIGHT, WIDTH, 3)
