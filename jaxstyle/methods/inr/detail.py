"""Detail of a coordinate network finer than the pixels it was fitted at: what a render shows where it is enlarged.

The coarse picture is the network's, and stays. To its colours, before the sigmoid, a small network adds what only finer
pixels can show. It sees, at one point alone:

* the last hidden layer of the coarse network, which says what is here;
* noise: octaves of random fields, each half as coarse as the one before. What is random is hashed from the numbers of
  row and column of a lattice, so it has no period and no parameters. Every octave has clouds, smooth between the
  lattice's points, and strokes, long cells with edges of their own. Strokes lie along the edges of the coarse picture:
  there is a lattice for each of `DIRECTIONS`, and a grid that says which one counts where;
* how large a pixel of the render is.

What is equally large in the render enters the network at the same place: as a picture is enlarged, each octave moves
from place to place, and new ones come in, at full strength where their cells are two pixels. Detail fades where the
render's pixels get as large as those of the picture fitted to: a render of that size is the coarse picture, bit for
bit, and so is every render at degree of style 0. Beyond a zoom of `FINEST` nothing new comes.

Not in the paper (arXiv:2210.07762). Noise that a network of points turns into a texture: Henzler et al. 2020,
arXiv:1912.05112.
"""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from flax import struct
from jax import lax

from jaxstyle.arrays import Array, Params
from jaxstyle.nets import coords as places

NAMES = ("detail0", "detail1", "detail")
"""The layers, among a network's parameters."""
FLOW = "flow"
"""The grid of directions, a B-spline."""
FINEST = 8.0
"""The zoom from which on there is nothing new."""
OCTAVES = 4
"""Octaves of noise; a cell of the first is `COARSEST` wide, of the last two pixels of a render at `FINEST`."""
COARSEST = 2.0
"""In pixels of the picture fitted to."""
STRETCH = 4.0
"""How much longer than wide strokes are."""
DIRECTIONS = 12
"""Directions of strokes, half a turn divided by them apart."""
FIELDS = 7
"""Numbers that one octave has at a place."""


@struct.dataclass
class View:
    """How a picture is looked at: a pytree.

    Attributes:
      fitted: ``(2,)`` float32, width and height in pixels of the picture that was fitted to.
      zoom: ``()`` float32, pixels of the render along a pixel of that.
    """

    fitted: Array
    zoom: Array


def view(fitted: tuple[int, int], zoom: float | Array) -> View:
    """A `View` of numbers."""
    return View(jnp.asarray(fitted, jnp.float32), jnp.asarray(zoom, jnp.float32))


