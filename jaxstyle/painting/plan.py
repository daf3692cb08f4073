"""Where the windows of a picture lie. All lengths are pixels, multiples of the method's stride where windows are
concerned.

A picture that fits is one window: an array of one of few sizes, its bucket, in whose top left corner the picture lies,
so that pictures of many sizes share a compiled program. A picture that does not fit is cut into windows of one size,
which overlap by what the method sees beyond them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from jaxstyle.methods.interface import Needs, reach
from jaxstyle.runtime import memory

STEPS = ((64, 16), (128, 32), (1024, 64), (2048, 128), (4096, 256))
"""(up to, multiples of), in pixels of a side; beyond the last, multiples of 512.

Sides of 512 pixels and more grow by less than an eighth, by 4 % on average, and many common ones (512, 640, 768, 1024,
1920, 4096) do not grow at all. Up to 1024 pixels there are 20 sides.
"""

TILES = (1024, 512, 256)
"""Sides of tiles: the first whose windows half the free memory takes. With AdaIN on a CPU the first took 1.3 times as
long as the picture as a whole and the second 1.6 times; without a scratch file the second 2.4."""


class TileError(ValueError):
    """A model or an argument that tiles cannot serve. The message is one line."""


def bucket(height: int, width: int, stride: int = 1) -> tuple[int, int]:
    """The smallest bucket that takes a picture, its sides multiples of 16 and of the stride."""

    def up(side: int) -> int:
        step = next((step for most, step in STEPS if side <= most), 512)
        return -(-(-(-side // step) * step) // stride) * stride

    return up(height), up(width)


class Span(NamedTuple):
    """One window along an axis: it starts at ``start``; ``first`` .. ``last - 1`` are its core."""

    start: int
    first: int
    last: int


def spans(size: int, core: int, margin: int) -> tuple[int, list[Span]]:
    """Windows of one length that cover an axis.

    Args:
      size: of the axis.
      core: the longest core of a window.
      margin: by which a window exceeds its core, except where the axis ends: there it is shifted inwards.

    Returns:
      ``(length, windows)``; the cores follow each other without gap or overlap.
    """
    length = min(size, core + 2 * margin)
    firsts = range(0, size, core)
    return length, [Span(min(max(f - margin, 0), size - length), f, min(f + core, size)) for f in firsts]


class Place(NamedTuple):
    """A window: its corner in the picture, and its core, ``(top, bottom, left, right)`` in the picture."""

    top: int
    left: int
    core: tuple[int, int, int, int]


class Plan(NamedTuple):
    """The windows of a picture; all that are encoded have one size, and all that are painted.

    Attributes:
      extent: (height, width) of the picture.
      reach: up to where it is mirrored.
      canvas: up to where an array that holds all of it is filled: ``reach``, or the bucket.
      encode_size, paint_size: of windows, (height, width).
      encode: the windows of the first pass.
      paint: those of the second, row by row.
      margin: what encoding sees beyond a window.
    """

    extent: tuple[int, int]
    reach: tuple[int, int]
    canvas: tuple[int, int]
    encode_size: tuple[int, int]
    encode: list[Place]
    paint_size: tuple[int, int]
    paint: list[list[Place]]
    margin: int = 0

    @property
    def whole(self) -> bool:
        """Whether one window holds all of the picture, so that encoding and painting are one program."""
        return len(self.encode) == 1 and self.encode_size == self.paint_size == self.canvas

    @property
    def bands(self) -> list[tuple[int, int]]:
        """The rows of the picture, (first, last + 1), that every row of painted windows gives; pictures smaller than
        the least window end before the windows do, and one that is painted as a whole comes at once."""
        if self.whole:
            return [(0, self.extent[0])]
        tops = [places[0].core[:2] for places in self.paint]
        return [(top, min(bottom, self.extent[0])) for top, bottom in tops if top < self.extent[0]]

    @property
    def windows(self) -> int:
        """How many there are, of both passes."""
        return len(self.encode) + sum(map(len, self.paint))


def plan_whole(height: int, width: int, needs: Needs) -> Plan:
    """One window for a picture of so many pixels."""
    far = _reach(height, width, needs)
    size = bucket(*far, needs.stride)
    place = Place(0, 0, (0, far[0], 0, far[1]))
    return Plan((height, width), far, size, size, [place], size, [[place]])


def plan_tiles(height: int, width: int, needs: Needs, tile: int) -> Plan:
    """Windows for a picture of so many pixels, with cores of at most ``tile`` x ``tile``.

    Raises:
      TileError: ``tile`` is no positive multiple of the stride, or the method needs the picture as a whole.
    """
    check_tile(tile, needs)
    far = _reach(height, width, needs)
    stride, (outer, inner) = needs.stride, needs.margins
    # as many tiles as `tile` takes, and of equal size
    cores = [-(-n // stride // -(-n // tile)) * stride for n in far]
    (tall, rows), (wide, columns) = (spans(n, core, inner) for n, core in zip(far, cores, strict=True))
    # windows for encoding are those for painting and the encoder's margin, in both passes: one compilation
    (e_tall, e_rows), (e_wide, e_columns) = (
        spans(n, core + 2 * inner, outer) for n, core in zip(far, cores, strict=True)
    )
    encode = [_place(y, x) for y in e_rows for x in e_columns]
    paint = [[_place(y, x) for x in columns] for y in rows]
    return Plan((height, width), far, far, (e_tall, e_wide), encode, (tall, wide), paint, outer)


def _place(y: Span, x: Span) -> Place:
    return Place(y.start, x.start, (y.first, y.last, x.first, x.last))


def _reach(height: int, width: int, needs: Needs) -> tuple[int, int]:
    tall, wide = reach((height, width), needs.stride, needs.smallest)
    return int(tall), int(wide)


def check_tile(tile: int, needs: Needs) -> None:
    """Raises TileError unless ``tile`` is a side that tiles of such a model can have."""
    if tile < needs.stride or tile % needs.stride:
        raise TileError(f"tile: expected a positive multiple of {needs.stride} pixels, got {tile}")
    if not needs.windowed:
        raise TileError("tile: this model looks at the whole picture, not at tiles")


def fits(height: int, width: int, needs: Needs, available: int | None = None) -> bool:
    """Whether a picture of this size is painted as one window: it fits in memory, or tiles cannot serve the model.

    Args:
      height, width: in pixels.
      needs: of the model.
      available: bytes; by default what is free to the device.
    """
    tall, wide = bucket(height, width, needs.stride)
    return not needs.windowed or memory.fits(tall * wide * needs.bytes_per_pixel, available)


def chosen_tile(height: int, width: int, needs: Needs, tile: int | None = None) -> int | None:
    """The side of a picture's tiles in pixels: what was asked for, or by default as the memory asks; None where it is
    painted as one window."""
    if tile is None and fits(height, width, needs):
        return None
    return tile or default_tile(needs)


def default_tile(needs: Needs, available: int | None = None) -> int:
    """The side of a tile in pixels for so many free bytes, by default those of the device."""
    if available is None:
        available = memory.available_memory() or 4 << 30
    margin = 2 * sum(needs.margins)
    fitting = [t for t in TILES if (t + margin) ** 2 * needs.bytes_per_pixel <= available / 2]
    side = fitting[0] if fitting else TILES[-1]
    return max(1, side // needs.stride) * needs.stride


def mirrored(size: int, length: int) -> np.ndarray:
    """(length,) Which pixel stands at each place of an axis of ``size`` pixels that is mirrored up to ``length``."""
    return np.pad(np.arange(size), (0, max(0, length - size)), mode="symmetric")
