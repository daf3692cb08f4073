"""Pictures in and out: sources, hostile files, arrays, resizing, writing, round trips."""

import errno
import io
import os
import pickle
import struct
import subprocess
import sys
import threading
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from jaxstyle import image as module
from jaxstyle.image import READ_SUFFIXES, ImageError, Picture, read, resize, resize_short_side, to_pil, write
from jaxstyle.image import source as image_source
from jaxstyle.image.header import HEIF_SUFFIXES

RNG = np.random.default_rng(2)


def smooth(height: int, width: int) -> np.ndarray:
    """A picture that JPEG keeps well, float32 (height, width, 3)."""
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    return np.stack([x, y, 0.5 + 0.4 * np.sin(6 * (x + y))], axis=-1).astype(np.float32)


def encoded(format: str, mode: str = "RGB", size: tuple[int, int] = (48, 32), **options: Any) -> bytes:
    buffer = io.BytesIO()
    to_pil(smooth(size[1], size[0])).convert(mode).save(buffer, format, **options)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    body = b"IHDR" + struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)
    idat = b"IDAT" + zlib.compress(b"\0" * 1000)
    chunks = b"".join(
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        for chunk in (body, idat, b"IEND")
    )
    return b"\x89PNG\r\n\x1a\n" + chunks


def one_line_error(source: Any, **options: Any) -> str:
    with pytest.raises(ImageError) as caught:
        read(source, **options)
    message = str(caught.value)
    assert message.isprintable()
    return message


def opaqueness(alpha: np.ndarray | None) -> np.ndarray:
    assert alpha is not None
    return alpha


# --- sources ----------------------------------------------------------------------------------------------


def test_every_kind_of_source_gives_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encoded("PNG"))
    truth = np.asarray(Image.open(path), np.float32) / 255
    with path.open("rb") as stream:
        pictures = [read(s) for s in (path, str(path), path.read_bytes(), stream, Image.open(path), truth)]
    pictures.append(read(np.asarray(Image.open(path))))
    for picture in pictures:
        assert picture.pixels.dtype == np.float32
        assert picture.pixels.flags.c_contiguous
        np.testing.assert_allclose(picture.pixels, truth, atol=1e-7)
        assert picture.alpha is None
    assert [p.format for p in pictures] == ["PNG"] * 5 + ["array"] * 2


def test_content_counts_not_the_suffix(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(encoded("PNG"))
    assert read(tmp_path / "a.jpg").format == "PNG"


def test_a_pil_image_is_left_as_it_was() -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    image = Image.open(buffer)
    image.seek(1)
    picture = read(image, short_side=1)
    assert image.tell() == 1
    np.testing.assert_array_equal(picture.pixels[0, 0], [0, 0, 1])
    assert picture.notices == ()


def test_pipes_and_unseekable_streams() -> None:
    data = encoded("JPEG")
    reader, writer = os.pipe()
    os.write(writer, data)  # fits the pipe's buffer
    os.close(writer)
    with open(reader, "rb") as stream:
        assert read(stream).pixels.shape == (32, 48, 3)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float16, np.float32, np.float64, bool])
@pytest.mark.parametrize("channels", [None, 1, 2, 3, 4])
def test_arrays(dtype: Any, channels: int | None) -> None:
    shape = (3, 4) if channels is None else (3, 4, channels)
    values = RNG.random(shape) * 0.9
    full = {np.uint8: 255, np.uint16: 65535}.get(dtype, 1)
    array = values > 0.5 if dtype is bool else (values * full).astype(dtype)
    truth = array.astype(np.float32).reshape(3, 4, channels or 1) / full
    picture = read(array)
    np.testing.assert_allclose(picture.pixels, truth[..., :3] if channels in (3, 4) else truth[..., :1] + np.zeros(3))
    assert picture.bits == (8 if dtype in (np.uint8, bool) else 16)
    if channels in (2, 4):
        np.testing.assert_allclose(opaqueness(picture.alpha), truth[..., -1])
    else:
        assert picture.alpha is None


def test_a_small_overshoot_is_clipped() -> None:
    pixels = read(np.array([[-0.0001, 0.5, 1.0001]], np.float32)).pixels[..., 0]
    np.testing.assert_array_equal(pixels, np.array([[0, 0.5, 1]], np.float32))


