"""A fitted picture in tiles, level by level, to any depth: what a zoom in a browser asks for.

Level 0 is the picture in the size that it was fitted to, and every level has twice as many pixels a side as the one
before. A tile is computed by itself, from the coordinates of its pixels; they are float32 in the network, so that from
about level 15 on neighbouring pixels may have the same ones, and colours come in steps that are smaller than is seen.
"""

from __future__ import annotations

import numpy as np

from jaxstyle.image.encode import quantise
from jaxstyle.methods.inr.picture import Picture
from jaxstyle.methods.inr.rendering import render_image

SIDE = 256
"""Of a tile, in pixels; at the right and bottom edge of a level it ends with the picture."""
DEEPEST = 40
"""The last level: up to it the places of pixels are exact in float64."""


def level_size(size: tuple[int, int], level: int) -> tuple[int, int]:
    """(width, height) of a level of a picture that was fitted at ``size``, (width, height)."""
    return size[0] << level, size[1] << level


def tile(params: Picture, level: int, column: int, row: int, alpha: float = 1.0) -> np.ndarray:
    """One tile.

    Args:
      params: a fitted picture.
      level: 0 to `DEEPEST`.
      column, row: of tiles, from 0 at the top left.
      alpha: degree of style, 0 = content, 1 = full style.

    Returns:
      uint8 ``(h, w, 3)``, at most `SIDE` a side.

    Raises:
      ValueError: as `check`.
    """
    check(params, level, column, row, alpha)
    width, height = level_size(params.size, level)
    # those at the edges are as large and begin before, so that nearly all share a program
    left, top = max(0, min(column * SIDE, width - SIDE)), max(0, min(row * SIDE, height - SIDE))
    window = left, top, min(left + SIDE, width), min(top + SIDE, height)
    found = np.asarray(render_image(params, (width, height), alpha, window=window))
    return quantise(found[row * SIDE - top :, column * SIDE - left :], np.dtype(np.uint8))


def check(params: Picture, level: int, column: int, row: int, alpha: float) -> None:
    """Checks the arguments of `tile`.

    Raises:
      ValueError: there is no such level, or no such tile in it, or ``alpha`` is out of range.
    """
    if not 0 <= level <= DEEPEST:
        raise ValueError(f"level: expected 0 to {DEEPEST}, got {level}")
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha: expected a number in [0, 1], got {alpha}")
    width, height = level_size(params.size, level)
    if not (0 <= column < -(-width // SIDE) and 0 <= row < -(-height // SIDE)):
        raise ValueError(f"tile: there is no {column}_{row} in level {level} of {width} x {height} pixels")
