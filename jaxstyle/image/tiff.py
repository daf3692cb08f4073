"""Tiled TIFF and BigTIFF files from rows, with or without a pyramid of smaller versions (with the extra ``large``).

The smaller versions are the SubIFDs of the first page, where viewers of large pictures look for them: each half as
large as the one before, means of 2 x 2 pixels. They come after the full size in the file, so their rows wait on disk.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from jaxstyle.image.pyramid import Halving
from jaxstyle.runtime.scratch import Scratch

TILE = 512
"""Side of the tiles, a multiple of 16."""

PYRAMID_BIGTIFF = 32 << 20
"""From so many pixels on a file with a pyramid is a BigTIFF, whatever its bytes."""

_BUFFER = 64 << 20
"""Bytes of tiles that are compressed at once, in threads."""


def levels(height: int, width: int) -> int:
    """How many smaller versions a pyramid has: so many that the smallest is one tile."""
    return max(0, (-(-max(height, width) // TILE) - 1).bit_length())


def write_tiff(
    path: str,
    bands: Iterable[np.ndarray],
    shape: tuple[int, int, int],
    bits: int,
    *,
    pyramid: bool = False,
    resolution: tuple[float, float] | None = None,
) -> None:
    """Writes a tiled, deflate-compressed TIFF with horizontal prediction; BigTIFF where it may pass 4 GB.

    Args:
      path: a new file; its folder also holds the nameless files of a pyramid, half as many bytes as the picture has.
      bands: uint8 or uint16 ``(h, width, channels)``, by ``bits``, from top to bottom.
      shape: ``(height, width, channels)``; 3 channels are RGB, 4 RGBA.
      bits: 8 or 16.
      pyramid: with smaller versions, down to one tile; from `PYRAMID_BIGTIFF` pixels on always as BigTIFF.
      resolution: pixels to an inch, across and down; None: not told.

    Raises:
      OSError: the disk is full, also where there is no room for the rows of a pyramid.
    """
    import tifffile

    height, width, channels = shape
    dtype: np.dtype[Any] = np.dtype(np.uint8 if bits == 8 else np.uint16)
    smaller = levels(height, width) if pyramid else 0
    size = height * width * channels * dtype.itemsize * (4 / 3 if smaller else 1)
    large = size > (1 << 32) - (1 << 25) or bool(smaller and height * width >= PYRAMID_BIGTIFF)
    with tifffile.TiffWriter(path, bigtiff=large) as file, contextlib.ExitStack() as stack:
        for level in range(smaller + 1):
            below = None
            if level < smaller:
                halves = (-(-height // 2), -(-width // 2), channels)
                below = stack.enter_context(_Rows(os.path.dirname(path) or ".", halves, dtype))
            file.write(
                _tiles(bands if below is None else below.fed(bands), width),
                shape=(height, width, channels),
                dtype=dtype,
                tile=(TILE, TILE),
                photometric="rgb",
                extrasamples=["unassalpha"] if channels == 4 else [],
                compression="zlib",
                predictor=True,
                subifds=smaller if smaller and level == 0 else None,
                subfiletype=1 if level else 0,
                resolution=None if resolution is None else (resolution[0] / 2**level, resolution[1] / 2**level),
                resolutionunit=None if resolution is None else "INCH",
                maxworkers=os.cpu_count(),
                buffersize=_BUFFER,
                software="jaxstyle",
                metadata=None,
            )
            if below is not None:
                bands, height, width = below.bands(), *halves[:2]


class _Rows:
    """The next level of a pyramid, on disk until it is its turn; a context manager."""

    def __init__(self, folder: str, shape: tuple[int, int, int], dtype: np.dtype[Any]) -> None:
        self._shape = shape
        self._store = Scratch(folder, shape, dtype)
        self._top = 0

    def __enter__(self) -> _Rows:
        self._store.__enter__()
        self._check()
        return self

    def __exit__(self, *exception: object) -> None:
        self._store.__exit__(*exception)

    def _check(self) -> None:
        if not self._store.usable:
            height, width, _ = self._shape
            problem = f"no space left on device for the smaller versions of the picture ({width} x {height})"
            raise OSError(errno.ENOSPC, problem)

    def _put(self, rows: np.ndarray) -> None:
        if len(rows):
            self._store.write(self._top, 0, rows)
            self._check()
            self._top += len(rows)

    def fed(self, bands: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """The same bands; in passing, their halves are put away.

        Who cuts tiles out of them need not ask for a band after the last: a height that tiles divide is even.
        """
        halving = Halving()
        for band in bands:
            self._put(halving.add(band))
            yield band
        last = halving.finish()
        if last is not None:
            self._put(last)

    def bands(self) -> Iterator[np.ndarray]:
        """What was put away."""
        height, width, _ = self._shape
        for top in range(0, height, TILE):
            yield self._store.read(top, 0, min(TILE, height - top), width)


def _tiles(bands: Iterable[np.ndarray], width: int) -> Iterator[np.ndarray]:
    for rows in _regrouped(bands, TILE):
        for x in range(0, width, TILE):
            part = rows[:, x : x + TILE]
            missing = ((0, TILE - part.shape[0]), (0, TILE - part.shape[1]), (0, 0))
            yield np.pad(part, missing, mode="edge")


def _regrouped(bands: Iterable[np.ndarray], height: int) -> Iterator[np.ndarray]:
    """The same rows in bands of ``height``, the last one as it comes."""
    kept: list[np.ndarray] = []
    count = 0
    for band in bands:
        while len(band):
            part, band = band[: height - count], band[height - count :]
            kept.append(part)
            count += len(part)
            if count == height:
                yield np.concatenate(kept)
                kept, count = [], 0
    if kept:
        yield np.concatenate(kept)
