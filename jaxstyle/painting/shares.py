"""What part each style has at every position of a picture: the degree of style times the shares, window by window."""

from __future__ import annotations

import numpy as np

from jaxstyle.arrays import ArrayLike, check_alpha
from jaxstyle.image.windows import ArraySource, Source, Window
from jaxstyle.painting.plan import mirrored

Values = float | ArrayLike | Source | Window
"""Numbers that hold everywhere, or a map of the pixels: an array of floats in [0, 1] or of unsigned integers, a
`Source`, or a function that gives windows ``(top, bottom, left, right)``."""


class Shares:
    """The shares of K styles at the positions of a picture, each the mean over its pixels; beyond the picture they are
    mirrored as its pixels are.

    Attributes:
      count: K.
    """

    def __init__(self, alpha: Values, parts: Values, extent: tuple[int, int], stride: int) -> None:
        """
        Args:
          alpha: degree of style: a number, or a map ``(H, W)``.
          parts: of the styles: ``(K,)``, or a map ``(H, W, K)``, with sums of at most 1.
          extent: (height, width) of the picture, in pixels.
          stride: pixels of a position.

        Raises:
          ValueError: a map of another shape; numbers outside [0, 1], or parts with sums above 1, which in maps that are
            no arrays is found only when they are read.
        """
        self._extent, self._stride = extent, stride
        self._degree, self._parts = _window(alpha, (*extent,), "alpha"), _window(parts, (*extent, None), "shares")
        self._alpha = None if self._degree is not None else np.asarray(alpha)
        self._constant = None if self._parts is not None else np.asarray(parts)
        self._everywhere = None
        if self._degree is None and self._parts is None:
            self._everywhere = _product(np.asarray(alpha), np.asarray(parts))[None, None]
        self.count = self._product(0, 1, 0, 1).shape[-1]

    def _product(self, top: int, bottom: int, left: int, right: int) -> np.ndarray:
        alpha = self._alpha if self._degree is None else self._degree(top, bottom, left, right)
        parts = self._constant if self._parts is None else self._parts(top, bottom, left, right)
        return _product(np.asarray(alpha), np.asarray(parts))

    def total(self, top: int, bottom: int, left: int, right: int) -> np.ndarray:
        """The degree of style of pixels, all styles together, 0 = content: float32 ``(bottom - top, right - left)``, or
        ``(1, 1)`` where it is the same everywhere."""
        found = self._product(top, bottom, left, right) if self._everywhere is None else self._everywhere
        return found.sum(-1, dtype=np.float32)

    def window(self, top: int, left: int, height: int, width: int) -> np.ndarray:
        """Those of a window, all in pixels, multiples of the stride: float32 ``(height / stride, width / stride, K)``,
        or ``(1, 1, K)`` where they are the same everywhere."""
        if self._everywhere is not None:
            return self._everywhere
        (tall, wide), stride = self._extent, self._stride
        ys, xs = mirrored(tall, top + height)[top : top + height], mirrored(wide, left + width)[left : left + width]
        first, last = int(xs.min()), int(xs.max()) + 1
        out = []
        for row in range(0, height, 16 * stride):  # in bands: maps of pixels are much larger than those of positions
            rows = ys[row : row + 16 * stride]
            upper, lower = int(rows.min()), int(rows.max()) + 1
            band = self._product(upper, lower, first, last)[np.ix_(rows - upper, xs - first)]
            blocks = band.reshape(len(rows) // stride, stride, width // stride, stride, -1)
            out.append(blocks.mean((1, 3), dtype=np.float32))
        return np.concatenate(out)


def _window(values: Values, shape: tuple[int | None, ...], name: str) -> Window | None:
    """How to read a map; None for what is not one."""
    if callable(values):
        return values
    source = values if isinstance(values, Source) else None
    if source is None and np.ndim(values) > 1:  # type: ignore[arg-type]
        array = np.asarray(values)
        source = ArraySource(array)
        if array.dtype.kind == "f":
            check_alpha(array, name)
        if len(shape) == 3 and array.ndim == 3:
            _check_sums(source.read(0, array.shape[0], 0, array.shape[1]))
    if source is None:
        if np.ndim(values) != (len(shape) == 3):  # type: ignore[arg-type]
            accepted = "a number or (H, W)" if len(shape) == 2 else "(K,) or (H, W, K)"
            raise ValueError(f"{name}: expected {accepted}, got shape {np.shape(values)}")  # type: ignore[arg-type]
        return None
    if len(source.shape) != len(shape) or source.shape[:2] != shape[:2]:
        accepted = ", ".join("K" if side is None else str(side) for side in shape)
        raise ValueError(f"{name}: expected a map ({accepted}) of the picture's pixels, got shape {source.shape}")
    return source.read


def _product(alpha: np.ndarray, parts: np.ndarray) -> np.ndarray:
    check_alpha(alpha)
    check_alpha(parts, "shares")
    _check_sums(parts)
    return alpha[..., None].astype(np.float32) * parts.astype(np.float32)


def _check_sums(parts: np.ndarray) -> None:
    if (total := parts.sum(-1, dtype=np.float32).max()) > 1 + 1e-4:
        raise ValueError(f"shares: expected sums of at most 1 at every place, found {total:g}")
