"""Pictures larger than memory, read window by window.

A `Source` has a shape and gives windows as float32: an array, an opened file, another source in another size. TIFF
files of the common kinds are read segment by segment (with the extra ``large``, which brings tifffile); every other
file is decoded once and kept in its own 8 or 16 bits, a quarter or half of what `jaxstyle.image.read` takes.
`jaxstyle.image.stream` is the other half.
"""

from __future__ import annotations

import collections
import io
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, runtime_checkable

import numpy as np

from jaxstyle import image
from jaxstyle.image import decode
from jaxstyle.image.header import open_first
from jaxstyle.image.source import MAX_PIXELS, ImageError, byte_stream, check_size, from_pipe, label_of, reading, reason

CACHE_BYTES = 256 << 20
"""Most bytes of decoded TIFF segments that are kept: neighbouring windows share segments."""


Window = Callable[[int, int, int, int], np.ndarray]
"""What `Source.read` is: (top, bottom, left, right) in pixels -> values."""

STRIP_PIXELS = 4 << 20
"""Most pixels, about, that are read at once to be resized."""


@runtime_checkable
class Source(Protocol):
    """A picture or a mask that is read in windows."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(height, width, channels), or (height, width) of a mask."""
        ...

    def read(self, top: int, bottom: int, left: int, right: int) -> np.ndarray:
        """Rows top .. bottom - 1, columns left .. right - 1, as float32 in [0, 1]."""
        ...


class ArraySource:
    """Windows of an array, memory-mapped ones included.

    Args:
        array: (H, W) or (H, W, C): uint8, uint16, bool, or floats in [0, 1]. It is not copied.

    Raises:
        ValueError: another shape or type, or no pixels.
    """

    def __init__(self, array: np.ndarray) -> None:
        if not hasattr(array, "dtype") or array.ndim not in (2, 3) or 0 in array.shape:
            found = f"shape {np.shape(array)}" if hasattr(array, "dtype") else type(array).__name__
            raise ValueError(f"source: expected an array (H, W) or (H, W, C) with pixels in it, got {found}")
        if array.dtype.kind not in "bf" and array.dtype not in (np.uint8, np.uint16):
            raise ValueError(f"source: expected uint8, uint16, bool or floats in [0, 1], got {array.dtype}")
        self._array = array

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self._array.shape)

    def read(self, top: int, bottom: int, left: int, right: int) -> np.ndarray:
        """Rows top .. bottom - 1, columns left .. right - 1, as float32 in [0, 1]."""
        window = decode.unit(np.asarray(self._array[top:bottom, left:right]))
        if self._array.dtype.kind != "f":
            return window
        least, most = float(window.min()), float(window.max())
        if not (least >= -image.OVERSHOOT and most <= 1 + image.OVERSHOOT):  # NaN neither
            found = f"values from {least:g} to {most:g} in rows {top} .. {bottom - 1}"
            raise ValueError(f"source: expected floats in [0, 1], or uint8 or uint16 samples, got {found}")
        return np.clip(window, 0, 1)


class Resized:
    """Another source in another size: its windows are those of `jaxstyle.image.resize` of the whole.

    Args:
        source: it is read in windows that exceed the wanted ones by what the Lanczos filter sees, strip by strip.
        height, width: of the result, in pixels.
    """

    def __init__(self, source: Source, height: int, width: int) -> None:
        self._source, self._size = source, (height, width)

    @property
    def shape(self) -> tuple[int, ...]:
        return (*self._size, *self._source.shape[2:])

    def read(self, top: int, bottom: int, left: int, right: int) -> np.ndarray:
        """Rows top .. bottom - 1, columns left .. right - 1, as float32 in [0, 1]."""
        x = _Axis(self._source.shape[1], self._size[1], left, right)
        rows = max(1, math.floor(STRIP_PIXELS / (x.last - x.first) * self._size[0] / self._source.shape[0]))
        out = np.empty((bottom - top, right - left, *self._source.shape[2:]), np.float32)
        for start in range(top, bottom, rows):
            stop = min(start + rows, bottom)
            y = _Axis(self._source.shape[0], self._size[0], start, stop)
            seen = self._source.read(y.first, y.last, x.first, x.last)
            out[start - top : stop - top] = image.resize(seen, (stop - start, right - left), (*y.box, *x.box))
        return out


