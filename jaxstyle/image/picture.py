"""Picture files <-> arrays: orientation, colour profiles, transparency, 16 bits, atomic writing.

`read` takes whatever Pillow decodes, or a PIL image, or an array, and gives a `Picture`: float32 pixels
(height, width, 3), sRGB-encoded in [0, 1], with the alpha channel set aside. `write` puts pixels (and alpha)
into a file, or leaves no trace. Whatever is wrong with a picture ends in a one-line `ImageError` naming it.

With its parts `jaxstyle.image.decode`, `jaxstyle.image.encode` and `jaxstyle.image.text` the only user of Pillow. Safe
to call from many threads.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from jaxstyle.image import resolution
from jaxstyle.image.decode import (
    Decoded,
    decode,
    decode_opened,
    unit,
)
from jaxstyle.image.encode import encode, quantise, to_image
from jaxstyle.image.header import HEIF_SUFFIXES, open_first, open_image, reads_heif, upright_size
from jaxstyle.image.source import (
    MAX_PIXELS,
    ImageError,
    byte_stream,
    check_size,
    is_standard,
    label_of,
    reading,
    reason,
    target_of,
)
from jaxstyle.image.source import STANDARD as STANDARD
from jaxstyle.image.source import source_of as source_of
from jaxstyle.runtime import files

READ_SUFFIXES = frozenset(
    f".{name}"
    for names in ("jpg jpeg jpe jfif jp2 j2k png webp avif avifs", "tif tiff bmp gif tga qoi pbm pgm pnm ppm")
    for name in names.split()
) | (HEIF_SUFFIXES if reads_heif() else frozenset())
"""Lower-case suffixes by which a walk through a folder should choose. `read` itself goes by the content."""

UNREAD_SUFFIXES = HEIF_SUFFIXES - READ_SUFFIXES
"""Lower-case suffixes of pictures that can be read once the extra ``heif`` is installed."""

WRITE_FORMATS = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "JPEG"),
    **{".png": "PNG", ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF", ".bmp": "BMP"},
}
"""Suffix -> format that `write` knows."""

OVERSHOOT = 1e-3
"""By so much values of a float array may lie outside [0, 1], where `read` clips them: rounding and resampling do that.
More is another scale, such as 0 to 255, or needs a decision of whoever made it."""

MOST_SIDE = 1_000_000
"""Pixels that a side has at most where a size is asked for: a square of them is a terapixel."""

Source = str | os.PathLike[str] | bytes | BinaryIO | Image.Image | np.ndarray
Target = str | os.PathLike[str] | BinaryIO


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture, upright, in sRGB.

    Attributes:
        pixels: float32 (height, width, 3), sRGB-encoded, in [0, 1].
        alpha: float32 (height, width) in [0, 1], 1 = opaque, not premultiplied; None where all is opaque.
        bits: 8 or 16, the precision the pixels came in; give it to `write` to keep it.
        exif: EXIF block for `write`, less orientation, sizes, thumbnail and maker note, with the resolution that
            the file tells in whatever way; None if none. `resized_exif` goes with `resize`.
        frames: frames or pages in the file; `pixels` is the first.
        format: Pillow's name of the source format, "array" for arrays, "" for PIL images made in memory.
        notices: sentences for the user about what was left out or guessed.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    bits: int = 8
    exif: bytes | None = None
    frames: int = 1
    format: str = ""
    notices: tuple[str, ...] = ()


# --- reading ----------------------------------------------------------------------------------------------


def read(source: Source, *, max_pixels: int = MAX_PIXELS, short_side: int | None = None) -> Picture:
    """Read a picture.

    Args:
        source: path, binary file object (read to its end), bytes, PIL image, or an array: bool, uint8, uint16
            or floating in [0, 1] (what exceeds that by up to `OVERSHOOT` is clipped), shaped (H, W) or (H, W, C), C = 1
            grey, 2 grey + alpha, 3 RGB, 4 RGBA.
        max_pixels: largest width x height that is decoded. Pillow's own limit for frames inside GIF, WebP and
            icon files (twice `PIL.Image.MAX_IMAGE_PIXELS`) holds beside it.
        short_side: a hint for loaders that shrink the picture anyway: a JPEG may be decoded at 1/2, 1/4 or
            1/8 of its size as long as its shorter side keeps this many pixels, which saves most of the time.
            No other source is affected.

    Returns:
        The picture, EXIF orientation applied, colours in sRGB; of an animation, the first frame.

    Raises:
        ImageError: not a picture, damaged, empty, larger than `max_pixels`, missing or not readable.
    """
    label = label_of(source)
    with reading(label):
        if isinstance(source, Image.Image):
            check_size(source.size, max_pixels, label)
            return _picture(decode(source.copy()), source.format)  # the frame it stands at
        if _is_file(source):
            with byte_stream(source, label) as stream:
                return _read_stream(stream, label, max_pixels, short_side)
        return _from_array(source, label, max_pixels)


def dimensions(source: Source) -> tuple[int, int]:
    """(height, width) of a picture, upright; of a file only the header is read.

    Raises:
        ImageError: as `read`, as far as the header tells.
    """
    label = label_of(source)
    with reading(label):
        if not _is_file(source) and not isinstance(source, Image.Image):
            height, width = _checked(source, label, (1, 2, 3, 4)).shape[:2]
            return height, width
        if isinstance(source, Image.Image):
            return upright_size(source)
        with byte_stream(source, label) as stream:
            return upright_size(open_image(stream, lambda size: check_size(size, MAX_PIXELS, label)))


def _is_file(source: Any) -> bool:
    return isinstance(source, str | os.PathLike | bytes | bytearray) or hasattr(source, "read")


def _read_stream(stream: BinaryIO, label: str, max_pixels: int, short_side: int | None) -> Picture:
    def check(size: tuple[int, int]) -> None:
        check_size(size, max_pixels, label)

    opened = open_first(stream, check)
    found = f"{opened.image.format}, {opened.image.width} x {opened.image.height}"
    try:
        return _picture(decode_opened(opened, stream, check, short_side), opened.image.format)
    except (MemoryError, ImageError):
        raise
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged data
        raise ImageError(label, f"{found}: cannot be decoded: {reason(error)}") from error


def _picture(decoded: Decoded, source_format: str | None) -> Picture:
    pixels = unit(decoded.samples)
    alpha = None if decoded.alpha is None else unit(decoded.alpha)
    return Picture(
        pixels=pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=-1),
        alpha=None if alpha is None or alpha.min() == 1 else alpha,
        bits=8 if decoded.samples.dtype == np.uint8 else 16,
        exif=decoded.exif,
        frames=decoded.frames,
        format=source_format or "",
        notices=decoded.notices,
    )


# --- arrays -----------------------------------------------------------------------------------------------


def _checked(array: Any, label: str, channels: tuple[int, ...]) -> np.ndarray:
    """`array` as bool, uint8, uint16 or finite floats, (H, W) or (H, W, C), C in `channels`, not empty."""
    array = np.asarray(array)
    if array.dtype.name == "bfloat16":
        array = array.astype(np.float32)
    if array.dtype.kind not in "bf" and array.dtype not in (np.uint8, np.uint16):
        raise ImageError(label, f"array of {array.dtype}: expected uint8, uint16, bool or floats in [0, 1]")
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in channels):
        accepted = ", ".join(map(str, channels))
        raise ImageError(label, f"array of shape {array.shape}: expected (H, W) or (H, W, C), C one of {accepted}")
    if array.size == 0:
        raise ImageError(label, f"has no pixels: array of shape {array.shape}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ImageError(label, "array holds values that are not finite (NaN or infinity)")
    return array


def _from_array(source: Any, label: str, max_pixels: int) -> Picture:
    array = _checked(source, label, (1, 2, 3, 4))
    check_size((array.shape[1], array.shape[0]), max_pixels, label)
    if array.dtype.kind == "f" and not (array.min() >= -OVERSHOOT and array.max() <= 1 + OVERSHOOT):
        found = f"float array with values from {array.min():g} to {array.max():g}"
        raise ImageError(label, f"{found}: expected floats in [0, 1], or uint8 or uint16 samples")
    bits = 8 if array.dtype.itemsize == 1 else 16
    values = np.clip(unit(array if array.ndim == 3 else array[..., None]), 0, 1)
    alpha = values[..., -1].copy() if values.shape[2] in (2, 4) else None
    pixels = values[..., :3].copy() if values.shape[2] >= 3 else np.repeat(values[..., :1], 3, axis=-1)
    return Picture(pixels, None if alpha is None or alpha.min() == 1 else alpha, bits, format="array")


def resize(
    pixels: np.ndarray, size: tuple[int, int], box: tuple[float, float, float, float] | None = None
) -> np.ndarray:
    """Resize with Pillow's Lanczos filter in float32, antialiased when shrinking.

    Args:
        pixels: floating (H, W) or (H, W, C) in [0, 1].
        size: (height, width) in pixels, each at least 1.
        box: the part that is resized, (top, bottom, left, right) in pixels, fractions included; what lies beside it
            still counts where the filter sees it. By default everything.

    Returns:
        float32 (height, width[, C]), clipped to [0, 1].

    Raises:
        ImageError: wrong shape, type or size.
    """
    array = unit(_checked(pixels, "pixels", (1, 2, 3, 4)))
    height, width = size
    if height < 1 or width < 1:
        raise ImageError("size", f"{height} x {width}: height and width must be at least 1")
    if (height, width) == array.shape[:2] and box is None:
        return np.clip(array, 0, 1)
    top, bottom, left, right = box or (0, array.shape[0], 0, array.shape[1])
    planes = array[..., None] if array.ndim == 2 else array
    out = np.empty((height, width, planes.shape[2]), np.float32)
    for channel in range(planes.shape[2]):
        plane = Image.fromarray(np.ascontiguousarray(planes[..., channel]))
        out[..., channel] = np.asarray(
            plane.resize((width, height), Image.Resampling.LANCZOS, (left, top, right, bottom))
        )
    np.clip(out, 0, 1, out=out)
    return out[..., 0] if array.ndim == 2 else out


def resized_exif(exif: bytes | None, before: tuple[int, ...], after: tuple[int, ...]) -> bytes | None:
    """The EXIF block of a resized picture: its resolution is such that it is as large on paper as it was.

    Args:
        exif: as in `Picture.exif`.
        before, after: shapes, which begin with height and width.
    """
    return resolution.resized(exif, before, after)


def resize_short_side(pixels: np.ndarray, length: int) -> np.ndarray:
    """Resize so that the shorter side has `length` pixels, aspect ratio kept to the nearest pixel.

    Args:
        pixels: floating (H, W) or (H, W, C) in [0, 1].
        length: pixels, at least 1.

    Returns:
        float32 (height, width[, C]), clipped to [0, 1].

    Raises:
        ImageError: as `resize`.
    """
    height, width = _checked(pixels, "pixels", (1, 2, 3, 4)).shape[:2]
    return resize(pixels, short_side_size((height, width), length))


def short_side_size(shape: tuple[int, int], length: int) -> tuple[int, int]:
    """(height, width) of a picture of `shape` whose shorter side becomes `length` pixels; the longer is rounded."""
    height, width = shape
    short = min(shape)
    return (2 * height * length + short) // (2 * short), (2 * width * length + short) // (2 * short)


def output_size(shape: tuple[int, ...], size: int | tuple[int, int] | None, name: str = "size") -> tuple[int, int]:
    """(height, width) of a result: the one rule for what a size means.

    Args:
        shape: of the picture that it is made of; begins with its height and width.
        size: the short side in pixels, the long one rounded to nearest, halves upwards; or (width, height); None: as
            the picture.
        name: of `size`, for the message.

    Raises:
        ImageError: a side of more than `MOST_SIDE` pixels comes of a size.
    """
    if size is None:
        return shape[0], shape[1]
    height, width = size[::-1] if isinstance(size, tuple) else short_side_size((shape[0], shape[1]), size)
    if max(height, width) > MOST_SIDE:
        raise ImageError(name, f"expected sides of at most {MOST_SIDE} pixels, got {width} x {height}")
    return height, width


def to_pil(pixels: Picture | np.ndarray, alpha: np.ndarray | None = None) -> Image.Image:
    """An 8-bit PIL image, mode L, LA, RGB or RGBA.

    Args:
        pixels: a `Picture` (its own alpha is used where `alpha` is None), or an array as for `write`.
        alpha: (H, W) in [0, 1], or None.

    Raises:
        ImageError: wrong shape or type, or values that are not finite.
    """
    if isinstance(pixels, Picture):
        alpha = pixels.alpha if alpha is None else alpha
        pixels = pixels.pixels
    return to_image(_quantised(pixels, alpha, 8, "pixels"))


# --- writing ----------------------------------------------------------------------------------------------


def write(
    target: Target,
    pixels: np.ndarray,
    *,
    alpha: np.ndarray | None = None,
    bits: int = 8,
    exif: bytes | None = None,
    format: str | None = None,
    quality: int | None = None,
    overwrite: bool = True,
) -> tuple[str, ...]:
    """Write a picture, whole or not at all.

    The bytes go to a temporary file beside the target, which then takes its name: whatever goes wrong, Ctrl-C
    included, leaves the old file as it was and no temporary one.

    Args:
        target: path, whose suffix chooses the format (see `WRITE_FORMATS`), or a binary file object, which gets all
            bytes at once. For standard output see `target_of`.
        pixels: (H, W, 3), (H, W, 1) or (H, W), sRGB-encoded: floats, clipped to [0, 1] and rounded to
            nearest, or uint8 or uint16.
        alpha: (H, W) in [0, 1], stored where the format can.
        bits: 8, or 16 for PNG and for grey TIFF.
        exif: EXIF block, as in `Picture.exif`; its resolution is also written where the format has a field for it.
        format: "PNG", "JPEG", "WEBP", "TIFF" or "BMP", instead of the suffix.
        quality: 1 to 100. None is 95 for JPEG (always 4:4:4), lossless for WebP; the others are lossless.
        overwrite: False refuses a path that exists.

    Returns:
        Sentences for the user about what the format could not hold; empty where all was kept.

    Raises:
        ImageError: unknown format, unusable arguments or values, or a file that cannot be written.
        BrokenPipeError: nobody reads `target` any more.
    """
    label = label_of(target, "output")
    chosen = format_of(target, format)
    if bits not in (8, 16):
        raise ImageError(label, f"bits = {bits!r}: expected 8 or 16")
    if quality is not None and not (isinstance(quality, int) and 1 <= quality <= 100):
        raise ImageError(label, f"quality = {quality!r}: expected an integer from 1 to 100")
    notices = []
    if alpha is not None and chosen in ("JPEG", "BMP"):
        alpha = None
        notices.append(f"{chosen} has no transparency: the alpha channel is left out")
    if bits == 16 and not (chosen == "PNG" or (chosen == "TIFF" and np.ndim(pixels) == 2 and alpha is None)):
        bits = 8
        notices.append(f"{chosen} is written at 8 bits per channel: PNG keeps 16")
    if resolution.split(exif)[0] and (chosen == "BMP" or (chosen == "JPEG" and len(exif or b"") > 65_533)):
        exif = resolution.alone(exif)
        notices.append(f"{chosen} cannot hold this EXIF data: it is left out")
    if quality is not None and chosen not in ("JPEG", "WEBP"):
        notices.append(f"{chosen} is lossless: quality = {quality} has no effect")
    samples = _quantised(pixels, alpha, bits, label)
    try:
        data = encode(samples, chosen, exif, quality)
        if isinstance(target, str | os.PathLike):
            files.write(target, data, overwrite)
        else:
            target.write(data)
            target.flush()  # a full disk behind a pipe is found here
    except (ImageError, BrokenPipeError):
        raise
    except OSError as error:
        folder = os.path.dirname(os.path.realpath(label))
        missing = isinstance(error, FileNotFoundError) and not os.path.isdir(folder)
        problem = f"there is no folder {folder}" if missing else (error.strerror or reason(error)).lower()
        raise ImageError(label, f"cannot be written: {problem}") from error
    except Exception as error:  # an encoder's limit, such as WebP's 16383 pixels
        raise ImageError(label, f"cannot be written as {chosen}: {reason(error)}") from error
    return tuple(notices)


def check_target(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    overwrite: bool = False,
    keep: Iterable[str | os.PathLike[str]] = (),
) -> None:
    """Find out before a long computation whether `write` would refuse a path.

    Args:
        path: the file to be written, or ``"-"`` for standard output.
        format: as in `write`.
        overwrite: whether it may be there already.
        keep: files that must never be replaced, such as the sources.

    Raises:
        ImageError: unknown format, a missing or read-only folder, an existing file, or one of `keep`.
    """
    format_of(path, format)
    if is_standard(path):
        target_of(path)
        return
    label = label_of(path, "output")
    folder = os.path.dirname(os.path.realpath(path))
    if os.path.isdir(path):
        raise ImageError(label, "is a folder, not a file to write")
    if not os.path.isdir(folder):
        raise ImageError(label, f"cannot be written: there is no folder {folder}")
    if not os.access(folder, os.W_OK):
        raise ImageError(label, f"cannot be written: the folder {folder} is read-only")
    if os.path.exists(path):
        if any(os.path.exists(other) and os.path.samefile(path, other) for other in keep):
            raise ImageError(label, "is the source itself, which is never replaced")
        if not overwrite:
            raise ImageError(label, "exists already: choose another name, or give overwrite=True")


def format_of(
    target: Target, format: str | None = None, source: str = "PNG", *, more: Mapping[str, str] | None = None
) -> str:
    """The format in which `write` should write.

    Args:
        target: path or binary file object; ``"-"`` for standard output.
        format: the user's choice, in any case, "jpg" and "tif" included; it comes first.
        source: `Picture.format` of what is being written again: the choice for standard output, which has no suffix,
            or "PNG" where that format cannot be written.
        more: suffix -> format that the caller can write beside those of `WRITE_FORMATS`.

    Returns:
        "PNG", "JPEG", "WEBP", "TIFF" or "BMP", or one of ``more``.

    Raises:
        ImageError: an unknown format or suffix.
    """
    label = label_of(target, "output")
    known = sorted(set(WRITE_FORMATS.values()))
    if format is not None:
        chosen = {"JPG": "JPEG", "TIF": "TIFF"}.get(format.upper(), format.upper())
        if chosen not in known:
            raise ImageError(label, f"unknown format {format!r}: expected one of {', '.join(known)}")
        return chosen
    if is_standard(target):
        source = {"MPO": "JPEG"}.get(source, source)
        return source if source in known else "PNG"
    name = os.fspath(target) if isinstance(target, str | os.PathLike) else str(getattr(target, "name", ""))
    suffix = os.path.splitext(name)[1].lower()
    formats = {**WRITE_FORMATS, **(more or {})}
    if suffix not in formats:
        found = f"unknown suffix {suffix!r}" if suffix else "no suffix to tell the format by"
        raise ImageError(label, f"{found}: expected one of {', '.join(sorted(formats))}")
    return formats[suffix]


def _quantised(pixels: np.ndarray, alpha: np.ndarray | None, bits: int, label: str) -> np.ndarray:
    """uint8 or uint16 (H, W, C), C = 1 grey, 2 grey + alpha, 3 RGB, 4 RGBA: `floor(x * full + 1/2)`."""
    planes = _checked(pixels, label, (1, 3))
    planes = planes[..., None] if planes.ndim == 2 else planes
    height, width, channels = planes.shape
    dtype = np.dtype(np.uint8 if bits == 8 else np.uint16)
    out = np.empty((height, width, channels + (alpha is not None)), dtype)
    out[..., :channels] = quantise(planes, dtype)
    if alpha is not None:
        mask = _checked(alpha, f"{label} (alpha)", (1,))
        if mask.shape[:2] != (height, width):
            raise ImageError(label, f"alpha of shape {mask.shape} with pixels of shape {np.shape(pixels)}")
        out[..., channels] = quantise(mask.reshape(height, width), dtype)
    return out
