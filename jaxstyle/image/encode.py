"""From samples to the bytes of a picture file."""

import io
import struct
import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from PIL import Image

from jaxstyle.image import resolution
from jaxstyle.image.decode import unit


def quantise(values: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """Floats in [0, 1], or unsigned samples, as samples of `dtype`: `floor(x * full + 1/2)`, clipped. Samples of
    that type already are returned as they are, not copied."""
    if values.dtype == dtype:
        return values
    out = unit(values)
    np.clip(out, 0, 1, out=out)
    out *= np.iinfo(dtype).max
    out += 0.5
    return out.astype(dtype)


def encode(samples: np.ndarray, format: str, exif: bytes | None = None, quality: int | None = None) -> bytes:
    """The bytes of a picture file.

    Args:
        samples: uint8 (H, W, C), C = 1 grey, 2 grey + alpha, 3 RGB, 4 RGBA; or uint16: PNG, TIFF with C = 1.
        format: "PNG", "JPEG", "WEBP", "TIFF" or "BMP".
        exif: EXIF block, or None; its resolution goes where the format has it.
        quality: 1 to 100 for JPEG and WebP. None: 95 for JPEG, lossless for WebP.
    """
    if samples.dtype == np.uint16 and format == "PNG":
        return encode_png16(samples, exif)
    block, dots = resolution.split(exif)
    if format == "WEBP":  # it has no other place for a resolution
        block = exif
    # Pillow's compressing TIFF writer cannot hold the sub-directories of EXIF
    options: dict[str, dict[str, Any]] = {
        "JPEG": {"quality": quality or 95, "subsampling": "4:4:4"},
        "WEBP": {"quality": quality} if quality else {"lossless": True, "exact": True},
        "TIFF": {} if block else {"compression": "tiff_adobe_deflate"},
    }
    buffer = io.BytesIO()
    extra: dict[str, Any] = {"exif": block} if block else {}
    if dots is not None and (format != "JPEG" or all(0.5 < value < 65535 for value in dots)):  # 16 bits
        extra["dpi"] = dots
    to_image(samples).save(buffer, format, **options.get(format, {}), **extra)
    return buffer.getvalue()


def encode_animation(frames: Iterable[np.ndarray], format: str, milliseconds: int | Sequence[int]) -> bytes:
    """The bytes of an animation that is repeated for ever.

    Args:
        frames: uint8 (H, W, 3), all of one size; at least one.
        format: "GIF" or "WEBP".
        milliseconds: that a frame is shown, or that each of them is.
    """
    options: dict[str, Any] = {"WEBP": {"quality": 90, "method": 4}}.get(format, {})
    shown = milliseconds if isinstance(milliseconds, int) else list(milliseconds)
    first, *rest = (Image.fromarray(frame) for frame in frames)
    buffer = io.BytesIO()
    first.save(buffer, format, save_all=True, append_images=rest, duration=shown, loop=0, **options)
    return buffer.getvalue()


def to_image(samples: np.ndarray) -> Image.Image:
    """uint8 or grey uint16 (H, W, C) as a PIL image."""
    return Image.fromarray(samples[..., 0] if samples.shape[-1] == 1 else samples)


_COLOUR_TYPE = {1: 0, 2: 4, 3: 2, 4: 6}  # channels -> grey, grey + alpha, RGB, RGBA


def encode_png16(samples: np.ndarray, exif: bytes | None = None) -> bytes:
    """Encode a PNG (ISO/IEC 15948) at 16 bits per channel, which Pillow does for grey only.

    Args:
        samples: uint16 (H, W, C), C = 1 grey, 2 grey + alpha, 3 RGB, 4 RGBA.
        exif: a TIFF-structured EXIF block, with or without the leading ``Exif\\0\\0``.

    Returns:
        The bytes of the file.
    """
    height, width, channels = samples.shape
    header = struct.pack(">2I5B", width, height, 16, _COLOUR_TYPE[channels], 0, 0, 0)
    chunks = [(b"IHDR", header)]
    chunks += metadata_chunks(exif)
    chunks += [(b"IDAT", zlib.compress(_filter(samples), 6)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def metadata_chunks(exif: bytes | None) -> list[tuple[bytes, bytes]]:
    """The chunks of a PNG that stand before the pixels: resolution, and the EXIF block where it has more than that."""
    block, dots = resolution.split(exif)
    chunks = []
    if dots is not None:
        chunks.append((b"pHYs", struct.pack(">2IB", *(round(value * resolution.METRE) for value in dots), 1)))
    if block:
        chunks.append((b"eXIf", block.removeprefix(b"Exif\0\0")))
    return chunks


def _filter(samples: np.ndarray) -> bytes:
    """Rows as bytes, each minus the row above (filter type 2, "Up")."""
    height, width, channels = samples.shape
    rows = np.ascontiguousarray(samples, dtype=">u2").view(np.uint8).reshape(height, width * channels * 2)
    out = np.empty((height, rows.shape[1] + 1), np.uint8)
    out[:, 0] = 2
    out[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=out[1:, 1:])  # modulo 256
    return out.tobytes()
