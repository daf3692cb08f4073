"""Bytes of picture files."""

import io

import numpy as np
import pytest
from PIL import Image

from jaxstyle.image.encode import encode, encode_png16

RNG = np.random.default_rng(1)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png16_is_read_by_pillow(channels: int) -> None:
    samples = RNG.integers(0, 65536, (7, 9, channels), dtype=np.uint16)
    image = Image.open(io.BytesIO(encode_png16(samples)))
    image.load()  # checks every CRC
    if channels == 1:
        np.testing.assert_array_equal(np.asarray(image), samples[..., 0])
    else:  # Pillow keeps the high bytes
        high = (samples >> 8).astype(np.uint8)
        expected = high[..., [0, 0, 0, 1]] if channels == 2 else high
        np.testing.assert_array_equal(np.asarray(image), expected)


def test_png16_holds_exif_once() -> None:
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    data = encode_png16(np.zeros((1, 1, 3), np.uint16), exif.tobytes())
    assert Image.open(io.BytesIO(data)).getexif()[0x010F] == "Maker"


def test_png16_of_a_ramp_is_compressed() -> None:
    ramp = np.arange(256 * 256, dtype=np.uint16).reshape(256, 256, 1)
    assert len(encode_png16(ramp)) < ramp.nbytes / 20


def test_jpeg_is_quality_95_without_chroma_subsampling() -> None:
    image = Image.open(io.BytesIO(encode(RNG.integers(0, 256, (16, 16, 3), dtype=np.uint8), "JPEG")))
    reference = io.BytesIO()
    Image.new("RGB", (8, 8)).save(reference, "JPEG", quality=95)
    assert image.layer[0][1:3] == image.layer[1][1:3] == (1, 1)  # type: ignore[attr-defined]
    assert image.quantization == Image.open(reference).quantization  # type: ignore[attr-defined]


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF", "BMP"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_lossless_by_default(format: str, channels: int) -> None:
    samples = RNG.integers(0, 256, (7, 9, channels), dtype=np.uint8)
    if format == "BMP" and channels == 4:
        pytest.skip("BMP holds no alpha")
    image = Image.open(io.BytesIO(encode(samples, format)))
    decoded = np.asarray(image)
    decoded = decoded[..., None] if decoded.ndim == 2 else decoded
    np.testing.assert_array_equal(decoded, np.broadcast_to(samples, (*samples.shape[:2], decoded.shape[2])))


def test_webp_quality_makes_it_lossy_and_small() -> None:
    samples = RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert len(encode(samples, "WEBP", quality=50)) < len(encode(samples, "WEBP")) / 2
