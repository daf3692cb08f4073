"""Pictures larger than memory, written as their rows come.

`write` takes bands of rows from top to bottom and makes a PNG, a tiled TIFF (`jaxstyle.image.tiff`; with the extra
``large``), or a DeepZoom pyramid (``name.dzi`` and ``name_files/``) without ever holding the picture. The other
formats cannot be written so: their picture is gathered in 8 bits, 3 or 4 bytes per pixel. Whatever goes wrong,
interruption included, leaves what was there before and nothing else.
"""

from __future__ import annotations

import collections
import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from jaxstyle import image
from jaxstyle.image import resolution
from jaxstyle.image.deepzoom import check_replaceable, files_of, write_deepzoom
from jaxstyle.image.encode import metadata_chunks, quantise
from jaxstyle.image.source import ImageError, label_of
from jaxstyle.image.tiff import write_tiff
from jaxstyle.image.windows import Source
from jaxstyle.runtime import files

_PNG_ROWS = 64
"""Rows that are compressed at a time."""
_CHANNELS_OF_PNG = {3: 2, 4: 6}  # colour types RGB, RGBA


MOST_SIDE = {"JPEG": 65_500, "WEBP": 16_383, "GIF": 65_535, "MP4": 16_384}
"""The longest side that a format can have, in pixels (of JPEG what libjpeg writes, of MP4 what x264 does)."""


class Rows(NamedTuple):
    """A picture that comes row by row.

    Attributes:
      bands: float ``(h, width, 3)``, sRGB-encoded, from top to bottom; clipped to [0, 1] and rounded to nearest; or
        samples as they are to be, uint8 or uint16 by ``bits``.
      height, width: of the whole picture.
      alpha: the transparency, ``(height, width)``; left out where the format has none.
      bits: 8, or 16 for PNG and TIFF.
      exif: EXIF block; kept in PNG, JPEG and WebP, of TIFF in tiles its resolution.
    """

    bands: Iterable[np.ndarray]
    height: int
    width: int
    alpha: Source | None = None
    bits: int = 8
    exif: bytes | None = None


def write(
    target: str | os.PathLike[str],
    picture: Rows,
    *,
    format: str | None = None,
    quality: int | None = None,
    overwrite: bool = True,
    pyramid: bool = False,
    work: str | os.PathLike[str] | None = None,
) -> tuple[str, ...]:
    """Writes a picture as its rows come.

    Args:
      target: its suffix chooses the format: ``.png``, ``.tif``, ``.dzi``, or one that `jaxstyle.image.write` knows.
      picture: what is written.
      format: instead of the suffix, as in `jaxstyle.image.write`; DeepZoom goes by its suffix alone.
      quality: 1 to 100, of JPEG and WebP, and of DeepZoom's JPEG tiles; None: 95.
      overwrite: False refuses a target that exists.
      pyramid: TIFF with smaller versions, see `jaxstyle.image.tiff.write_tiff`.
      work: folder for what is not finished, in the file system of ``target``; by default that of ``target``.

    Returns:
      Sentences for the user about what the format could not hold.

    Raises:
      ImageError: what `check_target` says, bands of another size, or a file that cannot be written.
    """
    bands, height, width, alpha, bits, exif = picture
    label, path = label_of(target, "output"), os.path.realpath(target)
    notices: list[str] = []
    check_target(target, format=format, overwrite=overwrite)  # before the first band, which may cost hours
    if os.path.exists(path) and not os.path.isfile(path):
        raise ImageError(label, "is not a regular file: rows cannot be written to it")
    chosen = format_of(target, format)
    streamed = is_streamed(chosen)
    if pyramid and chosen == "TIFF" and not streamed:
        notices.append("TIFF is written without tiles and smaller versions: they need tifffile (jaxstyle[large])")
    asked, bits = bits, kept_bits(chosen, bits)
    if bits != asked:
        notices.append(f"{chosen} is written at 8 bits per channel: PNG keeps 16")
    if alpha is not None and chosen in ("JPEG", "BMP"):
        alpha = None
        notices.append(f"{chosen} has no transparency: the alpha channel is left out")
    channels = 3 if alpha is None else 4
    rows = _samples(bands, height, width, alpha, bits, label)
    try:
        if not streamed:
            return (*notices, *_gather(target, rows, (height, width, channels), exif, chosen, quality))
        block, dots = resolution.split(exif)
        if block and chosen != "PNG":
            notices.append(f"{chosen} is written in tiles without EXIF data: PNG keeps it")
        with files.temporary_beside(path if work is None else os.path.join(work, "picture")) as temporary:
            if chosen == "DZI":
                write_deepzoom(temporary, path, rows, (height, width, channels), quality)
            elif chosen == "PNG":
                with open(temporary, "xb") as stream:
                    write_png(stream, rows, height, width, channels, bits, exif)
                files.replace(temporary, path)
            else:
                write_tiff(temporary, rows, (height, width, channels), bits, pyramid=pyramid, resolution=dots)
                files.replace(temporary, path)
    except ImageError:
        raise
    except OSError as error:
        problem = (error.strerror or str(error)).lower()
        raise ImageError(label, f"cannot be written: {problem}") from error
    return tuple(notices)