class _Axis:
    """What a part of a resized axis is made of: pixels first .. last - 1 of the source, and a box among them."""

    def __init__(self, size: int, resized: int, start: int, stop: int) -> None:
        begin, end = start * size / resized, stop * size / resized
        seen = 3 * max(1.0, size / resized) + 1  # Lanczos' three lobes, and rounding
        self.first, self.last = max(0, math.floor(begin - seen)), min(size, math.ceil(end + seen))
        self.box = (begin - self.first, end - self.first)


@dataclass(frozen=True, eq=False)
class LargePicture:
    """An opened picture, upright, in sRGB; a context manager that closes the file.

    Attributes:
        pixels: (height, width, 3).
        alpha: (height, width), 1 = opaque, or None where the file has no transparency.
        bits: 8 or 16, the precision of the file.
        exif: EXIF block for writing, as in `jaxstyle.image.Picture`; None if none.
        format: Pillow's name of the format.
        streamed: whether windows are read from the file; else the whole picture is in memory, undiminished.
        notices: sentences for the user about what was left out or guessed.
    """

    pixels: Source
    alpha: Source | None = None
    bits: int = 8
    exif: bytes | None = None
    format: str = ""
    streamed: bool = False
    notices: tuple[str, ...] = ()
    close: Callable[[], None] = lambda: None

    def __enter__(self) -> LargePicture:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_large(source: str | os.PathLike[str] | bytes, *, max_pixels: int = MAX_PIXELS) -> LargePicture:
    """Opens a picture file for reading in windows.

    Args:
        source: a picture file, or its bytes.
        max_pixels: the largest width x height that is accepted, whether streamed or not.

    Returns:
        The picture; close it, or use it in a ``with`` statement.

    Raises:
        ImageError: not a picture, damaged, empty, larger than ``max_pixels``, missing or not readable.
    """
    label, source = label_of(source), from_pipe(source)
    with reading(label), byte_stream(source, label) as stream:

        def check(size: tuple[int, int]) -> None:
            check_size(size, max_pixels, label)

        opened = open_first(stream, check)
        if opened.image.format == "TIFF":
            notices: list[str] = []
            if opened.frames > 1:
                notices.append(f"picture of {opened.frames} pages: the first is taken")
            orientation, exif = decode.read_exif(opened.image, notices)
            if orientation == 1 and not opened.image.info.get("icc_profile"):
                picture = _open_tiff(source, label, exif, tuple(notices))
                if picture is not None:
                    return picture
        return _decoded(decode.decode_opened(opened, stream, check), opened.image.format)