def cells(size: int) -> int:
    """Cells of the grid of directions along either side, for pictures of about ``size * size`` pixels."""
    return max(1, size // 4)


def layer_shapes(flow: int, width: int) -> dict[str, dict[str, tuple[int, ...]]]:
    """The shapes of the parameters.

    Args:
      flow: cells of the grid of directions.
      width: of the hidden layers.
    """
    sizes = (width + OCTAVES * FIELDS + 1, width, width, 3)
    layers = {name: {"kernel": sizes[i : i + 2], "bias": sizes[i + 1 : i + 2]} for i, name in enumerate(NAMES)}
    return {**layers, FLOW: {"points": (flow + 2, flow + 2, 2)}}


def noise(points: Array, flow: Array, zoom: Array) -> Array:
    """Random fields at places.

    Args:
      points: ``(n, 2)``, in pixels of the picture fitted to.
      flow: ``(n, 2)``, cosine and sine of twice the angle of strokes there, times any positive number.
      zoom: ``()``, see `View`.

    Returns:
      ``(n, OCTAVES * FIELDS)``, from about -1 to 1, float32.
    """
    octave = jnp.arange(OCTAVES, dtype=jnp.uint32)
    per_pixel = jnp.exp2(jnp.arange(OCTAVES, dtype=jnp.float32)) / COARSEST
    scaled = points.T[None] * per_pixel[:, None, None]  # (octaves, 2, n)
    clouds = _clouds(scaled[:, 0], scaled[:, 1], octave[:, None])
    turn = jnp.arctan2(flow[:, 1], flow[:, 0]) * (DIRECTIONS / (2 * math.pi))
    first = jnp.floor(turn)
    share = jnp.clip((turn - first - 0.5) * 4 + 0.5, 0, 1)
    number = jnp.mod(jnp.stack([first, first + 1]), DIRECTIONS)  # (2, n)
    angle = number * (math.pi / DIRECTIONS)
    cos, sin = jnp.cos(angle)[None], jnp.sin(angle)[None]
    x, y = scaled[:, :1], scaled[:, 1:]
    seed = octave[:, None, None] * jnp.uint32(DIRECTIONS) + number[None].astype(jnp.uint32) + jnp.uint32(OCTAVES)
    pixels = (zoom / per_pixel)[:, None, None]
    both = _strokes((cos * x + sin * y) / STRETCH, cos * y - sin * x, pixels, seed)
    strokes = [f[:, 0] + share[None] * (f[:, 1] - f[:, 0]) for f in both]
    found = jnp.stack([*clouds, *strokes])  # (fields, octaves, n)
    place = jnp.log2(zoom / per_pixel)  # of an octave: 1 where its cells are two pixels wide
    away = jnp.clip(jnp.abs(place[None] - jnp.arange(1, OCTAVES + 1, dtype=jnp.float32)[:, None]), 0, 1)
    mix = jnp.cos(away * (math.pi / 2))  # what is as large in the render has the same place in the input
    return jnp.einsum("so,fon->nsf", mix, found).reshape(points.shape[0], OCTAVES * FIELDS)


def _bits(h: Array, shift: int, count: int) -> Array:
    """Some bits of a hash as a number in [-1, 1]."""
    most = (1 << count) - 1
    return ((h >> jnp.uint32(shift)) & jnp.uint32(most)).astype(jnp.float32) * (2 / most) - 1


def _cell(x: Array, y: Array) -> tuple[Array, Array, Array, Array]:
    """The lattice point before a place, as whole numbers, and the place in its cell, in [0, 1]."""
    i, j = jnp.floor(x), jnp.floor(y)
    return i.astype(jnp.int32).astype(jnp.uint32), j.astype(jnp.int32).astype(jnp.uint32), x - i, y - j


def _clouds(x: Array, y: Array, seed: Array) -> list[Array]:
    """Two smooth fields in [-1, 1] of a lattice with cells of 1 x 1; slopes are 0 at its points."""
    i, j, t, s = _cell(x, y)
    t, s = t * t * (3 - 2 * t), s * s * (3 - 2 * s)
    corners = [_hash(i + jnp.uint32(a), j + jnp.uint32(b), seed) for b in (0, 1) for a in (0, 1)]
    found = []
    for shift in (0, 16):
        values = [_bits(c, shift, 16) for c in corners]
        upper, lower = (values[k] + t * (values[k + 1] - values[k]) for k in (0, 2))
        found.append(upper + s * (lower - upper))
    return found


def _strokes(x: Array, y: Array, pixels: Array, seed: Array) -> list[Array]:
    """Fields of cells, each around a random point of its square, some of them over their neighbours (a power diagram):
    two values of the cell, the place in it along and across, which fade in the last pixel before the cell's edge, and
    how far that is; from about -1 to 1. A cell is ``pixels`` of the render wide.
    """
    i, j, t, s = _cell(x, y)

    def row(b: Array, found: tuple[Array, ...]) -> tuple[Array, ...]:
        best, second, chosen, left = found
        b = jnp.asarray(b, jnp.int32)
        for a in (-1, 0, 1):
            h = _hash(i + jnp.uint32(a % 2**32), j + b.astype(jnp.uint32), seed)
            rank = 0.3 * _bits(h, 16, 8) - (t - _centre(h, 0, a)) ** 2 - (s - _centre(h, 8, b)) ** 2
            nearer = rank > best
            second = jnp.where(nearer, best, jnp.maximum(second, rank))
            best, chosen = jnp.where(nearer, rank, best), jnp.where(nearer, h, chosen)
            left = jnp.where(nearer, jnp.int32(3 * a) + b, left)
        return best, second, chosen, left

    lowest = 0 * t - jnp.inf  # made of t, to be spread over devices as that is
    # a loop, for XLA would compute an expression anew for everything that looks at it
    best, second, h, cell = lax.fori_loop(-1, 2, row, (lowest, lowest, 0 * seed + 0 * i, (0 * t).astype(jnp.int32)))
    column = (cell + 4) // 3 - 1
    along, across = t - _centre(h, 0, column), s - _centre(h, 8, cell - 3 * column)
    edge = best - second
    inside = jnp.clip(edge * pixels, 0, 1)
    return [inside * v for v in (_bits(h, 16, 8), _bits(h, 24, 8), along, across)] + [jnp.clip(2 * edge, 0, 1)]


def _centre(h: Array, shift: int, cell: Array | int) -> Array:
    """Where the point of a cell is on one axis."""
    return jnp.asarray(cell, jnp.float32) + 0.5 + 0.4 * _bits(h, shift, 8)


def _hash(i: Array, j: Array, seed: Array) -> Array:
    """32 random bits of three whole numbers (the finaliser of MurmurHash3)."""
    h = i * jnp.uint32(0x9E3779B1) + j * jnp.uint32(0x85EBCA77) + seed * jnp.uint32(0x27D4EB2F) + jnp.uint32(0x165667B1)
    h = (h ^ (h >> jnp.uint32(16))) * jnp.uint32(0x85EBCA6B)
    h = (h ^ (h >> jnp.uint32(13))) * jnp.uint32(0xC2B2AE35)
    return h ^ (h >> jnp.uint32(16))


def added(network: Params, hidden: Array, coords: Array, seen: View, dtype: Any) -> Array:
    """What detail adds to colours before the sigmoid at degree of style 1.

    Args:
      network: its layers are `NAMES`, and the grid `FLOW`.
      hidden: ``(n, width)``, the last hidden layer of the coarse network.
      coords: ``(n, 2)`` float32.
      seen: how the picture is looked at.
      dtype: of the layers.

    Returns:
      ``(n, 3)`` float32.
    """
    zoom = jnp.clip(seen.zoom, 1, FINEST)
    level = jnp.log2(zoom)
    flow = places.spline_values(network[FLOW]["points"], coords)
    fields = lax.stop_gradient(noise((coords + 1) * (seen.fitted / 2)[None], flow, zoom))
    x = jnp.concatenate([hidden, fields.astype(dtype)], axis=-1)
    for number, name in enumerate(NAMES):
        kernel, bias = network[name]["kernel"], network[name]["bias"]
        if number == 0:  # the zoom is the same for all points: what it adds is a bias
            kernel, bias = kernel[:-1], bias + kernel[-1] * (level / math.log2(FINEST))
        found = jnp.matmul(x, kernel.astype(dtype), preferred_element_type=jnp.float32) + bias[None]
        x = nn.relu(found).astype(dtype)
    return jnp.clip(level, 0, 1) * found
