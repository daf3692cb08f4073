"""Where the pixels of a picture are, and how a coordinate network sees a place.

Coordinates are (x, y), each in [-1, 1] over the picture whatever its shape, x to the right, y down. Pixel i of n lies
at the centre of the i-th of n equal parts, ``-1 + (2 i + 1) / n``: so sizes, windows and zooms of one picture agree.

Places are computed here in float64 and rounded once, to float32, where they enter a network: a pixel of a window then
has bit for bit the coordinates that it has in the whole picture.
"""

from __future__ import annotations

import numpy as np
from jax import numpy as jnp  # `import jax.numpy` may see half of it, if a thread is importing jax

from jaxstyle.arrays import Array, ArrayLike

Box = tuple[float, float, float, float]
WHOLE: Box = (-1.0, -1.0, 1.0, 1.0)
"""The region of a whole picture: left, top, right and bottom edge."""


def axis(size: int, low: float = -1.0, high: float = 1.0, start: int = 0, stop: int | None = None) -> np.ndarray:
    """Centres of the pixels ``start`` to ``stop - 1`` of ``size`` that divide [low, high] among them.

    Args:
      size: number of pixels over the whole of [low, high].
      low, high: edges, of the first and of the last pixel.
      start, stop: the pixels wanted; by default all.

    Returns:
      float64 ``(stop - start,)``.
    """
    index = np.arange(start, size if stop is None else stop)
    return low + (high - low) * ((2 * index + 1) / (2 * size))


def grid(width: int, height: int, region: Box = WHOLE) -> np.ndarray:
    """Coordinates of the pixels of a picture.

    Args:
      width, height: in pixels.
      region: what the picture shows, the edges left, top, right, bottom.

    Returns:
      float32 ``(height, width, 2)``, (x, y) in the last axis.
    """
    x, y = axis(width, region[0], region[2]), axis(height, region[1], region[3])
    return np.stack(np.meshgrid(x, y), axis=-1).astype(np.float32)


def encoding_size(octaves: int) -> int:
    """How many numbers `encode` makes of one place."""
    return 4 * octaves + 2


def encode(coords: Array, octaves: int, omega: float = 1.0) -> Array:
    """Positional encoding (Eq. 9 of arXiv:2210.07762): all sines, all cosines, then the coordinates themselves.

    The frequencies are ``omega 2^k``; of each block the first half belongs to x, the second to y.

    Args:
      coords: ``(..., 2)`` float32.
      octaves: number of frequencies; 0 leaves the coordinates alone.
      omega: the lowest frequency, in radians; 1 is the authors' code, pi is Eq. 9.

    Returns:
      ``(..., 4 octaves + 2)``.
    """
    phases = coords[..., None] * _frequencies(octaves, omega, coords.ndim)
    phases = phases.reshape(*coords.shape[:-1], 2 * octaves)  # (..., 2, octaves): x's before y's
    return jnp.concatenate([jnp.sin(phases), jnp.cos(phases), coords], axis=-1)


def encode_axis(values: Array, octaves: int, omega: float = 1.0) -> Array:
    """The part of `encode` that one coordinate has: ``(n,)`` -> ``(n, 2 octaves + 1)``; see `encoding_rows`."""
    phases = values[:, None] * _frequencies(octaves, omega, 1)
    return jnp.concatenate([jnp.sin(phases), jnp.cos(phases), values[:, None]], axis=-1)


def encoding_rows(octaves: int) -> tuple[np.ndarray, np.ndarray]:
    """Which numbers of `encode` depend on x and which on y, each in the order of `encode_axis`."""
    sines, last = np.arange(octaves), np.array([4 * octaves])
    x = np.concatenate([sines, sines + 2 * octaves, last])
    return x, np.concatenate([sines + octaves, sines + 3 * octaves, last + 1])


def _frequencies(octaves: int, omega: float, rank: int) -> Array:
    values = (omega * 2.0 ** np.arange(octaves)).astype(np.float32)
    return jnp.asarray(values.reshape((1,) * rank + (octaves,)))


def spline(values: Array, cells: int) -> tuple[Array, Array]:
    """Where a quadratic B-spline over ``cells`` equal cells of [-1, 1] looks: its control points and their weights.

    A spline has ``cells + 2`` control points; at every place three that follow each other count. Values and slopes
    are continuous. Outside of [-1, 1] a place counts as the nearest end.

    Args:
      values: ``(...)`` places on one axis.
      cells: at least 1.

    Returns:
      ``(first, weights)``: the first of the three, ``(...)`` int32, and ``(..., 3)``, which sum to 1.
    """
    at = (jnp.clip(values, -1, 1) + 1) * (cells / 2)
    first = jnp.clip(jnp.floor(at), 0, cells - 1)
    t = at - first
    weights = jnp.stack([(1 - t) ** 2 / 2, 0.5 + t * (1 - t), t**2 / 2], axis=-1)
    return first.astype(jnp.int32), weights


def spline_matrix(values: Array, cells: int) -> Array:
    """`spline` as a matrix: ``(n,)`` places -> ``(n, cells + 2)``, whose product with control points are values."""
    first, weights = spline(values, cells)
    away = jnp.arange(cells + 2, dtype=jnp.int32)[None] - first[:, None]  # (n, cells + 2)
    zeros = jnp.zeros(away.shape, weights.dtype)
    return sum((jnp.where(away == k, weights[:, k : k + 1], 0) for k in range(3)), zeros)


def spline_values(points: Array, coords: Array) -> Array:
    """Values of a spline over square cells: control points ``(cells + 2, cells + 2, C)``, places ``(..., 2)`` ->
    ``(..., C)``."""
    side = points.shape[0]
    (j, across), (i, down) = (spline(coords[..., k], side - 2) for k in (0, 1))
    flat, total = points.reshape(side * side, -1), jnp.zeros((*coords.shape[:-1], points.shape[-1]), points.dtype)
    for k in range(3):
        for m in range(3):
            total += (down[..., k] * across[..., m])[..., None] * flat[(i + k) * side + j + m]
    return total


def resample(values: ArrayLike, x: np.ndarray, y: np.ndarray) -> Array:
    """A map over the whole picture, linearly interpolated at places of it; beyond its outer pixel centres constant.

    At the centres of its own pixels that is the map itself, exactly.

    Args:
      values: ``(h, w)`` of any size.
      x, y: float64 ``(W,)`` and ``(H,)`` in [-1, 1], see `axis`.

    Returns:
      float32 ``(H, W)``.
    """
    values = jnp.asarray(values, jnp.float32)
    low, high, part = neighbours(y, values.shape[0])
    values = values[low] * (1 - part[:, None]) + values[high] * part[:, None]
    low, high, part = neighbours(x, values.shape[1])
    return values[:, low] * (1 - part[None]) + values[:, high] * part[None]


def neighbours(places: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The two of ``size`` pixels between whose centres each place in [-1, 1] lies, and how far it is from the first."""
    at = np.round((np.asarray(places, np.float64) + 1) / 2 * size - 0.5, 9)  # a centre is a whole number
    at = np.clip(at, 0, size - 1)
    low = np.floor(at).astype(np.int32)
    return low, np.minimum(low + 1, size - 1), (at - low).astype(np.float32)
