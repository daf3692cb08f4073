"""Pictures larger than memory: AdaIN tile by tile with the statistics of the whole picture.

AdaIN (arXiv:1703.06868) looks at a picture as a whole only through the mean and variance of its features. So two
passes do: the first encodes the picture window by window and adds up the moments of ``relu4_1``, every position
once; the second fuses and decodes tile by tile. The windows overlap by what encoder and decoder see beyond a tile,
and borders are mirrored only where the picture ends: the result is that of `jaxstyle.adain.stylize`, without seams.

Lengths are counted in positions of ``relu4_1``, 8 x 8 pixels each, unless they are said to be in pixels.
"""

from __future__ import annotations

import collections
import functools
import os
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxstyle.arrays import Array, ArrayLike, Features
from jaxstyle.image.windows import ArraySource, Source
from jaxstyle.methods import adain
from jaxstyle.nets import vgg
from jaxstyle.nets.stats import EPS, Moments
from jaxstyle.painting.plan import (
    STRIDE,
    Canvas,
    Plan,
    Span,
    Values,
    decoder_margin,
    encoder_margin,
    make_plan,
    share_map,
)
from jaxstyle.runtime import memory
from jaxstyle.runtime.scratch import Scratch

TILES = (1024, 512, 256)
"""Sides of tiles in pixels: the first whose windows, 128 pixels larger, half the free memory takes. On a CPU the first
took 1.3 times as long as the picture as a whole and the second 1.6 times; without a scratch file the second 2.4."""


class TileError(ValueError):
    """A model or an argument that tiles cannot serve. The message is one line."""


class Tile(NamedTuple):
    """What fusion is told beside the features of a tile; traced, so that all tiles share one compilation.

    Attributes:
      moments: of the whole picture's content features, each ``(1, C)``.
      corner: (2,), row and column at which the tile begins in the picture's feature map.
      size: (2,), height and width of the picture's feature map.
      shares: of the styles at every position of the tile, ``(1, h, w, K)``, the degree of style included.
    """

    moments: Moments
    corner: ArrayLike
    size: ArrayLike
    shares: ArrayLike


def fuse(model: adain.Model, features: Features, tile: Tile, style: adain.Style) -> Features:
    """What the decoder sees of a tile: `adain.blend` with the moments of the whole picture.

    With ``fusion="concat"`` the style's features are laid beside, resized to the whole picture's feature map.
    """
    shares = jnp.asarray(tile.shares)
    if model.fusion == "adain":
        return adain.blend(features, style.moments, shares, source=tile.moments)
    x = features.astype(jnp.float32)
    _, height, width, channels = style.features.shape  # type: ignore[union-attr]
    scale = jnp.asarray(tile.size) / jnp.asarray([height, width], jnp.float32)
    shift = -jnp.asarray(tile.corner, jnp.float32)
    whole = style.features.astype(jnp.float32)  # type: ignore[union-attr]
    shape = (1, *features.shape[1:3], channels)
    beside = jax.image.scale_and_translate(whole, shape, (1, 2), scale, shift, "linear")
    return jnp.concatenate([x, (1 - shares) * x + shares * beside], axis=-1)


# ---- the two passes ----------------------------------------------------------------------------------------


