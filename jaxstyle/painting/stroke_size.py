"""Strokes of one size in pictures of any size: a picture is painted small, and what the large painting has in detail
added.

The strokes of a painting are as large, in pixels, as the method makes them, whatever the size of the picture. So the
picture is painted twice, once with its short side at ``style_size`` and once at full size, and the result is the small
painting, enlarged, with the detail of the large one that the small one is too coarse for: scaled down again it is the
small painting. If the result is smaller than that, it is the painting scaled down.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator

import numpy as np

from jaxstyle.image import ImageError
from jaxstyle.image.source import label_of
from jaxstyle.image.windows import ArraySource, Resized, Source
from jaxstyle.runtime.scratch import Scratch

ROWS = 256
"""Rows that are put together at a time where what lies between is on disk."""

Paint = Callable[[Source, bool], Iterator[np.ndarray]]
"""Paints a source, band by band; the flag says whether it is the painting whose progress counts."""


class Shelf:
    """Where paintings are kept that the result is put together from: in memory, or in nameless files in a folder, at 16
    bits; a context manager."""

    def __init__(self, folder: str | os.PathLike[str] | None = None) -> None:
        """
        Args:
          folder: None: in memory.
        """
        self._folder, self._stack = folder, contextlib.ExitStack()

    def __enter__(self) -> Shelf:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    @property
    def rows(self) -> int | None:
        """How many rows are put together at a time; None: all."""
        return None if self._folder is None else ROWS

    def keep(self, bands: Iterator[np.ndarray], height: int, width: int) -> Source:
        """The painting that the bands make.

        Raises:
          ImageError: the folder has no room for it.
        """
        if self._folder is None:
            return ArraySource(np.concatenate(list(bands)))
        store = self._stack.enter_context(Scratch(self._folder, (height, width, 3), np.dtype(np.uint16)))
        top = 0
        for band in bands:
            if store.usable:
                store.write(top, 0, np.rint(band * np.float32(65535)))
                top += len(band)
            if not store.usable:
                needed = f"{height * width * 12 / 1e9:.1f} GB"
                problem = f"there is no room for the painting in between ({needed} are needed)"
                raise ImageError(label_of(self._folder), problem)
        return _Stored(store, height, width)


class _Stored:
    """A painting on disk."""

    def __init__(self, store: Scratch, height: int, width: int) -> None:
        self._store, self.shape = store, (height, width, 3)

    def read(self, top: int, bottom: int, left: int, right: int) -> np.ndarray:
        return self._store.read(top, left, bottom - top, right - left) / np.float32(65535)


def painted(pixels: Source, preview: tuple[int, int], paint: Paint, shelf: Shelf) -> Iterator[np.ndarray]:
    """A painting as it looks at another size, in the size of ``pixels``.

    Args:
      pixels: the content, (H, W, 3).
      preview: (height, width) at which it is painted as it should look.
      paint: the method.
      shelf: for what lies between: the small painting, the large one, and the large one scaled down.

    Returns:
      Bands of rows, float32 ``(h, W, 3)`` in [0, 1].

    Raises:
      ImageError: the shelf's folder has no room.
    """
    height, width = pixels.shape[:2]
    if preview == (height, width):
        return paint(pixels, True)
    larger = min(preview) > min(height, width)
    coarse = Resized(shelf.keep(paint(Resized(pixels, *preview), larger), *preview), height, width)
    if larger:
        return _rows(coarse, shelf.rows)
    fine = shelf.keep(paint(pixels, True), height, width)
    seen = Resized(shelf.keep(_rows(Resized(fine, *preview), shelf.rows), *preview), height, width)
    return _composed(coarse, fine, seen, shelf.rows)


def _spans(height: int, rows: int | None) -> Iterator[tuple[int, int]]:
    step = rows or height
    for top in range(0, height, step):
        yield top, min(top + step, height)


def _rows(source: Source, rows: int | None) -> Iterator[np.ndarray]:
    height, width = source.shape[:2]
    for top, bottom in _spans(height, rows):
        yield source.read(top, bottom, 0, width)


def _composed(coarse: Source, fine: Source, seen: Source, rows: int | None) -> Iterator[np.ndarray]:
    height, width = coarse.shape[:2]
    for top, bottom in _spans(height, rows):
        window = (top, bottom, 0, width)
        yield np.clip(coarse.read(*window) + fine.read(*window) - seen.read(*window), 0, 1)
