"""What the formats hold: orientation, 16 bits, colour profiles, transparency, EXIF, against numpy truths."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import pytest
from PIL import Image, ImageCms

from jaxstyle.image import read
from jaxstyle.image.encode import encode_png16

RNG = np.random.default_rng(0)
ADOBE = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
SRGB = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410))


def encoded(image: Image.Image, format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def icc_profile(space: bytes, tags: list[tuple[bytes, bytes]], kind: bytes = b"mntr", pcs: bytes = b"XYZ ") -> bytes:
    """A version 2 ICC profile of these tags."""
    description = b"desc" + struct.pack(">II", 0, 5) + b"test\0" + bytes(78)
    tags = [
        (b"desc", description),
        (b"cprt", b"text\0\0\0\0none\0"),
        (b"wtpt", xyz(0.9642, 1.0, 0.8249)),
        *tags,
    ]
    table, body, start = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, data in tags:
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    header = bytes(4) + b"test" + struct.pack(">I", 0x02100000) + kind + space + pcs + bytes(12) + b"acsp"
    header += bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    header = struct.pack(">I", start + len(body)) + header[4:] + bytes(128 - len(header))
    return header + table + body


def xyz(*values: float) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(v * 65536) for v in values))


def gamma_curve(gamma: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))


def rgb_profile(colorants: Any, gamma: float) -> bytes:
    tags = [(b"rgb"[i : i + 1] + b"XYZ", xyz(*colorants[i])) for i in range(3)]
    return icc_profile(b"RGB ", tags + [(b"rgb"[i : i + 1] + b"TRC", gamma_curve(gamma)) for i in range(3)])


def cmyk_profile() -> bytes:
    """CMYK to Lab by a table of the sixteen corners."""
    corners = []
    for index in range(16):
        c, m, y, k = (index >> 3) & 1, (index >> 2) & 1, (index >> 1) & 1, index & 1
        lightness = 255 * (1 - 0.35 * c) * (1 - 0.45 * m) * (1 - 0.1 * y) * (1 - 0.9 * k)
        corners += [round(lightness), round(128 - 40 * c + 70 * m), round(128 - 50 * c + 90 * y)]
    ramp = bytes(range(256))
    identity = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + identity + ramp * 4 + bytes(corners) + ramp * 3
    return icc_profile(b"CMYK", [(b"A2B0", table), (b"A2B1", table)], kind=b"prtr", pcs=b"Lab ")


def srgb_encode(linear: np.ndarray) -> np.ndarray:
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def png16(samples: np.ndarray, key: tuple[int, ...] = (), interlace: bool = False, icc: bytes = b"") -> bytes:
    """A 16-bit PNG with a row of each filter type in turn, written the slow way."""
    height, width, channels = samples.shape

    def rows(part: np.ndarray) -> bytes:
        raw = part.astype(">u2").tobytes()
        stride, step, out = part.shape[1] * channels * 2, channels * 2, b""
        for y in range(part.shape[0]):
            kind = y % 5
            out += bytes([kind])
            for x in range(stride):
                left = raw[y * stride + x - step] if x >= step else 0
                up = raw[(y - 1) * stride + x] if y else 0
                corner = raw[(y - 1) * stride + x - step] if y and x >= step else 0
                near = left + up - corner
                paeth = min((left, up, corner), key=lambda v: abs(near - v))
                guess = (0, left, up, (left + up) // 2, paeth)[kind]
                out += bytes([(raw[y * stride + x] - guess) % 256])
        return out

    adam7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    passes = [samples[y::dy, x::dx] for x, y, dx, dy in adam7] if interlace else [samples]
    data = b"".join(rows(part) for part in passes if part.size)
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    chunks = [(b"IHDR", struct.pack(">2I5B", width, height, 16, kind, 0, 0, interlace))]
    chunks += [(b"iCCP", b"p\0\0" + zlib.compress(icc))] if icc else []
    chunks += [(b"tRNS", struct.pack(f">{len(key)}H", *key))] if key else []
    chunks += [(b"IDAT", zlib.compress(data)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(d)) + c + d + struct.pack(">I", zlib.crc32(c + d)) for c, d in chunks
    )


def tiff16(samples: np.ndarray, order: str, compress: bool, planar: bool = False, photometric: int = 2) -> bytes:
    """A one-strip (planar: one strip a channel) 16-bit TIFF."""
    height, width, channels = samples.shape
    planes = [samples[..., c] for c in range(channels)] if planar else [samples]
    strips = [np.ascontiguousarray(plane, dtype=order + "u2").tobytes() for plane in planes]
    strips = [zlib.compress(strip) for strip in strips] if compress else strips
    body, offsets = b"", []
    for strip in strips:
        offsets.append(8 + len(body))
        body += strip + bytes(len(strip) % 2)
    entries = [
        (256, 4, [width]),
        (257, 4, [height]),
        (258, 3, [16] * channels),
        (259, 3, [8 if compress else 1]),
    ]
    entries += [(262, 3, [photometric]), (273, 4, offsets), (277, 3, [channels]), (278, 4, [height])]
    entries += [(279, 4, [len(strip) for strip in strips]), (284, 3, [2 if planar else 1])]
    entries += [(338, 3, [2])] if channels == 4 else []
    start = 8 + len(body)
    extra, table = b"", struct.pack(order + "H", len(entries))
    for tag, kind, values in entries:
        data = struct.pack(f"{order}{len(values)}{'H' if kind == 3 else 'I'}", *values)
        if len(data) > 4:
            place = start + 2 + 12 * len(entries) + 4 + len(extra)
            extra += data
            data = struct.pack(order + "I", place)
        table += struct.pack(order + "HHI", tag, kind, len(values)) + data.ljust(4, b"\0")
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return mark + struct.pack(order + "I", start) + body + table + bytes(4) + extra


def opaqueness(alpha: np.ndarray | None) -> np.ndarray:
    assert alpha is not None
    return alpha


# --- orientation and EXIF ---------------------------------------------------------------------------------

# Where pixel (y, x) of the stored picture of height h and width w stands in the upright one.
PLACES: dict[int, Any] = {
    1: lambda y, x, h, w: (y, x),
    2: lambda y, x, h, w: (y, w - 1 - x),
    3: lambda y, x, h, w: (h - 1 - y, w - 1 - x),
    4: lambda y, x, h, w: (h - 1 - y, x),
    5: lambda y, x, h, w: (x, y),
    6: lambda y, x, h, w: (x, h - 1 - y),
    7: lambda y, x, h, w: (w - 1 - x, h - 1 - y),
    8: lambda y, x, h, w: (w - 1 - x, y),
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF", "JPEG", "PNG16"])
def test_orientation(orientation: int, format: str) -> None:
    stored = RNG.integers(0, 256, (3, 5, 3), dtype=np.uint8)
    if format == "JPEG":  # whole blocks survive it
        stored = np.kron(stored, np.ones((8, 8, 1), np.uint8))
    h, w = stored.shape[:2]
    truth = np.zeros((w, h, 3) if orientation >= 5 else (h, w, 3), np.float32)
    for y in range(h):
        for x in range(w):
            truth[PLACES[orientation](y, x, h, w)] = stored[y, x] / 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "Maker"
    all_options: dict[str, Any] = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100, "subsampling": 0}}
    options = all_options.get(format, {})
    if format == "PNG16":
        data = encode_png16(stored.astype(np.uint16) * 257, exif.tobytes())
    else:
        data = encoded(Image.fromarray(stored), format, exif=exif, **options)
    picture = read(data)
    assert picture.pixels.shape == truth.shape
    np.testing.assert_allclose(picture.pixels, truth, atol=5 / 255 if format == "JPEG" else 1e-6)
    assert picture.exif is not None
    kept = Image.Exif()
    kept.load(picture.exif)
    assert kept[0x010F] == "Maker"
    assert kept.get(0x0112, 1) == 1


def test_orientation_turns_alpha_too() -> None:
    stored = RNG.integers(0, 256, (3, 5, 4), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = read(encoded(Image.fromarray(stored), "PNG", exif=exif))
    assert picture.alpha is not None
    np.testing.assert_allclose(opaqueness(picture.alpha), np.rot90(stored[..., 3], -1) / 255, atol=1e-6)


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_senseless_orientation_is_ignored(value: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = value
    assert read(encoded(Image.new("RGB", (5, 3)), "PNG", exif=exif)).pixels.shape == (3, 5, 3)


def test_exif_keeps_what_stays_true() -> None:
    exif = Image.Exif()
    exif[0x8298] = "Ada"  # copyright
    exif[0x8769] = {0x9003: "2020:01:02 03:04:05", 0xA001: 2, 0xA002: 5, 0x927C: b"secret", 0x829D: 2.8}
    exif[0x8825] = {1: "N", 2: (52.0, 31.0, 0.0)}
    picture = read(encoded(Image.new("RGB", (5, 3)), "JPEG", exif=exif))
    assert picture.exif is not None
    kept = Image.Exif()
    kept.load(picture.exif)
    photo = kept.get_ifd(0x8769)
    assert kept[0x8298] == "Ada"
    assert photo[0x9003] == "2020:01:02 03:04:05"
    assert float(photo[0x829D]) == pytest.approx(2.8)
    assert photo[0xA001] == 1  # the pixels are sRGB now
    assert 0xA002 not in photo
    assert 0x927C not in photo
    assert kept.get_ifd(0x8825)[1] == "N"
    assert read(encoded(Image.new("RGB", (5, 3)), "JPEG")).exif is None


def test_damaged_exif_does_not_matter() -> None:
    data = encoded(Image.new("RGB", (5, 3), (255, 0, 0)), "PNG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01")
    picture = read(data)
    np.testing.assert_array_equal(picture.pixels, np.broadcast_to(np.array([1, 0, 0], np.float32), (3, 5, 3)))


# --- 16 bits ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("interlace", [False, True])
def test_png_of_16_bits_keeps_all(channels: int, interlace: bool) -> None:
    samples = RNG.integers(0, 65536, (11, 13, channels), dtype=np.uint16)
    picture = read(png16(samples, interlace=interlace))
    truth = samples / 65535
    assert picture.bits == 16
    assert picture.notices == ()
    np.testing.assert_allclose(picture.pixels, truth[..., : channels - 1 + channels % 2] + np.zeros(3), atol=1e-7)
    if channels in (2, 4):
        assert picture.alpha is not None
        np.testing.assert_allclose(opaqueness(picture.alpha), truth[..., -1], atol=1e-7)
    else:
        assert picture.alpha is None


@pytest.mark.parametrize("channels", [1, 3])
def test_png_of_16_bits_with_a_transparent_colour(channels: int) -> None:
    samples = RNG.integers(0, 65536, (6, 7, channels), dtype=np.uint16)
    samples[2, 3] = samples[4, 5]
    samples[0, 0] = samples[2, 3] ^ 1  # one low bit away
    picture = read(png16(samples, key=tuple(int(v) for v in samples[2, 3])))
    truth = np.ones((6, 7))
    truth[2, 3] = truth[4, 5] = 0
    np.testing.assert_array_equal(opaqueness(picture.alpha), truth)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("channels", [3, 4])
def test_tiff_of_16_bits_keeps_all(tmp_path: Path, order: str, compress: bool, channels: int) -> None:
    samples = RNG.integers(0, 65536, (11, 13, channels), dtype=np.uint16)
    path = tmp_path / "a.tif"  # libtiff reads files and memory by different ways
    path.write_bytes(tiff16(samples, order, compress))
    picture = read(path)
    np.testing.assert_array_equal(picture.pixels, read(path.read_bytes()).pixels)
    np.testing.assert_allclose(picture.pixels, samples[..., :3] / 65535, atol=1e-7)
    assert picture.bits == 16
    if channels == 4:
        np.testing.assert_allclose(opaqueness(picture.alpha), samples[..., 3] / 65535, atol=1e-7)


@pytest.mark.parametrize("order", "<>")
def test_tiff_of_16_bits_in_planes(order: str) -> None:
    samples = RNG.integers(0, 65536, (11, 13, 3), dtype=np.uint16)
    picture = read(tiff16(samples, order, compress=True, planar=True))
    assert picture.bits == 8
    assert "8 bits" in picture.notices[0]
    np.testing.assert_allclose(picture.pixels, (samples >> 8) / 255, atol=1e-6)
    with pytest.raises(ValueError, match="planes are not supported"):
        read(tiff16(samples, order, compress=False, planar=True))


@pytest.mark.parametrize("photometric", [0, 1])
def test_tiff_grey_of_16_bits(photometric: int) -> None:
    samples = RNG.integers(0, 65536, (5, 4, 1), dtype=np.uint16)
    picture = read(tiff16(samples, "<", False, photometric=photometric))
    truth = samples if photometric else 65535 - samples
    np.testing.assert_allclose(picture.pixels, truth / 65535 + np.zeros(3), atol=1e-7)
    assert picture.bits == 16


def test_float_and_32_bit_pictures() -> None:
    grey = RNG.random((4, 5), dtype=np.float32)
    picture = read(encoded(Image.fromarray(grey), "TIFF"))
    np.testing.assert_allclose(picture.pixels, np.repeat(grey[..., None], 3, -1), atol=1e-7)
    assert (picture.bits, picture.notices) == (16, ())
    picture = read(encoded(Image.fromarray(grey * 200 - 100), "TIFF"))
    assert picture.pixels.min() == 0
    assert picture.pixels.max() == 1
    assert "scaled to [0, 1]" in picture.notices[0]
    whole = RNG.integers(0, 65536, (4, 5)).astype(np.int32)
    np.testing.assert_allclose(read(encoded(Image.fromarray(whole), "TIFF")).pixels[..., 1], whole / 65535, atol=1e-7)
    with pytest.raises(ValueError, match="not finite"):
        read(encoded(Image.fromarray(np.full((2, 2), np.nan, np.float32)), "TIFF"))


SAMPLES = {
    "uint32": [0, 1, 65535, 65536, 2**31 - 1, 2**31, 3_000_000_000, 2**32 - 1],
    "int32": [-(2**31), -1, 0, 1, 65535, 65536, 2**31 - 2, 2**31 - 1],
    "int16": [-32768, -1, 0, 1, 300, 4000, 32766, 32767],
    "int8": [-128, -1, 0, 1, 30, 40, 126, 127],
    "uint16": [0, 1, 255, 256, 32767, 32768, 65534, 65535],
    "uint8": [0, 1, 2, 127, 128, 129, 254, 255],
    "float32": [-3.5, -1.0, 0.0, 0.25, 1.0, 7.5, 100.0, 1000.0],
}


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
@pytest.mark.parametrize("kind", SAMPLES)
def test_tiff_grey_of_every_sample_format(kind: str, photometric: str, compression: str | None) -> None:
    """Larger numbers are brighter, in proportion; where white is zero, darker. What Pillow cannot read is refused."""
    tifffile = pytest.importorskip("tifffile")
    samples, stream = np.array([SAMPLES[kind]], kind), io.BytesIO()
    tifffile.imwrite(stream, samples, photometric=photometric, compression=compression, metadata=None)
    if photometric == "miniswhite" and kind in ("uint32", "int32", "int16", "int8"):
        with pytest.raises(ValueError, match="a damaged TIFF, or one of an unknown kind"):
            read(stream.getvalue())
        return
    values = samples[0].astype(np.float64)
    truth = (values - values.min()) / (values.max() - values.min())
    picture = read(stream.getvalue())
    np.testing.assert_allclose(picture.pixels[0, :, 1], truth if photometric == "minisblack" else 1 - truth, atol=2e-7)
    assert len(picture.notices) == (kind not in ("uint8", "uint16"))


@pytest.mark.parametrize("kind", ["uint32", "int32", "int16", "int8"])
def test_whole_numbers_that_fit_stay_as_they_are(kind: str) -> None:
    tifffile = pytest.importorskip("tifffile")
    samples, stream = np.array([[0, 1, 20, 100]], kind), io.BytesIO()
    tifffile.imwrite(stream, samples, photometric="minisblack", metadata=None)
    picture = read(stream.getvalue())
    full = 255 if kind == "int8" else 65535
    np.testing.assert_allclose(picture.pixels[0, :, 0], samples[0] / full, atol=1e-7)
    assert picture.notices == ()


# --- colour -----------------------------------------------------------------------------------------------


def test_wide_gamut_profile_against_arithmetic() -> None:
    stored = RNG.integers(40, 200, (16, 16, 3), dtype=np.uint8)
    gamma = round(2.2 * 256) / 256
    linear = (stored / 255.0) ** gamma @ np.array(ADOBE) @ np.linalg.inv(np.array(SRGB))
    inside = (linear > 0).all(-1) & (linear < 1).all(-1)
    assert inside.sum() > 100
    data = encoded(Image.fromarray(stored), "PNG", icc_profile=rgb_profile(ADOBE, gamma))
    picture = read(data)
    assert np.abs(picture.pixels - srgb_encode(linear))[inside].max() < 2.5 / 255
    assert np.abs(picture.pixels - stored / 255).max() > 10 / 255
    assert picture.notices == ()


def test_srgb_profile_changes_nothing() -> None:
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    stored = RNG.integers(0, 256, (9, 9, 3), dtype=np.uint8)
    for format in ("PNG", "TIFF"):
        picture = read(encoded(Image.fromarray(stored), format, icc_profile=icc))
        np.testing.assert_allclose(picture.pixels, stored / 255, atol=1e-7)
    deep = stored.astype(np.uint16) * 251
    picture = read(png16(deep, icc=icc))
    np.testing.assert_allclose(picture.pixels, deep / 65535, atol=1e-7)
    assert picture.bits == 16


def test_profile_on_16_bits_is_applied_and_told() -> None:
    stored = RNG.integers(40, 200, (8, 8, 3), dtype=np.uint8)
    profile = rgb_profile(ADOBE, 2.2)
    eight = read(encoded(Image.fromarray(stored), "PNG", icc_profile=profile))
    deep = read(png16(stored.astype(np.uint16) * 257, icc=profile))
    np.testing.assert_array_equal(deep.pixels, eight.pixels)
    assert deep.bits == 8
    assert "8 bits" in deep.notices[0]


def test_grey_profile() -> None:
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    profile = icc_profile(b"GRAY", [(b"kTRC", gamma_curve(1.5))])
    picture = read(encoded(Image.fromarray(ramp), "PNG", icc_profile=profile))
    truth = srgb_encode((ramp / 255.0) ** 1.5)
    assert np.abs(picture.pixels - truth[..., None]).max() < 2.5 / 255
    assert np.abs(picture.pixels - ramp[..., None] / 255).max() > 20 / 255


def test_profile_with_transparency_leaves_alpha() -> None:
    stored = RNG.integers(40, 200, (8, 8, 4), dtype=np.uint8)
    profile = rgb_profile(ADOBE, 2.2)
    picture = read(encoded(Image.fromarray(stored), "PNG", icc_profile=profile))
    opaque = read(encoded(Image.fromarray(stored[..., :3]), "PNG", icc_profile=profile))
    np.testing.assert_array_equal(picture.pixels, opaque.pixels)
    np.testing.assert_allclose(opaqueness(picture.alpha), stored[..., 3] / 255, atol=1e-7)


@pytest.mark.parametrize("icc", [b"rubbish", rgb_profile(ADOBE, 2.2)[:200], cmyk_profile()])
def test_unusable_profile_is_told_and_ignored(icc: bytes) -> None:
    stored = RNG.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    picture = read(encoded(Image.fromarray(stored), "PNG", icc_profile=icc))
    np.testing.assert_allclose(picture.pixels, stored / 255, atol=1e-7)
    assert len(picture.notices) == 1
    assert "colour profile not used" in picture.notices[0]


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_cmyk_without_profile(format: str) -> None:
    inks = np.array([[[0, 0, 0, 0], [255, 0, 0, 0], [0, 255, 255, 0], [0, 0, 0, 255], [100, 50, 0, 51]]], np.uint8)
    stored = np.kron(inks, np.ones((16, 16, 1), np.uint8))
    image = Image.frombytes("CMYK", (80, 16), stored.tobytes())
    picture = read(encoded(image, format, **({"quality": 100} if format == "JPEG" else {})))
    truth = (1 - stored[..., :3] / 255) * (1 - stored[..., 3:] / 255)
    assert np.abs(picture.pixels - truth).max() < (4 if format == "JPEG" else 2) / 255
    assert "without a colour profile" in picture.notices[0]


def test_cmyk_with_profile() -> None:
    stored = np.kron(RNG.integers(0, 256, (4, 4, 4), dtype=np.uint8), np.ones((8, 8, 1), np.uint8))
    image = Image.frombytes("CMYK", (32, 32), stored.tobytes())
    data = encoded(image, "JPEG", quality=100, icc_profile=cmyk_profile())
    picture = read(data)
    direct = ImageCms.profileToProfile(
        Image.open(io.BytesIO(data)),
        ImageCms.ImageCmsProfile(io.BytesIO(cmyk_profile())),
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    assert direct is not None
    np.testing.assert_allclose(picture.pixels, np.asarray(direct) / 255, atol=1.01 / 255)
    naive = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")) / 255
    assert np.abs(picture.pixels - naive).max() > 0.1
    assert picture.notices == ()


def test_lab_tiff() -> None:
    white = read(encoded(Image.new("LAB", (3, 2), (255, 128, 128)), "TIFF"))
    np.testing.assert_allclose(white.pixels, 1, atol=2 / 255)


@pytest.mark.skipif(int(PIL.__version__.partition(".")[0]) < 13, reason="what Pillow wrote it could not read before")
def test_ycbcr_tiff() -> None:
    rgb = Image.new("RGB", (3, 2), (200, 30, 60))
    picture = read(encoded(rgb.convert("YCbCr"), "TIFF"))
    np.testing.assert_allclose(picture.pixels, np.asarray(rgb) / 255, atol=2 / 255)


# --- transparency, palettes, frames -----------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_8_bit_modes(mode: str) -> None:
    rgba = RNG.integers(0, 256, (6, 5, 4), dtype=np.uint8)
    image = Image.fromarray(rgba[..., :3] if mode == "P" else rgba).convert(mode)
    picture = read(encoded(image, "PNG"))
    truth = np.asarray(image.convert("RGB"), np.float32) / 255
    np.testing.assert_allclose(picture.pixels, truth, atol=1e-7)
    assert picture.pixels.dtype == np.float32
    assert picture.bits == 8
    if mode in ("LA", "RGBA"):
        np.testing.assert_allclose(opaqueness(picture.alpha), rgba[..., 3] / 255, atol=1e-7)
    else:
        assert picture.alpha is None


@pytest.mark.parametrize("transparency", [1, bytes([255, 0, 100])])
def test_palette_with_transparency(transparency: int | bytes) -> None:
    image = Image.new("P", (3, 1))
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    image.putdata([0, 1, 2])
    picture = read(encoded(image, "PNG", transparency=transparency))
    np.testing.assert_allclose(picture.pixels[0] * 255, [[10, 20, 30], [40, 50, 60], [70, 80, 90]], atol=1e-4)
    truth = [1, 0, 1] if transparency == 1 else [1, 0, 100 / 255]
    np.testing.assert_allclose(opaqueness(picture.alpha), [truth], atol=1e-6)


def test_transparent_colour_of_rgb_and_grey() -> None:
    rgb = Image.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8))
    np.testing.assert_array_equal(opaqueness(read(encoded(rgb, "PNG", transparency=(4, 5, 6))).alpha), [[1, 0]])
    grey = Image.fromarray(np.array([[7, 9]], np.uint8))
    np.testing.assert_array_equal(opaqueness(read(encoded(grey, "PNG", transparency=7)).alpha), [[0, 1]])


def test_opaque_alpha_is_none() -> None:
    assert read(encoded(Image.new("RGBA", (2, 2), (1, 2, 3, 255)), "PNG")).alpha is None


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "TIFF"])
def test_first_frame_is_taken_with_a_notice(format: str) -> None:
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    first, *rest = [Image.new("RGB", (6, 4), colour) for colour in colours]
    options: dict[str, Any] = {"lossless": True} if format == "WEBP" else {}
    picture = read(encoded(first, format, save_all=True, append_images=rest, **options))
    assert picture.frames == 3
    assert picture.notices == (
        ("picture of 3 pages" if format == "TIFF" else "animated picture of 3 frames") + ": the first is taken",
    )
    np.testing.assert_allclose(picture.pixels, np.broadcast_to(np.array([1, 0, 0], np.float32), (4, 6, 3)), atol=1e-6)


def test_first_frame_of_a_gif_cut_short_in_the_second() -> None:
    frames = [Image.fromarray(RNG.integers(0, 256, (32, 32), dtype=np.uint8)) for _ in range(2)]
    whole = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    picture = read(whole[: len(whole) * 3 // 4])
    np.testing.assert_allclose(picture.pixels, np.asarray(frames[0])[..., None] / 255 + np.zeros(3), atol=1e-6)