def sample(picture: LargePicture, most: int = 1 << 20) -> np.ndarray:
    """Pixels on a regular grid, for statistics of the colours.

    Args:
        picture: those of its pixels that are wholly transparent are left out, unless all are.
        most: pixels that are taken, about.

    Returns:
        float32 (n, 3).
    """
    height, width = picture.pixels.shape[:2]
    step = max(1, math.ceil(math.sqrt(height * width / most)))
    first, left = min(step // 2, height - 1), min(step // 2, width - 1)
    found, visible = [], []
    for top in range(first, height, step):
        found.append(picture.pixels.read(top, top + 1, 0, width)[0, left::step])
        if picture.alpha is not None:
            visible.append(picture.alpha.read(top, top + 1, 0, width)[0, left::step] > 0)
    pixels, seen = np.concatenate(found), np.concatenate(visible) if visible else np.zeros(0, bool)
    return pixels[seen] if seen.any() else pixels


def _decoded(decoded: decode.Decoded, format: str | None) -> LargePicture:
    """The whole picture, in the bits that the file has."""
    samples, alpha = decoded.samples, decoded.alpha
    if samples.ndim == 2:
        samples = np.broadcast_to(samples[..., None], (*samples.shape, 3))
    return LargePicture(
        pixels=ArraySource(samples),
        alpha=None if alpha is None else ArraySource(alpha),
        bits=8 if samples.dtype == np.uint8 else 16,
        exif=decoded.exif,
        format=format or "",
        notices=decoded.notices,
    )


# --- TIFF -------------------------------------------------------------------------------------------------


def _open_tiff(
    source: str | os.PathLike[str] | bytes, label: str, exif: bytes | None, notices: tuple[str, ...]
) -> LargePicture | None:
    """The first page, streamed, or None where tifffile is not installed or the page is not of a common kind."""
    try:
        import tifffile
    except ImportError:
        return None
    file = tifffile.TiffFile(io.BytesIO(source) if isinstance(source, bytes) else source)
    try:
        page: Any = file.pages[0]
        reader = _Segments(file, page, label)
        channels = page.samplesperpixel
        known = (
            page.photometric in (tifffile.PHOTOMETRIC.RGB, tifffile.PHOTOMETRIC.MINISBLACK)
            and (channels == 1 or page.planarconfig == tifffile.PLANARCONFIG.CONTIG)
            and page.dtype in (np.uint8, np.uint16)
            and page.bitspersample == 8 * page.dtype.itemsize
            and channels - len(page.extrasamples) == (3 if page.photometric == tifffile.PHOTOMETRIC.RGB else 1)
            and tuple(page.extrasamples) in ((), (tifffile.EXTRASAMPLE.UNASSALPHA,))
        )
        if known:
            reader.segment(0)  # a compression that tifffile cannot undo fails here
    except Exception:  # Pillow may know it, or say what is wrong with it
        known = False
    if not known:
        file.close()
        return None
    return LargePicture(
        pixels=_TiffWindows(reader, slice(0, 1) if channels < 3 else slice(0, 3)),
        alpha=_TiffWindows(reader, channels - 1) if page.extrasamples else None,
        bits=8 * page.dtype.itemsize,
        exif=exif,
        format="TIFF",
        streamed=True,
        notices=notices,
        close=file.close,
    )


class _Segments:
    """The strips or tiles of a page, decoded when asked for; the last ones used are kept."""

    def __init__(self, file: Any, page: Any, name: str) -> None:
        self.page, self.name = page, name
        self._stream = file.filehandle
        self.height, self.width = page.imagelength, page.imagewidth
        tiled = page.is_tiled
        self.segment_height = page.tilelength if tiled else min(page.rowsperstrip, self.height)
        self.segment_width = page.tilewidth if tiled else self.width
        self.across = -(-self.width // self.segment_width)
        self._kept: collections.OrderedDict[int, np.ndarray] = collections.OrderedDict()

    def segment(self, index: int) -> np.ndarray:
        """(segment height, segment width, samples); those at the right and bottom may be smaller."""
        if index in self._kept:
            self._kept.move_to_end(index)
            return self._kept[index]
        self._stream.seek(self.page.dataoffsets[index])
        data = self._stream.read(self.page.databytecounts[index])
        decoded = self.page.decode(data, index)[0]
        if decoded is None:  # a sparse file's hole
            shape = (self.segment_height, self.segment_width, self.page.samplesperpixel)
            decoded = np.full((1, *shape), self.page.nodata, self.page.dtype)
        self._kept[index] = decoded[0]
        while len(self._kept) > 1 and sum(kept.nbytes for kept in self._kept.values()) > CACHE_BYTES:
            self._kept.popitem(last=False)
        return decoded[0]


class _TiffWindows:
    """Some samples of a page: three of RGB, one repeated of grey, or the alpha sample alone."""

    def __init__(self, segments: _Segments, samples: slice | int) -> None:
        self._segments, self._samples = segments, samples

    @property
    def shape(self) -> tuple[int, ...]:
        size = (self._segments.height, self._segments.width)
        return (*size, 3) if isinstance(self._samples, slice) else size

    def read(self, top: int, bottom: int, left: int, right: int) -> np.ndarray:
        source = self._segments
        out = np.empty((bottom - top, right - left, source.page.samplesperpixel), source.page.dtype)
        tall, wide = source.segment_height, source.segment_width
        for y in range(top // tall * tall, bottom, tall):
            for x in range(left // wide * wide, right, wide):
                try:
                    segment = source.segment(y // tall * source.across + x // wide)
                except Exception as error:  # the decoders raise nearly anything on damaged data
                    problem = f"cannot be decoded at row {y}, column {x}: {reason(error)}"
                    raise ImageError(source.name, problem) from error
                y0, y1, x0, x1 = max(y, top), min(y + tall, bottom), max(x, left), min(x + wide, right)
                out[y0 - top : y1 - top, x0 - left : x1 - left] = segment[y0 - y : y1 - y, x0 - x : x1 - x]
        window = decode.unit(out[..., self._samples])
        return np.repeat(window, 3, -1) if window.ndim == 3 and window.shape[-1] == 1 else window
