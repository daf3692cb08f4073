"""AdaIN in programs that serve pictures of many sizes, so that few have to be compiled.

A picture is laid into the next larger of few sizes, its bucket, mirrored beyond its right and bottom border. Its own
size is an input of the program: every convolution ends where the picture ends, and the statistics are those of the
picture. So the result is that of `jaxstyle.adain.stylize`, to rounding, up to the border.
"""

from __future__ import annotations

import numpy as np

from jaxstyle.methods import adain

STEPS = ((64, 16), (128, 32), (1024, 64), (2048, 128), (4096, 256))
"""(up to, multiples of), in pixels of a side; beyond the last, multiples of 512.

Sides of 512 pixels and more grow by less than an eighth, by 4 % on average, and many common ones (512, 640, 768, 1024,
1920, 4096) do not grow at all. Up to 1024 pixels there are 20 sides.
"""


def bucket(height: int, width: int) -> tuple[int, int]:
    """The smallest bucket that takes a picture, in pixels: multiples of 16."""
    return _up(height), _up(width)


def _up(side: int) -> int:
    step = next((step for most, step in STEPS if side <= most), 512)
    return -(-side // step) * step


def _laid(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Mirrors (H, W, ...) beyond its end, again and again if it must."""
    grow = [(0, n - m) for n, m in zip(shape, values.shape[:2], strict=True)] + [(0, 0)] * (values.ndim - 2)
    return np.pad(values, grow, mode="symmetric") if values.shape[:2] != shape else values


def encode_style(model: adain.Model, style: np.ndarray) -> adain.Style:
    """`jaxstyle.adain.encode_style` of one picture ``(H, W, 3)`` of any size."""
    height, width = style.shape[:2]
    size = np.asarray([height, width], np.int32)
    found = adain.encode_style(model, _laid(style, bucket(height, width)), size=size)
    if found.features is None:
        return found
    rows, columns = (max(side, adain.SMALLEST) // adain.STRIDE for side in (height, width))
    return found.replace(features=found.features[:, :rows, :columns])  # type: ignore[attr-defined]


def stylize(
    model: adain.Model,
    content: np.ndarray,
    style: adain.Style,
    alpha: float | np.ndarray = 1.0,
    *,
    shares: np.ndarray | None = None,
) -> np.ndarray:
    """`jaxstyle.adain.stylize` of one picture.

    Args:
      model: see `jaxstyle.adain.load`.
      content: ``(H, W, 3)``, of any size.
      style: encoded, one or with ``shares`` K of them.
      alpha: degree of style: a number, or a map ``(H, W)``.
      shares: of K styles: ``(K,)`` or ``(H, W, K)``.

    Returns:
      float32 ``(H, W, 3)`` in [0, 1].

    Raises:
      ValueError: as `jaxstyle.adain.stylize`.
    """
    height, width = content.shape[:2]
    shape = bucket(height, width)
    degree = _laid(alpha, shape) if np.ndim(alpha) else alpha  # type: ignore[arg-type]
    parts = _laid(shares, shape) if shares is not None and shares.ndim > 1 else shares
    size = np.asarray([height, width], np.int32)
    out = adain.stylize(model, _laid(content, shape), style, degree, shares=parts, size=size)
    return np.asarray(out)[:height, :width]
