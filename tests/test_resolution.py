"""Pixels to an inch: from file to file, whole and in bands, turned, resized, in every unit."""

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps
from PIL.TiffImagePlugin import IFDRational

from jaxstyle import image
from jaxstyle.image import resolution, stream
from jaxstyle.image.windows import open_large

SIZE = (40, 30)


def saved(path: Path, **options: Any) -> Path:
    Image.new("RGB", SIZE, (90, 120, 30)).save(path, **options)
    return path


def tags(**more: Any) -> Image.Exif:
    """EXIF data with X, Y and unit."""
    exif = Image.Exif()
    for name, value in more.items():
        exif[{"x": 282, "y": 283, "unit": 296, "orientation": 274, "maker": 271}[name]] = value
    return exif


def dots(path: Path) -> tuple[float, float] | None:
    """The resolution that a file tells by Pillow."""
    with Image.open(path) as opened:
        if opened.format == "WEBP":
            exif = opened.getexif()
            assert exif.get(296, 2) == 2
            return (float(exif[282]), float(exif[283])) if 282 in exif else None
        if opened.format == "TIFF" and 282 not in opened.tag_v2:
            return None
        found = opened.info.get("dpi")
        return None if found is None else (float(found[0]), float(found[1]))


BY_ZERO = (
    tags(x=IFDRational(300, 7), y=IFDRational(300, 7), unit=2)
    .tobytes()
    .replace(struct.pack(">2L", 300, 7), struct.pack(">2L", 300, 0))
)


@pytest.mark.parametrize("target", ["b.png", "b.jpg", "b.tif", "b.bmp", "b.webp"])
@pytest.mark.parametrize("source", ["a.png", "a.jpg", "a.tif", "a.bmp", "a.webp"])
def test_it_travels_between_all_formats(tmp_path: Path, source: str, target: str) -> None:
    options: dict[str, Any] = {"dpi": (300, 150)}
    if source == "a.webp":
        options = {"exif": tags(x=300.0, y=150.0, unit=2)}
    picture = image.read(saved(tmp_path / source, **options))
    assert image.write(tmp_path / target, picture.pixels, exif=picture.exif) == ()
    assert dots(tmp_path / target) == pytest.approx((300, 150), abs=0.02)


@pytest.mark.parametrize("target", ["b.png", "b.jpg", "b.tif", "b.bmp", "b.webp"])
@pytest.mark.parametrize("source", ["a.png", "a.jpg", "a.tif", "a.webp"])
def test_where_none_is_told_none_is_written(tmp_path: Path, source: str, target: str) -> None:
    picture = image.read(saved(tmp_path / source))
    assert picture.exif is None
    image.write(tmp_path / target, picture.pixels, exif=picture.exif)
    found = dots(tmp_path / target)
    assert found is None or (target == "b.bmp" and found == pytest.approx((96, 96), abs=0.02))  # Pillow's own default


@pytest.mark.parametrize("target", ["b.png", "b.jpg", "b.tif", "b.webp"])
@pytest.mark.parametrize("bits", [8, 16])
def test_other_exif_data_goes_along(tmp_path: Path, target: str, bits: int) -> None:
    picture = image.read(saved(tmp_path / "a.jpg", dpi=(240, 240), exif=tags(x=72.0, y=72.0, unit=2, maker="Maker")))
    image.write(tmp_path / target, picture.pixels, exif=picture.exif, bits=bits)
    assert dots(tmp_path / target) == pytest.approx((240, 240), abs=0.02)  # a JPEG's own field goes first
    with Image.open(tmp_path / target) as opened:
        exif = opened.getexif()
    assert (exif[271], float(exif[282]), float(exif[283]), exif[296]) == ("Maker", 240, 240, 2)


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("a.jpg", {"exif": tags(x=118.0, y=59.0, unit=3)}, (118 * 2.54, 59 * 2.54)),
        ("a.jpg", {"exif": tags(x=200.0, y=100.0)}, (200, 100)),  # inches where no unit is told
        ("a.jpg", {"exif": tags(x=200.0, y=100.0, unit=1)}, None),  # a ratio, not a resolution
        ("a.png", {"exif": tags(x=200.0, y=100.0, unit=2)}, (200, 100)),
        ("a.tif", {"resolution_unit": 3, "x_resolution": 118, "y_resolution": 59}, (118 * 2.54, 59 * 2.54)),
        ("a.tif", {"resolution_unit": 1, "x_resolution": 118, "y_resolution": 59}, None),
        ("a.tif", {"resolution_unit": 2, "x_resolution": 118.5, "y_resolution": 59.25}, (118.5, 59.25)),
        ("a.jpg", {"exif": BY_ZERO}, None),
        ("a.jpg", {"exif": tags(x=0.0, y=300.0, unit=2)}, None),
        ("a.jpg", {"exif": tags(x=300.0, unit=2)}, None),
    ],
)
def test_units_and_nonsense(tmp_path: Path, name: str, options: dict[str, Any], expected: Any) -> None:
    _, found = resolution.split(image.read(saved(tmp_path / name, **options)).exif)
    assert found == (None if expected is None else pytest.approx(expected, abs=1e-3))
    with open_large(tmp_path / name) as large:
        assert resolution.split(large.exif)[1] == found