def stylize(
    model: adain.Model,
    source: ArrayLike | Source,
    style: adain.Style,
    alpha: Values = 1.0,
    *,
    shares: Values | None = None,
    tile: int | None = None,
    scratch: str | os.PathLike[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[np.ndarray]:
    """`jaxstyle.adain.stylize` in memory that does not grow with the picture's height.

    Args:
      model: see `jaxstyle.adain.load`; not with instance normalisation, which looks at the whole picture.
      source: the content, ``(H, W, 3)``: an array, memory-mapped or not, or a `Source`.
      style: what `jaxstyle.adain.encode_style` returned for one style, or with ``shares`` `jaxstyle.adain.stack`.
      alpha: degree of style: a number, or a map of the pixels as an array ``(H, W)``, as a `Source`, or as a function
        that gives windows: ``alpha(top, bottom, left, right)``.
      shares: of K styles, not negative, with sums of at most 1: ``(K,)``, or a map ``(H, W, K)`` in one of these forms.
      tile: largest side of a tile in pixels, a multiple of 8; by default `default_tile()`. The result is the same.
      scratch: a folder for a nameless temporary file with the features, 32 bytes per pixel (half with bfloat16), which
        saves encoding twice. Where it does not fit, everything is encoded twice after all.
      progress: called with the number of windows done and their total.

    Returns:
      Bands of rows from top to bottom, float32 ``(h, W, 3)`` in [0, 1], together of the content's size.

    Raises:
      TileError: the model cannot be tiled, or an argument has a wrong shape.
      ValueError: ``alpha`` or ``shares`` are out of range, or ``source`` is no picture.
    """
    if tile is None:
        tile = default_tile()
    check_tile(tile)
    content = source if isinstance(source, Source) else ArraySource(np.asarray(source))
    if len(content.shape) != 3 or content.shape[2] != 3:
        raise TileError(f"source: expected a picture (H, W, 3), got shape {content.shape}")
    count = style.moments.mean.shape[0]
    _check_model(model, style, mixed=shares is not None)
    if shares is None and count != 1:
        raise TileError(f"style: {count} styles need their shares")
    height, width = content.shape[:2]
    weights = share_map(alpha, np.ones(1) if shares is None else shares, height, width)
    if weights.shape[2] != count:
        raise TileError(f"shares: expected {count}, one per style, got {weights.shape[2]}")
    plan = make_plan(height, width, tile // STRIDE, model.arch)
    return _bands(model, content, style, weights, plan, scratch, progress)


def check_tile(tile: int) -> None:
    """Raises TileError unless ``tile`` is a side that tiles can have."""
    if tile < STRIDE or tile % STRIDE:
        raise TileError(f"tile: expected a positive multiple of {STRIDE} pixels, got {tile}")


def _check_model(model: adain.Model, style: adain.Style, *, mixed: bool) -> None:
    if model.norm == "instance":
        raise TileError("model: instance normalisation looks at the whole picture, which tiles cannot")
    if model.fusion not in ("adain", "concat"):
        raise TileError(f"fusion: expected 'adain' or 'concat', got {model.fusion!r}")
    if model.fusion == "concat" and mixed:
        raise TileError("shares: a model with fusion='concat' cannot mix styles, only 'adain' can")
    if model.fusion == "concat" and style.features is None:
        raise TileError("style: fusion='concat' needs the style's features; encode it with the same model")


def default_tile(available: int | None = None) -> int:
    """The side of a tile in pixels for so many free bytes, by default those of the device."""
    if available is None:
        available = memory.available_memory() or 4 << 30
    margin = 2 * STRIDE * (encoder_margin("vgg16") + decoder_margin("vgg16"))
    fitting = [t for t in TILES if memory.untiled_bytes(t + margin, t + margin) <= available / 2]
    return fitting[0] if fitting else TILES[-1]


def _bands(
    model: adain.Model,
    source: Source,
    style: adain.Style,
    shares: np.ndarray,
    plan: Plan,
    scratch: str | os.PathLike[str] | None,
    progress: Callable[[int, int], None] | None,
) -> Iterator[np.ndarray]:
    height, width = source.shape[:2]
    canvas = Canvas(source.read, height, width)
    done, total = 0, len(plan.encode) + len(plan.decode_rows) * len(plan.decode_columns)

    def step() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    with Scratch(scratch, (*plan.grid, vgg.WIDTHS[3]), np.dtype(model.dtype)) as store:
        content = _measure(model, canvas, plan, store, step)
        for y in plan.decode_rows:
            rows = (y.last - y.first) * STRIDE
            band = np.empty((rows, plan.grid[1] * STRIDE, 3), np.float32)
            for x, pixels in _ahead(_painted(model, canvas, plan, store, content, style, shares, y)):
                top, left = (y.first - y.start) * STRIDE, (x.first - x.start) * STRIDE
                columns = slice(x.first * STRIDE, x.last * STRIDE)
                wide = columns.stop - columns.start
                band[:, columns] = np.asarray(pixels)[top : top + rows, left : left + wide]
                step()
            keep = min(y.last * STRIDE, height) - y.first * STRIDE
            if keep > 0:  # pictures below 16 pixels end before their positions do
                yield band[:keep, :width]


def _measure(model: adain.Model, canvas: Canvas, plan: Plan, store: Scratch, step: Callable[[], None]) -> Moments:
    """The first pass: the moments of the whole picture's features, which go into the store."""

    def encoded() -> Iterator[tuple[Span, Span, Array, Array]]:
        for y, x in plan.encode:
            f = _encode(model, canvas.window(y.start, x.start, *plan.encode_size))
            inside = [y.first - y.start, y.last - y.start, x.first - x.start, x.last - x.start]
            yield y, x, f, _sums(f, np.asarray(inside, np.int32))

    running = _Running()
    for y, x, f, sums in _ahead(encoded()):
        running.add((y.last - y.first) * (x.last - x.first), *np.asarray(sums))
        if store.usable:
            top, left = y.first - y.start, x.first - x.start
            block = np.asarray(f)[0, top : top + y.last - y.first, left : left + x.last - x.first]
            store.write(y.first, x.first, block)
        step()
    return running.moments()


def _painted(
    model: adain.Model,
    canvas: Canvas,
    plan: Plan,
    store: Scratch,
    content: Moments,
    style: adain.Style,
    shares: np.ndarray,
    y: Span,
) -> Iterator[tuple[Span, Array]]:
    """The second pass: one row of tiles."""
    tall, wide = plan.decode_size
    for x in plan.decode_columns:
        if store.usable:
            features, top, left = store.read(y.start, x.start, tall, wide)[None], y.start, x.start
        else:
            top, left = (
                min(max(span.start - plan.reach, 0), n - size)
                for span, n, size in zip((y, x), plan.grid, plan.encode_size, strict=True)
            )
            features = _encode(model, canvas.window(top, left, *plan.encode_size))
        part = shares[None, y.start : y.start + tall, x.start : x.start + wide]
        where, corner = np.asarray([[y.start, x.start], [y.start - top, x.start - left]], np.int32)
        place = Tile(content, where, np.asarray(plan.grid, np.int32), part)
        yield x, _decode(model, features, corner, (tall, wide), place, style)


T = TypeVar("T")


def _ahead(results: Iterator[T]) -> Iterator[T]:
    """Keeps an accelerator busy while the host looks at an earlier result; on a CPU that would cost memory only."""
    depth = 0 if jax.default_backend() == "cpu" else 2
    waiting: collections.deque[T] = collections.deque()
    for result in results:
        waiting.append(result)
        if len(waiting) > depth:
            yield waiting.popleft()
    yield from waiting


@jax.jit
def _encode(model: adain.Model, window: Array) -> Features:
    return adain.encode(model, window[None])["relu4_1"]


@jax.jit
def _sums(features: Features, bounds: Array) -> Array:
    """Mean and summed squares about it, (2, C), over rows bounds[0] .. bounds[1] - 1, columns bounds[2] .. ."""
    x = features[0].astype(jnp.float32)
    ys, xs = jnp.arange(x.shape[0])[:, None, None], jnp.arange(x.shape[1])[None, :, None]
    inside = (ys >= bounds[0]) & (ys < bounds[1]) & (xs >= bounds[2]) & (xs < bounds[3])
    mean = (x * inside).sum((0, 1)) / inside.sum()
    return jnp.stack([mean, (jnp.square(x - mean[None, None]) * inside).sum((0, 1))])


@functools.partial(jax.jit, static_argnames=("size",))
def _decode(
    model: adain.Model, features: Features, corner: Array, size: tuple[int, int], tile: Tile, style: adain.Style
) -> Array:
    """Cuts ``size`` positions at ``corner`` out of the features, fuses and decodes: (8 h, 8 w, 3)."""
    part = lax.dynamic_slice(features, (0, corner[0], corner[1], 0), (1, *size, features.shape[3]))
    t = fuse(model, part, tile, style).astype(part.dtype)
    return jnp.clip(adain.decode(model, t)[0], 0.0, 1.0)


class _Running:
    """Count, mean and summed squared deviations, added up in float64 (Chan, Golub & LeVeque 1979)."""

    def __init__(self) -> None:
        self.count, self.mean, self.squares = 0, np.zeros(()), np.zeros(())

    def add(self, count: int, mean: np.ndarray, squares: np.ndarray) -> None:
        total = self.count + count
        step = mean.astype(np.float64) - self.mean
        self.squares = self.squares + squares.astype(np.float64) + step**2 * (self.count * count / total)
        self.mean = self.mean + step * (count / total)
        self.count = total

    def moments(self) -> Moments:
        std = np.sqrt(self.squares / self.count + EPS)
        return Moments(jnp.asarray(self.mean[None], jnp.float32), jnp.asarray(std[None], jnp.float32))
