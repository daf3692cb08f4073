"""DeepZoom pyramids from rows: ``name.dzi``, an index, and ``name_files/LEVEL/COLUMN_ROW.jpg``, tiles of all sizes.

The layout of libvips' ``dzsave``: level 0 is one pixel, the last one the picture, each half as large as the next;
tiles of 254 pixels that overlap by one. Every level is cut and halved as its rows come; tiles are encoded in threads.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import Executor, ThreadPoolExecutor

import numpy as np

from jaxstyle.image import encode
from jaxstyle.image.pyramid import Halving
from jaxstyle.image.source import ImageError
from jaxstyle.runtime import files

TILE = 254  # without the overlap


def files_of(path: str) -> str:
    """The folder of the tiles that belong to an index ``name.dzi``."""
    return os.path.splitext(path)[0] + "_files"


def check_replaceable(folder: str, label: str) -> None:
    """Checks that a folder which a pyramid's tiles are to replace holds levels of a pyramid and nothing else.

    Raises:
      ImageError: it does not, or is no folder; the message begins with ``label``.
    """
    if not os.path.isdir(folder):
        raise ImageError(label, f"{folder} is in the way: it is no folder of tiles")
    other = [name for name in os.listdir(folder) if not (name.isascii() and name.isdigit())]
    if other:
        raise ImageError(label, f"{folder} holds something else than tiles ({min(other)}) and is not replaced")


def write_deepzoom(
    folder: str, path: str, bands: Iterable[np.ndarray], shape: tuple[int, int, int], quality: int | None
) -> None:
    """Builds a pyramid in a new folder and, when it is whole, moves it in place.

    Args:
      folder: a name beside ``path`` for the work; the caller takes the folder away, what was replaced included.
      path: the index, ``name.dzi``.
      bands: uint8 ``(h, width, channels)`` from top to bottom.
      shape: ``(height, width, channels)``; 3 channels give JPEG tiles, 4 PNG tiles.
      quality: of JPEG tiles, 1 to 100; None: 95.
    """
    height, width, channels = shape
    kind = "png" if channels == 4 else "jpg"
    tiles = os.path.join(folder, "files")
    level: _Level | None = None
    deepest = (max(height, width) - 1).bit_length()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for number in range(deepest + 1):
            halvings = deepest - number
            size = (-(-height >> halvings), -(-width >> halvings))  # rounded up
            os.makedirs(os.path.join(tiles, str(number)))
            level = _Level(os.path.join(tiles, str(number)), size, kind, quality, level, pool)
        assert level is not None
        for band in bands:
            level.add(band)
        level.finish()
    with open(os.path.join(folder, "index"), "x", encoding="utf-8") as index:
        index.write(
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f'<Image xmlns="http://schemas.microsoft.com/deepzoom/2008" Format="{kind}" Overlap="1" '
            f'TileSize="{TILE}">\n  <Size Width="{width}" Height="{height}"/>\n</Image>\n'
        )
    files.sync_tree(tiles)
    name, old = files_of(path), os.path.join(folder, "old")
    if os.path.exists(name):
        os.rename(name, old)
    try:
        os.rename(tiles, name)
        files.replace(os.path.join(folder, "index"), path)
    except BaseException:
        if os.path.exists(old):
            if os.path.exists(name):
                os.rename(name, tiles)
            os.rename(old, name)
        raise


class _Level:
    """One resolution of a pyramid: cuts rows into tiles and gives their 2x2 means to the level below."""

    def __init__(
        self,
        folder: str,
        size: tuple[int, int],
        kind: str,
        quality: int | None,
        below: _Level | None,
        pool: Executor,
    ) -> None:
        self._folder, self._size, self._kind, self._quality, self._below = folder, size, kind, quality, below
        self._pool = pool
        self._rows: list[np.ndarray] = []  # not yet cut, with the overlap of the row of tiles above
        self._top = self._bottom = 0  # of those rows
        self._line = 0  # of tiles
        self._halving = Halving()

    def add(self, band: np.ndarray) -> None:
        self._rows.append(band)
        self._bottom += len(band)
        while (self._line + 1) * TILE < self._bottom:  # one row of overlap is there, too
            self._cut()
        if self._below is not None:
            self._below.add(self._halving.add(band))

    def finish(self) -> None:
        if self._line * TILE < self._size[0]:
            self._cut()
        if self._below is not None:
            last = self._halving.finish()
            if last is not None:
                self._below.add(last)
            self._below.finish()

    def _cut(self) -> None:
        rows = np.concatenate(self._rows)
        first, last = self._line * TILE, min((self._line + 1) * TILE, self._size[0])
        tall = rows[max(first - 1, 0) - self._top : last + 1 - self._top]

        def cut(column: int, left: int, line: int = self._line) -> None:
            tile = np.ascontiguousarray(tall[:, max(left - 1, 0) : left + TILE + 1])
            data = encode.encode(tile, {"jpg": "JPEG", "png": "PNG"}[self._kind], None, self._quality)
            with open(os.path.join(self._folder, f"{column}_{line}.{self._kind}"), "xb") as file:
                file.write(data)

        columns = range(0, self._size[1], TILE)
        for _ in self._pool.map(cut, range(len(columns)), columns):
            pass
        self._line += 1
        keep = rows[last - 1 - self._top :]
        self._rows, self._top = [keep], last - 1
