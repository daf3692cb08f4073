"""What is known of a file before its pixels are decoded: pages that are damaged, sizes that are told wrong, HEIC."""

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from jaxstyle import image
from jaxstyle.image import header, resolution
from jaxstyle.image.source import ImageError
from jaxstyle.image.windows import open_large

COLOURS = ((250, 10, 20), (20, 240, 30), (40, 30, 230))
NEXT = -1
"""Stands for the offset of the page after this one."""


def pages(*sizes: tuple[int, int], compression: str | None = None) -> bytes:
    """A TIFF of flat pages, each in its colour."""
    first, *rest = (Image.new("RGB", size, colour) for size, colour in zip(sizes, COLOURS, strict=False))
    stream = io.BytesIO()
    first.save(stream, "TIFF", save_all=True, append_images=rest, compression=compression)
    return stream.getvalue()


def directories(data: bytes) -> list[int]:
    """Where the directories of a TIFF are."""
    found, place = [], struct.unpack_from("<I", data, 4)[0]
    while place:
        found.append(place)
        place = struct.unpack_from("<I", data, place + 2 + 12 * struct.unpack_from("<H", data, place)[0])[0]
    return found


def damaged(data: bytes, page: int, tag: int, **change: int) -> bytes:
    """A TIFF with one entry of a page's directory changed: its ``name`` or its ``value``; of `NEXT` the offset."""
    out, place = bytearray(data), directories(data)[page]
    count = struct.unpack_from("<H", data, place)[0]
    if tag == NEXT:
        struct.pack_into("<I", out, place + 2 + 12 * count, change["value"])
        return bytes(out)
    for entry in range(place + 2, place + 2 + 12 * count, 12):
        if struct.unpack_from("<H", data, entry)[0] == tag:
            if "name" in change:
                struct.pack_into("<H", out, entry, change["name"])
            else:
                struct.pack_into("<I", out, entry + 8, change["value"])
            return bytes(out)
    raise AssertionError(tag)


@pytest.mark.parametrize("compression", [None, "tiff_adobe_deflate"])
@pytest.mark.parametrize(
    ("page", "tag", "change", "count"),
    [
        (2, 256, {"name": 65000}, 3),
        (2, 257, {"name": 65000}, 3),
        (2, 259, {"value": 4711}, 3),
        (2, 262, {"value": 99}, 3),
        (1, 258, {"name": 65001}, 3),
        (2, NEXT, {"value": 0x7FFFFFF0}, 3),
        (1, NEXT, {"value": 0x7FFFFFF0}, 2),
        (1, NEXT, {"value": 0}, 2),
    ],
)
def test_damage_in_a_later_page_leaves_the_first(
    tmp_path: Path, compression: str | None, page: int, tag: int, change: dict[str, int], count: int
) -> None:
    data = damaged(pages((20, 10), (30, 15), (40, 20), compression=compression), page, tag, **change)
    (tmp_path / "a.tif").write_bytes(data)
    for source in (data, tmp_path / "a.tif"):
        picture = image.read(source)
        assert picture.pixels.shape == (10, 20, 3) and picture.frames == count
        np.testing.assert_allclose(picture.pixels[5, 5] * 255, COLOURS[0], atol=1e-3)
        assert picture.notices == (f"picture of {count} pages: the first is taken",)
        assert image.dimensions(source) == (10, 20)
    with open_large(tmp_path / "a.tif") as large:
        np.testing.assert_allclose(large.pixels.read(5, 6, 5, 6)[0, 0] * 255, COLOURS[0], atol=1e-3)
        assert large.notices == picture.notices


def test_a_later_page_that_is_cut_off_leaves_the_first() -> None:
    data = pages((20, 10), (30, 15), (40, 20))
    for end in (directories(data)[1] + 7, directories(data)[2] - 1, directories(data)[2] + 30, len(data) - 5):
        np.testing.assert_allclose(image.read(data[:end]).pixels[5, 5] * 255, COLOURS[0], atol=1e-3)