def test_jpeg_in_centimetres(tmp_path: Path) -> None:
    data = bytearray(saved(tmp_path / "a.jpg", dpi=(118, 59)).read_bytes())
    at = data.index(b"JFIF") + 7
    assert struct.unpack_from(">BHH", data, at) == (1, 118, 59)
    data[at] = 2
    assert resolution.split(image.read(bytes(data)).exif)[1] == pytest.approx((118 * 2.54, 59 * 2.54), abs=1e-3)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.jpg", "a.tif", "a.png", "a.webp"])
def test_it_turns_with_the_picture(tmp_path: Path, name: str, orientation: int) -> None:
    exif = tags(orientation=orientation, **({"x": 300.0, "y": 150.0, "unit": 2} if name == "a.webp" else {}))
    path = saved(tmp_path / name, exif=exif, **({} if name == "a.webp" else {"dpi": (300, 150)}))
    expected = (300, 150) if orientation < 5 else (150, 300)
    picture = image.read(path)
    assert resolution.split(picture.exif)[1] == pytest.approx(expected, abs=0.02)
    height, width = picture.pixels.shape[:2]
    with Image.open(path) as opened:
        upright = ImageOps.exif_transpose(opened)
    assert (width, height) == upright.size
    with open_large(path) as large:
        assert resolution.split(large.exif)[1] == pytest.approx(expected, abs=0.02)


def test_a_resized_picture_is_as_large_on_paper(tmp_path: Path) -> None:
    exif = image.read(saved(tmp_path / "a.png", dpi=(300, 150), exif=tags(maker="Maker"))).exif
    small = image.resized_exif(exif, (30, 40, 3), (15, 10, 3))
    assert resolution.split(small)[1] == pytest.approx((75, 75), abs=0.02)
    assert small is not None and b"Maker" in small
    assert image.resized_exif(exif, (30, 40), (30, 40, 3)) == exif
    assert image.resized_exif(None, (30, 40), (3, 4)) is None
    assert image.resized_exif(b"nonsense", (30, 40), (3, 4)) == b"nonsense"


def test_resizing_keeps_the_rest_of_the_block() -> None:
    exif = tags(x=300.0, y=300.0, unit=2, maker="Maker")
    exif[0x8769] = {0x9003: "2020:01:02 03:04:05"}
    exif[0x8825] = {1: "N", 2: (52.0, 31.0, 0.0)}
    after = Image.Exif()
    after.load(image.resized_exif(exif.tobytes(), (30, 40), (60, 80)) or b"")
    assert after[271] == "Maker" and float(after[282]) == 600
    assert after.get_ifd(0x8769)[0x9003] == "2020:01:02 03:04:05"
    assert after.get_ifd(0x8825)[2] == (52.0, 31.0, 0.0)


def test_a_jpeg_that_is_decoded_smaller(tmp_path: Path) -> None:
    Image.new("RGB", (400, 240)).save(tmp_path / "a.jpg", dpi=(300, 150), exif=tags(orientation=6))
    picture = image.read(tmp_path / "a.jpg", short_side=60)
    assert picture.pixels.shape == (100, 60, 3)
    assert resolution.split(picture.exif)[1] == pytest.approx((37.5, 75))


@pytest.mark.parametrize("name", ["b.png", "b.tif", "b.jpg", "b.webp"])
@pytest.mark.parametrize("bits", [8, 16])
def test_written_in_bands(tmp_path: Path, name: str, bits: int) -> None:
    if name == "b.tif":
        pytest.importorskip("tifffile")
    picture = image.read(saved(tmp_path / "a.jpg", dpi=(300, 150)))
    notices = stream.write(tmp_path / name, stream.Rows([picture.pixels], 30, 40, bits=bits, exif=picture.exif))
    assert not any("EXIF" in notice for notice in notices)
    assert dots(tmp_path / name) == pytest.approx((300, 150), abs=0.02)


def test_smaller_versions_in_a_tiff_are_as_large_on_paper(tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    exif = image.read(saved(tmp_path / "a.jpg", dpi=(300, 150))).exif
    stream.write(
        tmp_path / "b.tif", stream.Rows([np.zeros((700, 900, 3), np.uint8)], 700, 900, exif=exif), pyramid=True
    )
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        page = file.pages[0]
        assert page.get_resolution("INCH") == (300, 150) and page.pages[0].get_resolution("INCH") == (150, 75)


def test_resolutions_beyond_what_a_jpeg_can_say_are_left_out() -> None:
    exif, buffer = tags(x=0.25, y=0.25, unit=2).tobytes(), io.BytesIO()
    assert image.write(buffer, np.zeros((3, 4, 3)), exif=exif, format="jpeg") == ()
    assert "dpi" not in Image.open(buffer).info