def format_of(target: str | os.PathLike[str], format: str | None = None) -> str:
    """Like `jaxstyle.image.format_of`, and "DZI" for ``.dzi``.

    Raises:
      ImageError: an unknown format or suffix.
    """
    return image.format_of(target, format, more={".dzi": "DZI"})


def check_target(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    overwrite: bool = False,
    keep: Iterable[str | os.PathLike[str]] = (),
) -> None:
    """Like `jaxstyle.image.check_target`, which it asks, for ``.dzi`` too.

    Raises:
      ImageError: `write` would refuse the path.
    """
    if format_of(path, format) != "DZI":
        return image.check_target(path, format=format, overwrite=overwrite, keep=keep)
    label, real = label_of(path, "output"), os.path.realpath(path)
    folder, tiles = os.path.dirname(real), files_of(real)
    if os.path.isdir(real):
        raise ImageError(label, "is a folder, not a file to write")
    if not os.path.isdir(folder):
        raise ImageError(label, f"cannot be written: there is no folder {folder}")
    if not os.access(folder, os.W_OK):
        raise ImageError(label, f"cannot be written: the folder {folder} is read-only")
    for source in map(os.path.realpath, keep):
        if source == real or source.startswith(tiles + os.sep):
            raise ImageError(label, f"would replace the source {source}, which is never done")
    if not overwrite and any(map(os.path.exists, (real, tiles))):
        raise ImageError(label, f"it or {files_of(label)} exists already: choose another name, or give overwrite=True")
    if os.path.exists(tiles):
        check_replaceable(tiles, label)
    return None


def kept_bits(format: str, bits: int) -> int:
    """How many of ``bits``, 8 or 16, a format, as `format_of` names it, keeps of every sample."""
    return bits if format != "DZI" and is_streamed(format) else 8


def is_streamed(format: str) -> bool:
    """Whether a format, as `format_of` names it, is written as rows come; the others are gathered in memory."""
    if format != "TIFF":
        return format in ("PNG", "DZI")
    try:
        import tifffile  # noqa: F401
    except ImportError:
        return False
    return True


def check_format(output: str | os.PathLike[str], format: str, width: int, height: int) -> None:
    """Checks that a format can hold a picture of this size, and the memory where the format needs it there as a whole,
    before it is painted.

    Raises:
      ImageError: it cannot.
    """
    from jaxstyle.runtime import memory  # imports JAX

    most, label = MOST_SIDE.get(format), label_of(output, "output")
    found = f"{width} x {height} pixels are too many"
    if most is not None and max(width, height) > most:
        problem = f"{found} for {format}, whose sides have at most {most}: PNG, TIFF and .dzi have no such limit"
        raise ImageError(label, problem)
    needed, free = 9 * width * height, memory.host_memory()  # the samples, their file, and what the encoder copies
    if not is_streamed(format) and free is not None and needed > free:
        problem = f"{found} for the memory, where {format} needs them all at once"
        raise ImageError(label, f"{problem}: PNG, TIFF (with tifffile) and .dzi are written row by row")


