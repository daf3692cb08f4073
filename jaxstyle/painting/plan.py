"""Where the tiles of a large picture lie, and how its maps come to the resolution of its features.

Lengths are counted in positions of ``relu4_1``, 8 x 8 pixels each, unless they are said to be in pixels.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from jaxstyle.arrays import ArrayLike, check_alpha
from jaxstyle.image.windows import ArraySource, Source, Window
from jaxstyle.methods import adain
from jaxstyle.nets import vgg

STRIDE = adain.STRIDE

Values = float | ArrayLike | Source | Window
"""Numbers that hold everywhere, or a map of the pixels."""


def encoder_margin(arch: vgg.Arch) -> int:
    """Positions beside a position of ``relu4_1`` whose pixels it sees.

    Every 3x3 convolution of block b looks ``2**(b-1)`` pixels further; 2x2 pooling stays inside the position. VGG-16:
    2*1 + 2*2 + 3*4 + 1*8 = 26 pixels beyond its own 8x8, VGG-19: 30. Both are 4 positions.
    """
    pixels = sum(n << block for block, n in enumerate((*vgg.BLOCKS[arch][:3], 1)))
    return -(-pixels // STRIDE)


def decoder_margin(arch: vgg.Arch) -> int:
    """Positions beside a position of the fused features that change its 8x8 pixels.

    From the pixels back: two 3x3 convolutions at full and two at half resolution, as many as VGG's third block has at
    a quarter, one at an eighth; going to half the resolution halves the distance, rounded up. VGG-16 and VGG-19: 4.
    """
    reach = 0
    for convolutions in (2, 2, vgg.BLOCKS[arch][2], 1):
        reach = -(-reach // 2) + convolutions
    return reach


class Span(NamedTuple):
    """One window along an axis: it starts at ``start``; ``first`` .. ``last - 1`` are what it is for."""

    start: int
    first: int
    last: int


def spans(size: int, core: int, margin: int) -> tuple[int, list[Span]]:
    """Windows of one length that cover an axis.

    Args:
      size: of the axis.
      core: the most that one window is for.
      margin: by which a window exceeds its core, except where the axis ends: there it is shifted inwards.

    Returns:
      ``(length, windows)``; the cores follow each other without gap or overlap.
    """
    length = min(size, core + 2 * margin)
    firsts = range(0, size, core)
    return length, [Span(min(max(f - margin, 0), size - length), f, min(f + core, size)) for f in firsts]


def positions(pixels: int) -> int:
    """Length of the features of an axis of so many pixels, which is mirrored up to it."""
    return -(-max(adain.SMALLEST, pixels) // STRIDE)


def _mirrored(size: int) -> np.ndarray:
    """Which pixel stands at each place of an axis that is mirrored up to whole positions, as `adain.stylize` does."""
    return np.pad(np.arange(size), (0, positions(size) * STRIDE - size), mode="symmetric")


class Canvas:
    """A source mirrored at the bottom and right up to whole positions."""

    def __init__(self, read: Window, height: int, width: int) -> None:
        self._read, self._ys, self._xs = read, _mirrored(height), _mirrored(width)

    def window(self, top: int, left: int, height: int, width: int) -> np.ndarray:
        """All four in positions; the pixels, or the values at the pixels."""
        ys = self._ys[top * STRIDE : (top + height) * STRIDE]
        xs = self._xs[left * STRIDE : (left + width) * STRIDE]
        block = self._read(int(ys.min()), int(ys.max()) + 1, int(xs.min()), int(xs.max()) + 1)
        return block[np.ix_(ys - ys.min(), xs - xs.min())]


def share_map(alpha: Values, shares: Values, height: int, width: int) -> np.ndarray:
    """The shares of K styles at every position: the mean over its 8x8 pixels, mirrored as the picture is.

    Args:
      alpha: degree of style: a number, or a map ``(H, W)``.
      shares: of the styles: ``(K,)``, or a map ``(H, W, K)``; a map is an array of floats in [0, 1] or of unsigned
        integers, a `Source`, or a function that gives windows ``(top, bottom, left, right)``.
      height, width: of the picture, in pixels.

    Returns:
      alpha times shares, float32 ``(ceil(H / 8), ceil(W / 8), K)``, at least 2 positions each way.

    Raises:
      ValueError: a map of another shape, values outside [0, 1], or shares with sums above 1.
    """
    degree, parts = _window(alpha, (height, width), "alpha"), _window(shares, (height, width, None), "shares")
    rows, columns = positions(height), positions(width)
    if degree is None and parts is None:  # no map
        return np.tile(_product(np.asarray(alpha), np.asarray(shares)), (rows, columns, 1))

    def product(top: int, bottom: int, left: int, right: int) -> np.ndarray:
        a = np.asarray(alpha if degree is None else degree(top, bottom, left, right))
        return _product(a, np.asarray(shares if parts is None else parts(top, bottom, left, right)))

    canvas = Canvas(product, height, width)
    bands = []
    for top in range(0, rows, 16):
        tall = min(16, rows - top)
        band = canvas.window(top, 0, tall, columns)
        bands.append(band.reshape(tall, STRIDE, columns, STRIDE, -1).mean((1, 3), dtype=np.float32))
    return np.concatenate(bands)


def _window(values: Values, shape: tuple[int | None, ...], name: str) -> Window | None:
    """How to read a map; None for what is not one."""
    if callable(values):
        return values
    source = values if isinstance(values, Source) else None
    if source is None and np.ndim(values) > 1:  # type: ignore[arg-type]
        source = ArraySource(np.asarray(values))
    if source is None:
        if np.ndim(values) != (len(shape) == 3):  # type: ignore[arg-type]
            accepted = "a number or (H, W)" if len(shape) == 2 else "(K,) or (H, W, K)"
            raise ValueError(f"{name}: expected {accepted}, got shape {np.shape(values)}")  # type: ignore[arg-type]
        return None
    if len(source.shape) != len(shape) or source.shape[:2] != shape[:2]:
        accepted = ", ".join("K" if side is None else str(side) for side in shape)
        raise ValueError(f"{name}: expected a map ({accepted}) of the picture's pixels, got shape {source.shape}")
    return source.read


def _product(alpha: np.ndarray, shares: np.ndarray) -> np.ndarray:
    check_alpha(alpha)
    check_alpha(shares, "shares")
    if (total := shares.sum(-1, dtype=np.float32).max()) > 1 + 1e-4:
        raise ValueError(f"shares: expected sums of at most 1 at every place, found {total:g}")
    return alpha[..., None].astype(np.float32) * shares.astype(np.float32)


class Plan(NamedTuple):
    """Where the windows of both passes lie: all of a pass have one size."""

    grid: tuple[int, int]  # of the picture's feature map
    reach: int  # encoder_margin
    encode_size: tuple[int, int]
    encode: list[tuple[Span, Span]]
    decode_size: tuple[int, int]
    decode_rows: list[Span]
    decode_columns: list[Span]


def make_plan(height: int, width: int, tile: int, arch: vgg.Arch) -> Plan:
    """The windows for a picture of so many pixels and tiles of at most ``tile`` x ``tile`` positions."""
    grid = (positions(height), positions(width))
    outer, inner = encoder_margin(arch), decoder_margin(arch)
    cores = [-(-n // -(-n // tile)) for n in grid]  # as many tiles as `tile` takes, and of equal size
    (tall, rows), (wide, columns) = (spans(n, core, inner) for n, core in zip(grid, cores, strict=True))
    # windows for encoding are those for decoding and the encoder's margin, in both passes: one compilation
    (e_tall, e_rows), (e_wide, e_columns) = (
        spans(n, core + 2 * inner, outer) for n, core in zip(grid, cores, strict=True)
    )
    encode = [(y, x) for y in e_rows for x in e_columns]
    return Plan(grid, outer, (e_tall, e_wide), encode, (tall, wide), rows, columns)
