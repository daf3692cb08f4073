"""Pictures from a fitted network: any points, any size, window, zoom and degree of style, in bounded memory.

Points are computed in chunks, one after the other, so memory beyond coordinates and colours is that of a chunk. For the
default network:

* memory: about 4 kB per point of the chunk (two layers' values and what the input adds), 16 MB at 4096 points, and the
  weights, 2 MB; for the result 12 bytes a point. Nothing else grows with the picture.
* computing: 0.92 MFLOP a point, of the plain network's 1.03; `jaxstyle.methods.inr.network` says how. A processor that
  does 200 GFLOP/s makes 0.2 megapixels a second.

Where a pixel is larger than one of the photo, its colour is the mean of points that lie in it evenly, as close to each
other as the photo's pixels (`points_in`): a smaller picture takes as long as one of the photo's size, and has no
moiré. Elsewhere a pixel is the point at its centre.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxstyle.arrays import Array, ArrayLike, Image, check_alpha
from jaxstyle.methods.inr.picture import Picture, points_in, sizeless, view_of
from jaxstyle.nets import coords as places
from jaxstyle.runtime import platforms

CHUNK = {"cpu": 4096}
"""Points in a chunk by kind of device: on a CPU what its caches hold, elsewhere enough to fill the device."""
_CHUNK_ELSEWHERE = 131_072


def render(
    params: Picture,
    coords: ArrayLike | Sequence[Any],
    alpha: float | ArrayLike = 1.0,
    *,
    zoom: float | Array | None = None,
    chunk: int | None = None,
    dtype: Any = jnp.float32,
) -> Array:
    """Colours of points: the fitted picture as a function of place and degree of style (Sec. 4.4 of arXiv:2210.07762).

    Every point is on its own: what it is depends on nothing but its coordinates and its alpha, so chunks, windows and
    crops agree. It may be called inside `jax.jit`, `jax.grad` and `jax.vmap`, over points or over stacked ``params``.

    Args:
      params: a fitted picture.
      coords: ``(..., 2)``, (x, y); the picture lies in [-1, 1], pixels at their centres, see
        `jaxstyle.nets.coords.grid`.
      alpha: degree of style, 0 = content, 1 = full style: a number, or an array that broadcasts to
        ``coords.shape[:-1]``.
      zoom: how far points are from each other, for pictures that were fitted with detail
        (`jaxstyle.methods.inr.detail`): so many lie along a pixel of the picture fitted to. 1 is the coarse picture; by
        default all the detail there is.
      chunk: points computed at once; by default `CHUNK` of the device.
      dtype: type of the hidden layers; accelerators multiply float32 in their default precision, see
        `jax.default_matmul_precision`. What sees the coordinates is always exact. ``bfloat16`` is faster on
        accelerators; neighbouring pixels of a strong zoom may then be alike.

    Returns:
      ``coords.shape[:-1] + (3,)``, float32, sRGB in [0, 1].

    Raises:
      ValueError: ``params``, ``coords``, ``alpha``, ``zoom`` or ``chunk`` is not of that kind.
    """
    bare, points = sizeless(params), _checked_coords(coords)
    if zoom is not None and not isinstance(zoom, jax.Array) and not 0 < zoom < math.inf:
        raise ValueError(f"zoom: expected a positive number, got {zoom!r}")
    seen = params.view(zoom)
    degree = _checked_degree(alpha)
    shape = points.shape[:-1]
    try:
        fits = np.broadcast_shapes(degree.shape, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"alpha: expected a number or a shape that broadcasts to {shape}, got shape {degree.shape}")
    if degree.shape:
        degree = degree.reshape(()) if degree.size == 1 else jnp.broadcast_to(degree, shape).reshape(-1)
    colours = _render_points(bare, points.reshape(-1, 2), degree, seen, chunk=_chunk(chunk), dtype=dtype)
    return colours.reshape(*shape, 3)


def render_image(
    params: Picture,
    size: int | tuple[int, int] | None = None,
    alpha: float | ArrayLike = 1.0,
    *,
    region: places.Box = places.WHOLE,
    window: tuple[int, int, int, int] | None = None,
    devices: Sequence[jax.Device] | None = None,
    chunk: int | None = None,
    dtype: Any = jnp.float32,
) -> Image:
    """A picture of any size and shape from a fitted network.

    Equal to `render` at the centres of the pixels, but on a grid the input costs next to nothing. Detail that a picture
    was fitted with is that of pixels of this size. Where pixels are larger than those of the picture fitted to, each is
    the mean of points in it, see `points_in`; its degree of style is that of its centre.

    Args:
      params: a fitted picture.
      size: (width, height) in pixels, or the length of the short side; by default that of the picture fitted to.
      alpha: degree of style: a number, or a map ``(h, w)`` of any size over the whole picture, linearly interpolated at
        the centres of the pixels; a map of the picture's own size is taken as it is.
      region: the part of the picture to show: left, top, right and bottom edge in the coordinates of the picture, which
        is (-1, -1, 1, 1). All of ``size`` is spent on it: this is the zoom. A map of alpha stays where it is on the
        picture.
      window: of the picture that would be returned, only the pixels left <= x < right, top <= y < bottom, as
        (left, top, right, bottom): bit for bit the same coordinates, for pictures too large to be made at once.
      devices: compute on all of these, an equal share of the chunks on each.
      chunk, dtype: see `render`.

    Returns:
      ``(height, width, 3)``, float32, sRGB in [0, 1].

    Raises:
      ValueError: ``params``, ``size``, ``alpha``, ``region``, ``window``, ``devices`` or ``chunk`` is not of that kind.
    """
    bare = sizeless(params)
    width, height = _checked_size(size, params.size)
    left, top, right, bottom = _checked_window(window, width, height)
    x0, y0, x1, y1 = checked_region(region)
    x, y = places.axis(width, x0, x1, left, right), places.axis(height, y0, y1, top, bottom)
    degree = _checked_degree(alpha)
    if degree.size == 1:
        degree = degree.reshape(())
    elif degree.ndim != 2 or degree.size == 0:
        raise ValueError(f"alpha: expected a number or a map (h, w), got shape {degree.shape}")
    else:
        degree = places.resample(degree, x, y)
    used = platforms.checked_devices(devices)
    mesh = None if used is None else Mesh(np.array(used), ("chunks",))
    seen = view_of(params, width, height, (x0, y0, x1, y1))
    points = points_in(params, width, height, (x0, y0, x1, y1))
    if points != (1, 1):
        across, down = points
        x = places.axis(width * across, x0, x1, left * across, right * across).reshape(-1, across)
        y = places.axis(height * down, y0, y1, top * down, bottom * down).reshape(-1, down)
    arrays = (bare, np.float32(x), np.float32(y), degree, seen)
    if mesh is not None:
        arrays = jax.device_put(arrays, NamedSharding(mesh, PartitionSpec()))
    params, *grid, seen = arrays
    return render_grid(params, *grid, chunk=_chunk(chunk), seen=seen, mesh=mesh, dtype=dtype)


@partial(jax.jit, static_argnames=("chunk", "dtype"))
def _render_points(params: Picture, points: Array, alpha: Array, seen: Any = None, *, chunk: int, dtype: Any) -> Array:
    """(n, 2) and () or (n,) -> (n, 3)."""
    colours_of = partial(params.at_points, dtype=dtype, seen=seen)
    count = points.shape[0]
    if count <= chunk:
        return colours_of(points, alpha)
    chunks = -(-count // chunk)
    each = -(-count // chunks)  # alike, so that the last is no smaller than the others

    def cut(values: Array) -> Array:
        padding = ((0, chunks * each - count),) + ((0, 0),) * (values.ndim - 1)
        return jnp.pad(values, padding).reshape(chunks, each, *values.shape[1:])

    if alpha.shape:
        colours = lax.map(lambda part: colours_of(*part), (cut(points), cut(alpha)))
    else:
        colours = lax.map(lambda part: colours_of(part, alpha), cut(points))
    return colours.reshape(-1, 3)[:count]


@partial(jax.jit, static_argnames=("chunk", "mesh", "dtype"))
def render_grid(
    params: Picture,
    x: Array,
    y: Array,
    alpha: Array,
    *,
    chunk: int,
    seen: Any = None,
    mesh: Mesh | None = None,
    dtype: Any = jnp.float32,
) -> Array:
    """What `render_image` computes, without its checks; for objectives, which are differentiated.

    Args:
      params: a network.
      x, y: ``(W,)`` and ``(H,)`` float32, the columns' and the rows' coordinates; or those of all points in a pixel,
        the mean of whose colours is its colour, ``(W, across)`` and ``(H, down)``.
      alpha: degree of style, ``()`` or ``(H, W)``.
      chunk: points computed at once, but at least one row of those of a pixel.
      seen: how the picture is looked at; without it there is no detail.
      mesh: devices that share the chunks, one axis named ``chunks``.
      dtype: see `render`.

    Returns:
      ``(H, W, 3)``.
    """
    height, width = y.shape[0], x.shape[0]
    points = (x.size // width, y.size // height)
    x, y = x.reshape(-1), y.reshape(-1)
    rows, columns = _tile(height, width, max(1, chunk // points[0]))
    down, across = -(-height // rows), -(-width // columns)
    if down * across == 1 and mesh is None:
        return _pixels(params, x, y, alpha, points, dtype, seen)
    grow = (0, down * rows - height), (0, across * columns - width)
    more = [(0, missing * n) for (_, missing), n in zip(grow, points[::-1], strict=True)]
    grid = jnp.pad(y, more[0]), jnp.pad(x, more[1]), jnp.pad(alpha, grow) if alpha.shape else alpha

    @jax.checkpoint  # a gradient computes a tile once more: cheaper than to keep all layers of all tiles
    def tile(number: Array, params: Picture, seen: Any, y: Array, x: Array, alpha: Array) -> Array:
        i, j = number // across * rows, number % across * columns
        if alpha.shape:
            alpha = lax.dynamic_slice(alpha, (i, j), (rows, columns))
        x = lax.dynamic_slice(x, (j * points[0],), (columns * points[0],))
        y = lax.dynamic_slice(y, (i * points[1],), (rows * points[1],))
        return _pixels(params, x, y, alpha, points, dtype, seen)

    def tiles(numbers: Array, *rest: Any) -> Array:
        return lax.map(lambda number: tile(number, *rest), numbers)

    if mesh is None:
        found = tiles(jnp.arange(down * across, dtype=jnp.int32), params, seen, *grid)
    else:
        share = -(-down * across // mesh.size)
        numbers = jnp.minimum(jnp.arange(share * mesh.size, dtype=jnp.int32), down * across - 1)
        one, all_ = PartitionSpec("chunks"), PartitionSpec()
        spread = jax.shard_map(tiles, mesh=mesh, in_specs=(one, all_, all_, all_, all_, all_), out_specs=one)
        found = spread(numbers, params, seen, *grid)[: down * across]
    found = found.reshape(down, across, rows, columns, 3).transpose(0, 2, 1, 3, 4)
    return found.reshape(down * rows, across * columns, 3)[:height, :width]


def _pixels(params: Picture, x: Array, y: Array, alpha: Array, points: tuple[int, int], dtype: Any, seen: Any) -> Array:
    """Pixels of a grid, each the mean of its points, a row of which is computed at once; see `render_grid`."""
    if points == (1, 1):
        return params.on_grid(x, y, alpha, dtype, seen)
    across, down = points
    degree = jnp.repeat(alpha, across, axis=1) if alpha.shape else alpha
    height, width = y.shape[0] // down, x.shape[0] // across

    def add(total: Array, row: Array) -> tuple[Array, None]:
        colours = params.on_grid(x, row, degree, dtype, seen)
        return total + colours.reshape(height, width, across, 3).sum(2), None

    nothing = jnp.zeros((height, width, 3), jnp.float32) + 0 * y[0]  # made of y, to be spread over devices as that is
    total, _ = lax.scan(add, nothing, y.reshape(height, down).T)
    return total / (across * down)


def _tile(height: int, width: int, chunk: int) -> tuple[int, int]:
    """Rows and columns of the tiles, of at most ``chunk`` points, alike and about square."""
    columns = min(width, chunk, max(math.isqrt(chunk), chunk // height))
    columns = -(-width // -(-width // columns))
    rows = min(height, max(1, chunk // columns))
    return -(-height // -(-height // rows)), columns


# ---- checks ------------------------------------------------------------------------------------------------


def _checked_coords(coords: Any) -> Array:
    if not isinstance(coords, jax.Array):
        try:
            coords = np.asarray(coords)
        except ValueError:
            raise ValueError("coords: expected an array (..., 2), got rows of different lengths") from None
    if not (jnp.issubdtype(coords.dtype, jnp.floating) or jnp.issubdtype(coords.dtype, jnp.integer)):
        raise ValueError(f"coords: expected numbers (..., 2), got {coords.dtype}")
    if coords.ndim == 0 or coords.shape[-1] != 2:
        raise ValueError(f"coords: expected (..., 2), x and y in the last axis, got shape {coords.shape}")
    if not isinstance(coords, jax.core.Tracer) and not bool(np.isfinite(coords).all()):
        raise ValueError("coords: expected finite numbers, found NaN or infinity")
    return jnp.asarray(coords, jnp.float32)


def _checked_degree(alpha: Any) -> Array:
    if not isinstance(alpha, jax.Array):
        try:
            alpha = np.asarray(alpha)
        except ValueError:
            raise ValueError("alpha: expected a number or an array, got rows of different lengths") from None
    if alpha.size:
        check_alpha(alpha)
    return jnp.asarray(alpha, jnp.float32)


def _chunk(chunk: int | None) -> int:
    if chunk is None:
        return CHUNK.get(jax.default_backend(), _CHUNK_ELSEWHERE)
    if not _is_whole([chunk]) or chunk < 1:
        raise ValueError(f"chunk: expected a number of points of at least 1, got {chunk!r}")
    return int(chunk)


def _is_whole(values: Any) -> bool:
    return all(isinstance(v, int | np.integer) and not isinstance(v, bool) for v in values)


def _checked_size(size: Any, fitted: tuple[int, int]) -> tuple[int, int]:
    """(width, height) of the picture."""
    if size is None:
        return fitted
    sides = size if isinstance(size, list | tuple) else (size,)
    pair = isinstance(size, list | tuple)
    if len(sides) != 1 + pair or not _is_whole(sides) or min(sides) < 1:
        raise ValueError(f"size: expected (width, height) or the short side in pixels, at least 1, got {size!r}")
    if pair:
        return int(sides[0]), int(sides[1])
    short = min(fitted)
    return (2 * fitted[0] * size + short) // (2 * short), (2 * fitted[1] * size + short) // (2 * short)


def _checked_window(window: Any, width: int, height: int) -> tuple[int, int, int, int]:
    if window is None:
        return 0, 0, width, height
    inside = isinstance(window, list | tuple) and len(window) == 4 and _is_whole(window)
    if not inside or not (0 <= window[0] < window[2] <= width and 0 <= window[1] < window[3] <= height):
        wanted = f"(left, top, right, bottom) in pixels, inside of {width} x {height} and not empty"
        raise ValueError(f"window: expected {wanted}, got {window!r}")
    left, top, right, bottom = (int(v) for v in window)
    return left, top, right, bottom


def checked_region(region: Any) -> places.Box:
    """The region as four numbers.

    Raises:
      ValueError: it is none, empty, or not inside of the picture.
    """
    try:
        x0, y0, x1, y1 = (float(v) for v in region)
    except (TypeError, ValueError):
        x0 = y0 = x1 = y1 = math.nan
    if not (-1 <= x0 < x1 <= 1 and -1 <= y0 < y1 <= 1):
        wanted = "(left, top, right, bottom) inside of (-1, -1, 1, 1) and not empty"
        raise ValueError(f"region: expected {wanted}, got {region!r}")
    return x0, y0, x1, y1