def test_array_is_not_shared() -> None:
    array = RNG.random((2, 2, 3)).astype(np.float32)
    read(array).pixels[:] = 0
    assert array.max() > 0


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (np.zeros((2, 2), np.int64), "int64"),
        (np.zeros((2, 2, 5)), "(2, 2, 5)"),
        (np.zeros(3), "(3,)"),
        (np.zeros((0, 4, 3)), "no pixels"),
        (np.full((2, 2), 255.0), "from 255 to 255: expected floats in [0, 1], or uint8 or uint16 samples"),
        (np.array([[0, 1.01]], np.float32), "from 0 to 1.01"),
        (np.array([[-0.01, 1]], np.float16), "from -0.0100"),
        (np.full((2, 2), np.nan), "not finite"),
        (np.array([["a"]]), "<U1"),
        (None, "object"),
    ],
)
def test_unusable_arrays(array: Any, found: str) -> None:
    assert found in one_line_error(array)


# --- hostile files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "data", "found"),
    [
        ("text.jpg", b"Dear diary,\ntoday", "text ('Dear diary"),
        ("empty.png", b"", "an empty file"),
        ("page.png", b"<!DOCTYPE html><html>", "a web page"),
        ("drawing.jpg", b"<?xml version='1.0'?><svg/>", "SVG"),
        ("lfs.png", b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        ("photo.jpg", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        ("film.jpg", b"\0\0\0\x18ftypisom\0\0\0\0isom", "video"),
        ("paper.png", b"%PDF-1.7\n", "PDF"),
        ("run.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n", "PostScript"),
        ("noise.jpg", bytes(range(7, 200)), "unknown data (first bytes 07 08"),
        ("short.png", b"\x89PNG\r\n\x1a\n\0\0", "PNG"),
        ("flat.png", png_header(0, 7), ""),
        (
            "bomb.png",
            png_header(60000, 60000),
            "60000 x 60000 is 3600.0 megapixels, more than the limit of 179.0",
        ),
        ("hollow.png", png_header(3000, 3000), "PNG, 3000 x 3000: cannot be decoded"),
        ("cut.jpg", encoded("JPEG")[:-60], "JPEG, 48 x 32: cannot be decoded: image file is truncated"),
        ("cut.png", encoded("PNG")[:-200], "PNG, 48 x 32: cannot be decoded"),
        ("cut.webp", encoded("WEBP")[:-40], ""),
        ("cut.tif", encoded("TIFF")[:-3000], ""),
    ],
)
def test_hostile_file(tmp_path: Path, name: str, data: bytes, found: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    message = one_line_error(path)
    assert message.startswith(f"{path}: ")
    assert found in message
    assert one_line_error(data).startswith("picture: ")


def test_the_limit_can_be_moved() -> None:
    data = encoded("PNG")
    assert read(data, max_pixels=48 * 32).pixels.shape == (32, 48, 3)
    assert "48 x 32 is 0.0 megapixels, more than the limit" in one_line_error(data, max_pixels=48 * 32 - 1)
    assert "max_pixels = 5" in one_line_error(np.zeros((2, 3), np.uint8), max_pixels=5)
    assert "max_pixels = 5" in one_line_error(Image.new("L", (3, 2)), max_pixels=5)


def test_the_limit_is_ours_not_a_global_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # Pillow would refuse 48 x 32
    assert read(encoded("PNG")).pixels.shape == (32, 48, 3)
    assert read(encoded("JPEG")).pixels.shape == (32, 48, 3)
    assert Image.MAX_IMAGE_PIXELS == 100


def test_places_that_are_no_files(tmp_path: Path) -> None:
    assert one_line_error(tmp_path / "none.png") == f"{tmp_path / 'none.png'}: no such file or directory"
    assert one_line_error(tmp_path) == f"{tmp_path}: is a folder, not a picture file"
    assert "no such file" in one_line_error("")
    assert "null" in one_line_error("a\0b.png")
    assert "name too long" in one_line_error("x" * 5000 + ".png")
    assert "empty" in one_line_error("/dev/null")


def test_odd_names_stay_on_one_line(tmp_path: Path) -> None:
    assert one_line_error(tmp_path / "a\nb\x1b[31m.png").count("\\n") == 1
    assert "\\udcff" in one_line_error(os.fsdecode(bytes(tmp_path) + b"/\xff.png"))


def test_permission_denied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encoded("PNG"))

    def refuse(*_: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(image_source, "open", refuse, raising=False)
    assert one_line_error(path) == f"{path}: permission denied"


def test_streams_that_are_no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "binary mode" in one_line_error(io.StringIO("text"))
    closed = io.BytesIO()
    closed.close()
    assert "closed" in one_line_error(closed)
    monkeypatch.setattr(image_source, "MAX_STREAM_BYTES", 1 << 20)
    assert one_line_error(io.BytesIO(bytes((1 << 20) + 1))) == "picture: gives more than 1 MiB"


def test_standard_input_is_named() -> None:
    code = "import sys; from jaxstyle.image import read; read(sys.stdin.buffer)"
    done = subprocess.run([sys.executable, "-c", code], input=b"x", capture_output=True)
    assert b"ImageError: <stdin>: cannot be read: it is text" in done.stderr


def test_out_of_memory_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr("jaxstyle.image.picture.decode_opened", fail)
    assert one_line_error(encoded("PNG")) == "picture: not enough memory to decode it"


def test_error_crosses_process_borders() -> None:
    error = pickle.loads(pickle.dumps(ImageError("a.png", "broken")))
    assert isinstance(error, ImageError)
    assert isinstance(error, ValueError)
    assert str(error) == "a.png: broken"


@pytest.mark.parametrize(
    "data",
    [
        encoded("JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"),
        encoded("JPEG", mode="CMYK"),
        encoded("PNG"),
        encoded("PNG", mode="P"),
        encoded("PNG", mode="I;16"),
        encoded("GIF"),
        encoded("WEBP"),
        encoded("TIFF"),
        encoded("TIFF", compression="tiff_lzw"),
        encoded("BMP"),
        encoded("ICO"),
        encoded("PPM"),
        encoded("TGA"),
    ],
    ids=lambda data: data[:4].hex(),
)
def test_damaged_files_read_or_raise_image_error(data: bytes) -> None:
    rng = np.random.default_rng(len(data))
    outcomes = set()
    for trial in range(60):
        damaged = bytearray(data)
        if trial % 3 == 0:
            damaged = damaged[: rng.integers(len(data))]
        else:
            places = rng.integers(len(data) if trial % 3 == 1 else min(len(data), 120), size=rng.integers(1, 6))
            for place in places:
                damaged[place] ^= 1 << rng.integers(8)
        try:
            picture = read(bytes(damaged), max_pixels=1_000_000)
        except ImageError as error:
            assert str(error).isprintable()
            outcomes.add("refused")
        else:
            assert np.isfinite(picture.pixels).all()
            assert picture.pixels.min() >= 0
            assert picture.pixels.max() <= 1
            outcomes.add("read")
    assert "refused" in outcomes


def test_warnings_of_pillow_stay_inside_and_filters_come_back() -> None:
    broken_exif = encoded("JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\x03\0\x12\x01\x03\0\x01\0\0\0\x06\0")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        before = list(warnings.filters)
        threads = [threading.Thread(target=read, args=(broken_exif,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        read(broken_exif)
        assert list(warnings.filters) == before


# --- loaders ----------------------------------------------------------------------------------------------


def test_short_side_lets_a_jpeg_be_decoded_smaller() -> None:
    data = encoded("JPEG", size=(640, 400), quality=95)
    small = read(data, short_side=100)
    assert small.pixels.shape == (100, 160, 3)
    np.testing.assert_allclose(small.pixels, resize(read(data).pixels, (100, 160)), atol=0.03)
    assert read(data, short_side=101).pixels.shape == (200, 320, 3)
    assert read(data, short_side=4000).pixels.shape == (400, 640, 3)
    assert read(encoded("PNG"), short_side=2).pixels.shape == (32, 48, 3)


def test_dimensions_are_those_of_the_upright_picture(tmp_path: Path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    (tmp_path / "a.jpg").write_bytes(encoded("JPEG", exif=turned)[:-60])  # the header is enough
    (tmp_path / "b.png").write_bytes(png_header(60000, 50000))
    assert module.dimensions(tmp_path / "a.jpg") == (48, 32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert module.dimensions(tmp_path / "b.png") == (50000, 60000)
    turned_png = Image.new("L", (5, 3))
    buffer = io.BytesIO()
    turned_png.save(buffer, "PNG", exif=turned)
    assert module.dimensions(buffer.getvalue()) == read(buffer.getvalue()).pixels.shape[:2] == (5, 3)
    data = encoded("JPEG", exif=turned)
    for source in (data, io.BytesIO(data), Image.open(io.BytesIO(data)), read(data).pixels):
        assert module.dimensions(source) == read(data).pixels.shape[:2] == (48, 32)
    for source, found in ((tmp_path / "none.png", "no such file"), (b"x", "it is text"), (np.zeros(3), "(3,)")):
        with pytest.raises(ImageError) as caught:
            module.dimensions(source)
        assert found in str(caught.value)


def test_read_suffixes_are_those_pillow_reads() -> None:
    Image.init()
    assert set(Image.registered_extensions()) >= READ_SUFFIXES - HEIF_SUFFIXES


def test_importing_does_not_bring_jax_by_itself() -> None:
    code = """
import importlib.util, pathlib, sys, types
package = types.ModuleType("jaxstyle"); package.__path__ = [sys.argv[1]]; sys.modules["jaxstyle"] = package
import jaxstyle.image.stream
assert not [name for name in sys.modules if name.split(".")[0] in ("jax", "flax")]
"""
    subprocess.run([sys.executable, "-c", code, str(Path(module.__file__).parents[1])], check=True)


# --- resizing ---------------------------------------------------------------------------------------------


def test_resize_keeps_a_flat_picture_flat() -> None:
    flat = np.broadcast_to(np.array([0.2, 0.5, 1.0], np.float32), (7, 11, 3))
    for size in ((1, 1), (3, 20), (50, 2)):
        np.testing.assert_allclose(resize(flat, size), np.broadcast_to(flat[0, 0], (*size, 3)), atol=1e-6)


def test_resize_is_antialiased() -> None:
    stripes = np.tile(np.array([0, 1], np.float32), (64, 32))
    np.testing.assert_allclose(resize(stripes, (8, 8))[:, 1:-1], 0.5, atol=0.02)


def test_resize_follows_a_ramp_and_keeps_precision() -> None:
    ramp = np.tile(np.linspace(0.1, 0.9, 100, dtype=np.float32), (10, 1))
    grown = resize(ramp, (10, 1000))
    expected = 0.1 + 0.8 * ((np.arange(1000) + 0.5) / 10 - 0.5) / 99
    np.testing.assert_allclose(grown[5, 40:-40], expected[40:-40], atol=2e-4)
    assert len(np.unique(grown)) > 800  # not 8 bits


def test_resize_channels_by_themselves_and_clipped() -> None:
    pixels = (RNG.random((9, 8, 3)) > 0.5).astype(np.float32)
    both = resize(pixels, (20, 21))
    assert both.min() == 0
    assert both.max() == 1
    np.testing.assert_array_equal(both[..., 1], resize(pixels[..., 1], (20, 21)))
    np.testing.assert_array_equal(resize(pixels, (9, 8)), pixels)


def test_a_box_is_resized_as_a_part_of_the_whole() -> None:
    pixels = RNG.random((60, 40, 3)).astype(np.float32)
    for height, width in ((90, 30), (25, 80)):
        whole = resize(pixels, (height, width))
        box = (10 * 60 / height, 20 * 60 / height, 5 * 40 / width, 25 * 40 / width)
        np.testing.assert_allclose(resize(pixels, (10, 20), box), whole[10:20, 5:25], atol=1e-5)
    np.testing.assert_allclose(resize(pixels, (3, 4), (7, 10, 9, 13)), pixels[7:10, 9:13], atol=1e-6)


@pytest.mark.parametrize(
    ("size", "length", "expected"),
    [
        ((427, 640), 256, (256, 384)),
        ((640, 427), 256, (384, 256)),
        ((1, 1000), 2, (2, 2000)),
        ((3, 5), 3, (3, 5)),
    ],
)
def test_resize_short_side(size: tuple[int, int], length: int, expected: tuple[int, int]) -> None:
    assert resize_short_side(np.zeros((*size, 3), np.float32), length).shape == (*expected, 3)
    assert module.short_side_size(size, length) == expected


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (None, (1000, 1501)),
        (500, (500, 751)),
        (1000, (1000, 1501)),
        (2000, (2000, 3002)),
        (1, (1, 2)),
        ((30, 40), (40, 30)),
    ],
)
def test_output_size(size: int | tuple[int, int] | None, expected: tuple[int, int]) -> None:
    assert module.output_size((1000, 1501, 3), size) == module.output_size((1000, 1501), size) == expected
    if not isinstance(size, tuple):
        assert module.output_size((1501, 1000), size) == expected[::-1]


@pytest.mark.parametrize("size", [2**40, (8, 2**40), 1000])
def test_an_output_size_without_end(size: int | tuple[int, int]) -> None:
    with pytest.raises(ImageError, match=r"^size: expected sides of at most 1000000 pixels, got \d+ x \d+$"):
        module.output_size((2, 2002), size)


def test_resize_refuses() -> None:
    with pytest.raises(ImageError, match="at least 1"):
        resize(np.zeros((2, 2, 3)), (0, 4))
    with pytest.raises(ImageError, match="shape"):
        resize_short_side(np.zeros((2, 2, 3, 1)), 4)
    with pytest.raises(ImageError, match="at least 1"):
        resize_short_side(np.zeros((2, 2, 3)), 0)


# --- writing ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif", ".bmp", ".TIFF", ".PNG"])
def test_round_trip_of_lossless_formats(tmp_path: Path, suffix: str) -> None:
    pixels = RNG.random((13, 17, 3)).astype(np.float32)
    assert write(tmp_path / f"a{suffix}", pixels) == ()
    assert np.abs(read(tmp_path / f"a{suffix}").pixels - pixels).max() <= 0.5 / 255 + 1e-6
    assert [p.name for p in tmp_path.iterdir()] == [f"a{suffix}"]


@pytest.mark.parametrize("channels", [0, 1, 3])
@pytest.mark.parametrize("with_alpha", [False, True])
def test_round_trip_of_16_bits(tmp_path: Path, channels: int, with_alpha: bool) -> None:
    pixels = RNG.random((13, 17, channels) if channels else (13, 17)).astype(np.float32)
    alpha = RNG.random((13, 17)).astype(np.float32) if with_alpha else None
    assert write(tmp_path / "a.png", pixels, alpha=alpha, bits=16) == ()
    back = read(tmp_path / "a.png")
    assert back.bits == 16
    assert np.abs(back.pixels - pixels.reshape(13, 17, channels or 1)).max() <= 0.51 / 65535
    if alpha is not None:
        assert back.alpha is not None
        assert np.abs(back.alpha - alpha).max() <= 0.51 / 65535


def test_16_bits_where_the_format_allows(tmp_path: Path) -> None:
    grey = RNG.random((5, 6)).astype(np.float32)
    assert write(tmp_path / "a.tif", grey, bits=16) == ()
    assert np.abs(read(tmp_path / "a.tif").pixels[..., 0] - grey).max() <= 0.51 / 65535
    notices = write(tmp_path / "b.tif", smooth(5, 6), bits=16)
    assert notices == ("TIFF is written at 8 bits per channel: PNG keeps 16",)
    assert "8 bits" in write(tmp_path / "b.jpg", smooth(5, 6), bits=16)[0]


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
def test_alpha_is_put_back(tmp_path: Path, suffix: str) -> None:
    pixels, alpha = smooth(9, 8), RNG.random((9, 8)).astype(np.float32)
    alpha[0] = 0
    assert write(tmp_path / f"a{suffix}", pixels, alpha=alpha) == ()
    back = read(tmp_path / f"a{suffix}")
    assert back.alpha is not None
    assert np.abs(back.alpha - alpha).max() <= 0.5 / 255 + 1e-6
    assert np.abs(back.pixels - pixels).max() <= 0.5 / 255 + 1e-6  # under full transparency too


@pytest.mark.parametrize("suffix", [".jpg", ".bmp"])
def test_alpha_left_out_is_told(tmp_path: Path, suffix: str) -> None:
    notices = write(tmp_path / f"a{suffix}", smooth(9, 8), alpha=np.zeros((9, 8)))
    assert len(notices) == 1
    assert "no transparency" in notices[0]
    assert read(tmp_path / f"a{suffix}").alpha is None


def test_jpeg_is_close(tmp_path: Path) -> None:
    pixels = smooth(64, 48)
    write(tmp_path / "a.jpg", pixels)
    assert np.abs(read(tmp_path / "a.jpg").pixels - pixels).max() < 6 / 255
    noise = RNG.random((64, 48, 3))
    write(tmp_path / "a.jpg", noise)
    write(tmp_path / "low.jpg", noise, quality=20)
    assert (tmp_path / "low.jpg").stat().st_size < (tmp_path / "a.jpg").stat().st_size / 2


def test_quality_that_does_nothing_is_told(tmp_path: Path) -> None:
    assert write(tmp_path / "a.png", smooth(4, 4), quality=50) == ("PNG is lossless: quality = 50 has no effect",)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
@pytest.mark.parametrize("bits", [8, 16])
def test_exif_travels(tmp_path: Path, suffix: str, bits: int) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    exif[0x0112] = 6
    exif[0x8769] = {0x9003: "2020:01:02 03:04:05"}
    source = encoded("JPEG", exif=exif)
    picture = read(source)
    write(tmp_path / f"a{suffix}", picture.pixels, exif=picture.exif, bits=bits)
    found = Image.open(io.BytesIO((tmp_path / f"a{suffix}").read_bytes())).getexif()
    assert found[0x010F] == "Maker"
    assert found.get_ifd(0x8769)[0x9003] == "2020:01:02 03:04:05"
    assert read(tmp_path / f"a{suffix}").pixels.shape == (48, 32, 3)  # not turned again
    assert "EXIF" in write(tmp_path / "a.bmp", picture.pixels, exif=picture.exif)[0]


def test_rounding_is_half_up_and_clipped() -> None:
    values = np.array([[-1.0, 0.0, 0.49 / 255, 0.5 / 255, 1.5 / 255, 254.49 / 255, 1.0, 7.0]], np.float32)
    buffer = io.BytesIO()
    write(buffer, values, format="png")
    np.testing.assert_array_equal(np.asarray(Image.open(buffer)), [[0, 0, 0, 1, 2, 254, 255, 255]])


def test_integer_arrays_are_written_exactly() -> None:
    for dtype, bits in ((np.uint8, 8), (np.uint16, 16)):
        samples: np.ndarray = RNG.integers(0, np.iinfo(dtype).max + 1, (6, 7, 3)).astype(dtype)
        buffer = io.BytesIO()
        write(buffer, samples, format="PNG", bits=bits)
        np.testing.assert_allclose(read(buffer.getvalue()).pixels, samples / np.iinfo(dtype).max, atol=1e-7)


@pytest.mark.parametrize(
    ("name", "options", "found"),
    [
        ("a.xyz", {}, "unknown suffix '.xyz': expected one of .bmp, .jfif"),
        ("a", {}, "no suffix"),
        ("a.png", {"format": "xcf"}, "unknown format 'xcf': expected one of BMP, JPEG"),
        ("a.png", {"bits": 12}, "bits = 12"),
        ("a.jpg", {"quality": 0}, "quality = 0"),
        ("a.jpg", {"quality": 9.5}, "quality = 9.5"),
        ("a.png", {"pixels": np.full((2, 2, 3), np.nan)}, "not finite"),
        ("a.png", {"pixels": np.zeros((2, 2, 4))}, "(2, 2, 4)"),
        ("a.png", {"pixels": np.zeros((2, 0, 3))}, "no pixels"),
        ("a.png", {"pixels": np.zeros((2, 2, 3), np.int32)}, "int32"),
        ("a.png", {"alpha": np.zeros((3, 3))}, "alpha of shape (3, 3)"),
        ("a.png", {"alpha": np.full((4, 4), np.inf)}, "(alpha): array holds values that are not finite"),
        ("a.webp", {"pixels": np.zeros((1, 20000, 3))}, "cannot be written as WEBP"),
        ("a.jpg", {"pixels": np.zeros((1, 70000, 3))}, "cannot be written"),
        ("none/a.png", {}, "there is no folder"),
        ("x" * 300 + ".png", {}, "name too long"),
    ],
)
def test_what_cannot_be_written(tmp_path: Path, name: str, options: dict[str, Any], found: str) -> None:
    (tmp_path / "a.png").write_bytes(b"old")
    with pytest.raises(ImageError) as caught:
        write(tmp_path / name, **({"pixels": np.zeros((4, 4, 3))} | options))
    assert str(caught.value).startswith(str(tmp_path / name))
    assert found in str(caught.value)
    assert str(caught.value).isprintable()
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]
    assert (tmp_path / "a.png").read_bytes() == b"old"


def test_folder_as_target_and_overwrite(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(ImageError, match=r"folder\.png: cannot be written: is a directory"):
        write(tmp_path / "folder.png", smooth(2, 2))
    write(tmp_path / "a.png", smooth(2, 2))
    with pytest.raises(ImageError, match=r"a\.png: cannot be written: file exists"):
        write(tmp_path / "a.png", smooth(3, 3), overwrite=False)
    write(tmp_path / "a.png", smooth(4, 4))
    assert read(tmp_path / "a.png").pixels.shape == (4, 4, 3)


def test_full_disk_is_told_in_one_line() -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("needs /dev/full")
    with pytest.raises(ImageError, match=r"^/dev/full: cannot be written: no space left on device$"):
        write("/dev/full", smooth(4, 4), format="png")


def test_failed_encoding_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a.jpg", smooth(8, 8))
    before = (tmp_path / "a.jpg").read_bytes()

    def fail(_: Any, stream: io.BytesIO, *args: Any, **options: Any) -> None:
        stream.write(b"half")
        raise OSError("encoder error -2")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(ImageError, match="encoder error -2"):
        write(tmp_path / "a.jpg", smooth(9, 9))
    assert [p.name for p in tmp_path.iterdir()] == ["a.jpg"]
    assert (tmp_path / "a.jpg").read_bytes() == before


def test_format_from_a_stream_name_and_by_argument(tmp_path: Path) -> None:
    with (tmp_path / "a.webp").open("wb") as stream:
        write(stream, smooth(5, 4))
    assert read(tmp_path / "a.webp").format == "WEBP"
    write(tmp_path / "b.out", smooth(5, 4), format="jpg")
    assert read(tmp_path / "b.out").format == "JPEG"
    with pytest.raises(ImageError, match="output: no suffix"):
        write(io.BytesIO(), smooth(5, 4))


def test_format_of() -> None:
    for target, format, source, expected in (
        ("a.JPG", None, "PNG", "JPEG"),
        ("a.png", "tif", "PNG", "TIFF"),
        ("-", None, "WEBP", "WEBP"),
        ("-", None, "MPO", "JPEG"),
        (Path("-"), None, "GIF", "PNG"),
        ("-", "jpg", "PNG", "JPEG"),
        (io.BytesIO(), "bmp", "PNG", "BMP"),
    ):
        assert module.format_of(target, format, source) == expected
    for target, format, found in (
        ("a", None, "a: no suffix to tell the format by: expected one of .bmp"),
        ("-", "gif", "-: unknown format 'gif': expected one of BMP, JPEG"),
    ):
        with pytest.raises(ImageError) as caught:
            module.format_of(target, format)
        assert found in str(caught.value)


def test_a_stream_gets_all_or_nothing() -> None:
    writes: list[bytes] = []

    class Stream(io.BytesIO):
        def write(self, data: Any) -> int:
            writes.append(data)
            return len(data)

    write(Stream(), smooth(5, 4), format="PNG")
    assert len(writes) == 1 and read(writes[0]).pixels.shape == (5, 4, 3)
    with pytest.raises(ImageError, match="not finite"):
        write(Stream(), np.full((4, 4, 3), np.nan), format="PNG")
    assert len(writes) == 1


def test_errors_of_a_stream_come_when_it_is_flushed() -> None:
    class Stream(io.BytesIO):
        error = OSError(28, "No space left on device")

        def flush(self) -> None:
            raise self.error

    with pytest.raises(ImageError, match=r"^output: cannot be written: no space left on device$"):
        write(Stream(), smooth(5, 4), format="PNG")
    Stream.error = BrokenPipeError()
    with pytest.raises(BrokenPipeError):
        write(Stream(), smooth(5, 4), format="PNG")


def test_check_target_of_standard_output() -> None:
    module.check_target("-")
    with pytest.raises(ImageError, match="unknown format"):
        module.check_target("-", format="xcf")
    module.check_target("picture.out", format="png")


def test_to_pil() -> None:
    pixels, alpha = smooth(5, 4), np.full((5, 4), 0.5)
    assert to_pil(pixels).mode == "RGB"
    assert to_pil(pixels[..., 0]).mode == to_pil(pixels[..., :1]).mode == "L"
    assert to_pil(pixels[..., 0], alpha).mode == "LA"
    image = to_pil(Picture(pixels, alpha))
    assert (image.mode, image.size) == ("RGBA", (4, 5))
    assert image.getpixel((0, 0))[3] == 128  # type: ignore[index]
    back = read(image)
    assert np.abs(back.pixels - pixels).max() <= 0.5 / 255 + 1e-6
    with pytest.raises(ImageError, match="not finite"):
        to_pil(np.full((2, 2), np.nan))