def test_pages_that_follow_in_a_circle_end() -> None:
    data = pages((20, 10), (30, 15), (40, 20))
    assert image.read(damaged(data, 2, NEXT, value=directories(data)[0])).frames == 3
    endless = bytearray(data) + bytes(2)
    for _ in range(2 * header.MOST_PAGES):  # directories without an entry
        endless += struct.pack("<HI", 0, len(endless) + 6)
    joined = damaged(bytes(endless[: len(data)]), 2, NEXT, value=len(data) + 2) + bytes(endless[len(data) :])
    assert image.read(joined).frames == header.MOST_PAGES


def test_the_limit_holds_whatever_stands_in_later_pages() -> None:
    large = damaged(pages((32, 32), (3000, 2000), (8, 8), compression="tiff_adobe_deflate"), 2, 256, name=65000)
    assert image.read(large, max_pixels=2000).pixels.shape == (32, 32, 3)


def icon(size: tuple[int, int], told: int, kind: str = "png") -> bytes:
    """A Windows icon that says that its picture is ``told`` pixels wide and high."""
    stream = io.BytesIO()
    Image.new("RGB", size, COLOURS[0]).save(stream, kind)
    data = stream.getvalue()
    if kind == "dib":  # with the mask below it
        data = data[:8] + struct.pack("<i", 2 * size[1]) + data[12:] + bytes(-(-size[0] // 32) * 4 * size[1])
    entry = struct.pack("<4B2H2I", told % 256, told % 256, 0, 0, 1, 24, len(data), 22)
    return struct.pack("<3H", 0, 1, 1) + entry + data


def apple_icon(size: tuple[int, int], code: bytes = b"ic07", kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", size, COLOURS[0]).save(stream, kind)
    block = code + struct.pack(">I", len(stream.getvalue()) + 8) + stream.getvalue()
    return b"icns" + struct.pack(">I", len(block) + 8) + block


@pytest.mark.parametrize(
    "data",
    [
        icon((900, 800), 64),
        icon((900, 800), 64, "dib"),
        apple_icon((900, 800)),
        apple_icon((900, 800), kind="JPEG2000"),
    ],
)
def test_pictures_in_icons_are_checked_before_they_are_decoded(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(self: Any, *_: Any) -> None:
        raise AssertionError("decoded")

    found = image.read(data)
    np.testing.assert_allclose(found.pixels[400, 450] * 255, COLOURS[0], atol=2)
    assert found.pixels.shape == (800, 900, 3) and image.dimensions(data) == (800, 900)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", load)
    with pytest.raises(ImageError, match=r"900 x 800 is 0.7 megapixels, more than the limit"):
        image.read(data, max_pixels=700_000)


def test_honest_icons_are_read_as_before() -> None:
    picture = Image.effect_noise((64, 64), 50).convert("RGBA")
    picture.putalpha(Image.linear_gradient("L").resize((64, 64)))
    for format, options in (("ICO", {}), ("ICO", {"bitmap_format": "bmp"}), ("ICNS", {})):
        stream = io.BytesIO()
        picture.save(stream, format, **options)
        found, expected = image.read(stream.getvalue()), np.asarray(Image.open(stream).convert("RGBA")) / 255
        np.testing.assert_allclose(found.pixels, expected[..., :3], atol=1e-6)
        assert found.alpha is not None
        np.testing.assert_allclose(found.alpha, expected[..., 3], atol=1e-6)


def test_pictures_in_textures_and_news_are_refused() -> None:
    with pytest.raises(ImageError, match="a BLP texture with a JPEG inside"):
        image.read(b"BLP1" + bytes(200))
    caption = b"\x1c\x03\x3c\x00\x02\x01\x01" + b"\x1c\x03\x14\x00\x01\x20" + b"\x1c\x03\x1e\x00\x01\x20"
    with pytest.raises(ImageError, match="unknown data"):
        image.read(caption + bytes(64))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["TIFF", "JPEG", "PNG", "WEBP"])
def test_dimensions_of_every_orientation(format: str, orientation: int, tmp_path: Path) -> None:
    exif, path = Image.Exif(), tmp_path / f"a.{format.lower()}"
    exif[0x0112] = orientation
    Image.new("RGB", (40, 30), COLOURS[0]).save(path, exif=exif)
    assert image.dimensions(path) == image.read(path).pixels.shape[:2] == ((30, 40) if orientation < 5 else (40, 30))
    with Image.open(path) as opened:
        assert image.dimensions(opened) == image.dimensions(path)
    with open_large(path) as large:
        assert large.pixels.shape[:2] == image.dimensions(path)


def test_avif_sequences_give_their_first_frame() -> None:
    first, second = (Image.new("RGB", (40, 30), colour) for colour in COLOURS[:2])
    stream = io.BytesIO()
    if "AVIF" not in Image.registered_extensions().values():
        pytest.skip("this Pillow does not read AVIF")
    first.save(stream, "AVIF", save_all=True, append_images=[second], quality=100)
    assert stream.getvalue()[8:12] == b"avis"
    picture = image.read(stream.getvalue())
    np.testing.assert_allclose(picture.pixels[15, 20] * 255, COLOURS[0], atol=6)
    assert picture.notices == ("animated picture of 2 frames: the first is taken",)
    assert ".avifs" in image.READ_SUFFIXES
    with pytest.raises(ImageError, match="damaged AVIF data"):
        image.read(stream.getvalue()[:60])


# --- HEIC -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("brand", [b"heic", b"heix", b"hevc", b"mif1", b"msf1"])
def test_a_heic_photo_names_what_reads_it(brand: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"\0\0\0\x18ftyp" + brand + b"\0\0\0\0mif1heic" + bytes(100)
    monkeypatch.setattr(header, "reads_heif", lambda: False)
    with pytest.raises(
        ImageError, match=r"^picture: cannot be read: it is a HEIC photo, .*: pip install 'jaxstyle\[heif\]'$"
    ):
        image.read(data)
    monkeypatch.setattr(header, "reads_heif", lambda: True)
    with pytest.raises(ImageError, match=r"^picture: cannot be read: it is damaged HEIC data$"):
        image.read(data)


def heic(pixels: np.ndarray, **options: Any) -> bytes:
    """The bytes of a HEIC photo, without loss but for its 4:4:4 samples."""
    pillow_heif = pytest.importorskip("pillow_heif")
    stream = io.BytesIO()
    photo = pillow_heif.from_pillow(Image.fromarray(pixels))
    photo.save(stream, quality=-1, chroma=444, matrix_coefficients=0, **options)
    return stream.getvalue()


def test_heic_photos_are_read_where_they_can_be(tmp_path: Path) -> None:
    pixels = np.kron(np.random.default_rng(0).integers(0, 256, (8, 6, 3), np.uint8), np.ones((10, 10, 1), np.uint8))
    exif = Image.Exif()
    exif[271], exif[282], exif[283], exif[296] = "Maker", 300.0, 150.0, 2
    (tmp_path / "a.HEIC").write_bytes(heic(pixels, exif=exif.tobytes()))
    picture = image.read(tmp_path / "a.HEIC")
    np.testing.assert_allclose(picture.pixels, pixels / np.float32(255), atol=2 / 255)
    assert (picture.bits, picture.frames, picture.format, picture.alpha) == (8, 1, "HEIF", None)
    assert image.dimensions(tmp_path / "a.HEIC") == (80, 60)
    assert picture.exif is not None and b"Maker" in picture.exif
    assert resolution.split(picture.exif)[1] == (300, 150)
    assert frozenset() == image.UNREAD_SUFFIXES and {".heic", ".heif"} <= image.READ_SUFFIXES
    with open_large(tmp_path / "a.HEIC") as large:
        np.testing.assert_array_equal(large.pixels.read(0, 80, 0, 60), picture.pixels)
    with pytest.raises(ImageError, match=r"60 x 80 is 0.0 megapixels, more than the limit"):
        image.read(tmp_path / "a.HEIC", max_pixels=4799)
    half = (tmp_path / "a.HEIC").read_bytes()[:-2000]
    with pytest.raises(ImageError):
        image.read(half)