def _samples(
    bands: Iterable[np.ndarray], height: int, width: int, alpha: Source | None, bits: int, label: str
) -> Iterator[np.ndarray]:
    """Bands as uint8 or uint16 (h, width, 3 or 4), their sizes checked."""
    dtype: np.dtype[Any] = np.dtype(np.uint8 if bits == 8 else np.uint16)
    top = 0
    for band in bands:
        bottom = top + len(band)
        if band.shape[1:] != (width, 3) or bottom > height:
            raise ImageError(label, f"rows {top} .. {bottom - 1} of shape {band.shape} do not fit {width} x {height}")
        out = np.empty((len(band), width, 3 if alpha is None else 4), dtype)
        out[..., :3] = quantise(band, dtype)
        if alpha is not None:
            out[..., 3] = quantise(alpha.read(top, bottom, 0, width), dtype)
        yield out
        top = bottom
    if top != height:
        raise ImageError(label, f"{top} rows of {height} came")


def _gather(
    target: str | os.PathLike[str],
    rows: Iterator[np.ndarray],
    shape: tuple[int, int, int],
    exif: bytes | None,
    format: str,
    quality: int | None,
) -> tuple[str, ...]:
    """The whole picture in 8 bits, then `jaxstyle.image.write`."""
    whole = np.empty(shape, np.uint8)
    top = 0
    for band in rows:
        whole[top : top + len(band)] = band
        top += len(band)
    alpha = whole[..., 3] if shape[2] == 4 else None
    return image.write(target, whole[..., :3], alpha=alpha, exif=exif, format=format, quality=quality)


# ---- PNG ---------------------------------------------------------------------------------------------------


def write_png(
    stream: BinaryIO,
    bands: Iterable[np.ndarray],
    height: int,
    width: int,
    channels: int = 3,
    bits: int = 8,
    exif: bytes | None = None,
) -> None:
    """Writes a PNG (ISO/IEC 15948) row by row; Pillow wants all rows at once. They are compressed in threads.

    Args:
      stream: it is not closed, nor sought in.
      bands: uint8 or uint16 ``(h, width, channels)``, by ``bits``, from top to bottom.
      height, width, channels, bits: of the picture; 3 channels are RGB, 4 RGBA.
      exif: a TIFF-structured EXIF block, with or without the leading ``Exif\\0\\0``.
    """

    def chunk(kind: bytes, data: bytes) -> None:
        stream.write(struct.pack(">I", len(data)) + kind)
        stream.write(data)
        stream.write(struct.pack(">I", zlib.crc32(data, zlib.crc32(kind))))

    stream.write(b"\x89PNG\r\n\x1a\n")
    chunk(b"IHDR", struct.pack(">2I5B", width, height, bits, _CHANNELS_OF_PNG[channels], 0, 0, 0))
    for kind, data in metadata_chunks(exif):
        chunk(kind, data)

    def lines() -> Iterator[np.ndarray]:
        above = np.zeros(width * channels * bits // 8, np.uint8)
        for band in bands:
            for start in range(0, len(band), _PNG_ROWS):
                part = np.ascontiguousarray(band[start : start + _PNG_ROWS], ">u2" if bits == 16 else np.uint8)
                rows = part.view(np.uint8).reshape(len(part), -1)
                filtered = np.empty((len(rows), rows.shape[1] + 1), np.uint8)
                filtered[:, 0] = 2  # "Up": minus the row above, modulo 256
                filtered[:, 1:] = rows - np.concatenate([above[None], rows[:-1]])
                above = rows[-1]
                yield filtered

    for data in _deflated(lines()):
        chunk(b"IDAT", data)
    chunk(b"IEND", b"")


def _deflated(parts: Iterable[np.ndarray]) -> Iterator[bytes]:
    """One zlib stream (RFC 1950) of many parts that are compressed at once, in threads, as pigz does it: each begins
    with the end of the one before as its dictionary and ends at a whole byte."""

    def deflate(part: bytes, before: bytes) -> bytes:
        packer = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS, zdict=before)
        return packer.compress(part) + packer.flush(zlib.Z_SYNC_FLUSH)

    threads = os.cpu_count() or 1
    waiting: collections.deque[Future[bytes]] = collections.deque()
    before, checksum = b"", 1
    yield b"\x78\x9c"  # deflate with a window of 32 KiB, the usual level
    with ThreadPoolExecutor(threads) as pool:
        for part in parts:
            data = part.tobytes()
            waiting.append(pool.submit(deflate, data, before))
            checksum = zlib.adler32(data, checksum)
            before = (before + data[-(1 << zlib.MAX_WBITS) :])[-(1 << zlib.MAX_WBITS) :]
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    yield b"\x03\x00" + struct.pack(">I", checksum)  # an empty last block
