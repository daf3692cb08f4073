"""The latent grids that hold colours: a linear code of a picture, in cubic B-splines of fewer numbers than pixels.

Where 8 x 8 pixels of a photo were there are 7 x 7 control points of brightness and 2 x 2 of each of two colour
differences; of what is painted, whose strokes are finer and more colourful, 8 x 8 and 4 x 4. They are those whose
spline is nearest to the picture, by least squares, with the picture mirrored at its edges. A spline has no cells that
could be seen: it is smooth everywhere to its second derivative, its control points are evenly spaced, and it is as good
at any place between pixels as at their centres.

At 256 x 256 pixels that are 58 368 numbers, a third of the samples, and 98 304, a half.

Not in the paper, whose latent is one matrix for a whole picture: sharpness is bought with numbers, not with training.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxstyle.arrays import Array, Image

CELL = 8
"""Pixels of the side of a square with a whole number of control points."""
Points = tuple[int, int]
"""Control points along a side of it: of brightness, and of each colour difference."""
PHOTO, PAINTED = (7, 2), (8, 4)
"""Those of a photo, and of what is painted of it."""
REACH = 32
"""So many pixels beyond a cell have an influence on its control points that is worth computing."""
COLOURS = (np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]]) / np.sqrt([[3], [2], [6]])).astype(np.float32)
"""Orthonormal rows: brightness and two differences of red, green and blue."""
_FEW = 256  # control points, up to which a product with a matrix is cheaper than picking them
_EXACT = lax.Precision.HIGHEST
_BEFORE = 2.0**-10
"""So far before a control point, in control points, its piece of the spline begins. Where there are as many of them as
pixels they lie at the pixels' centres; a compiler that computes a place twice may round it to either side, and take the
control points of one piece and the weights of the other. So far pieces go on into each other but for 1e-9; it is
more than a float32 place is rounded by up to 16 000 pixels a side."""


class Code(NamedTuple):
    """Control points of a picture of H x W pixels, multiples of `CELL`.

    Attributes:
      luma: ``(..., P H / 8, P W / 8, 1)``, P the first of its `Points`.
      chroma: ``(..., P H / 8, P W / 8, 2)``, P the second.
    """

    luma: Array
    chroma: Array


def cubic(distance: np.ndarray) -> np.ndarray:
    """The cubic B-spline at a distance from its centre, in control points."""
    t = np.abs(distance)
    return np.where(t < 1, 2 / 3 - t**2 + t**3 / 2, np.where(t < 2, np.clip(2 - t, 0, None) ** 3 / 6, 0))


@functools.cache
def _filters(points: int) -> np.ndarray:
    """``(points, CELL + 2 REACH)``: the control points of a cell from its pixels and those around it.

    They are rows of the pseudo-inverse of a long spline, cut off where they have faded; then each sums to 1, so that a
    flat picture stays as it is.
    """
    cells = 4 * REACH // CELL + 1
    pixels, at = (np.arange(cells * n) + 0.5 for n in (CELL, points))
    synthesis = cubic(pixels[:, None] * points / CELL - at[None])
    middle = cells // 2
    rows = np.linalg.pinv(synthesis)[middle * points : (middle + 1) * points]
    rows = rows[:, middle * CELL - REACH : (middle + 1) * CELL + REACH]
    return (rows / rows.sum(1, keepdims=True)).astype(np.float32)


def analysis(length: int, size: int | Array, points: int) -> Array:
    """The matrix that makes control points of the pixels of an axis.

    Args:
      length: of the array.
      size: of the picture in it, a multiple of `CELL`; may be traced.
      points: in a cell.

    Returns:
      ``(points length / CELL, length)``.
    """
    filters = _filters(points)
    cells = length // CELL
    at = np.arange(cells)[:, None] * CELL + np.arange(filters.shape[1])[None] - REACH  # (cells, taps)
    turned = jnp.asarray(at, jnp.int32) % (2 * size)
    mirrored = jnp.where(turned < size, turned, 2 * size - 1 - turned)
    rows = np.arange(cells * points).reshape(cells, points, 1)
    taps = jnp.broadcast_to(jnp.asarray(filters)[None], (cells, *filters.shape))
    found = jnp.zeros((cells * points, length), jnp.float32)
    return found.at[rows, mirrored[:, None]].add(taps, mode="drop")


def analyse(pictures: Image, size: Array | None = None, points: Points = PHOTO) -> Code:
    """The codes of pictures.

    Args:
      pictures: ``(N, H, W, 3)``, H and W multiples of `CELL`.
      size: (2,), height and width of the pictures where they are smaller than that, multiples of `CELL`.
      points: in a cell.

    Returns:
      A `Code` of N pictures; what lies beyond their size means nothing.
    """
    height, width = pictures.shape[1:3]
    tall, wide = (height, width) if size is None else (size[0], size[1])
    colours = jnp.einsum("nhwc,kc->nkhw", pictures, COLOURS, precision=_EXACT)
    found = []
    for count, values in zip(points, (colours[:, :1], colours[:, 1:]), strict=True):
        down, across = analysis(height, tall, count), analysis(width, wide, count)
        rows = jnp.einsum("ih,nkhw->nkiw", down, values, precision=_EXACT)
        found.append(jnp.einsum("nkiw,jw->nijk", rows, across, precision=_EXACT))
    return Code(*found)


# ---- values ------------------------------------------------------------------------------------------------


def at_points(code: Code, x: Array, y: Array, points: Points = PHOTO) -> Array:
    """Colours of places, ``(..., 3)``, in the axes of `COLOURS`.

    Args:
      code: of one picture.
      x, y: ``(...)``, pixels from its left and its upper edge.
      points: of its cells.
    """
    found = []
    for grid, count in zip(code, points, strict=True):
        rows, columns, channels = grid.shape
        (i, down), (j, across) = _spline(y, rows, count), _spline(x, columns, count)
        flat = grid.reshape(rows * columns, channels)
        values = flat[i[..., :, None] * columns + j[..., None, :]]  # (..., 4, 4, channels)
        found.append(jnp.einsum("...k,...m,...kmc->...c", down, across, values, precision=_EXACT))
    return jnp.concatenate(found, axis=-1)


def on_grid(code: Code, x: Array, y: Array, points: Points = PHOTO) -> Array:
    """The same at all points of a grid, columns ``x`` ``(W,)`` and rows ``y`` ``(H,)``: ``(H, W, 3)``."""
    found = []
    for grid, count in zip(code, points, strict=True):
        here = _along(grid, y, count)
        found.append(_along(here.swapaxes(0, 1), x, count).swapaxes(0, 1))
    return jnp.concatenate(found, axis=-1)


def _along(grid: Array, values: Array, points: int) -> Array:
    """Control points (n, m, channels) -> values at (h,) places of the first axis, (h, m, channels)."""
    first, weights = _spline(values, grid.shape[0], points)
    if grid.shape[0] > _FEW:  # most rows of a matrix would be zero
        return jnp.einsum("hk,hkmc->hmc", weights, grid[first], precision=_EXACT)
    rows = jnp.arange(len(values), dtype=jnp.int32)[:, None]
    matrix = jnp.zeros((len(values), grid.shape[0]), jnp.float32).at[rows, first].add(weights)
    return jnp.einsum("hn,nmc->hmc", matrix, grid, precision=_EXACT)


def _spline(values: Array, count: int, points: int) -> tuple[Array, Array]:
    """The four control points of ``count`` that a place counts, and their weights: ``(..., 4)`` each.

    ``values`` are in pixels. Beyond its ends the row of control points is mirrored, as the picture is.
    """
    at = values * (points / CELL) - 0.5
    low = jnp.floor(at + _BEFORE)
    t = at - low
    weights = [(1 - t) ** 3, 4 - 6 * t**2 + 3 * t**3, 1 + 3 * t + 3 * t**2 - 3 * t**3, t**3]
    around = np.arange(-1, 3, dtype=np.int32).reshape((1,) * low.ndim + (4,))
    index = (low.astype(jnp.int32)[..., None] + around) % (2 * count)
    return jnp.where(index < count, index, 2 * count - 1 - index), jnp.stack(weights, axis=-1) / 6
