"""A page that shows where in a painting the strokes at points of a photo come from.

A row for every point. From left to right: the photo with the point, the painting with a heat map of the attention, and
the part of the painting that the gate lets through.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict, Unpack

import numpy as np

from jaxstyle import image, methods, styles
from jaxstyle.methods import style_kernel
from jaxstyle.methods.interface import Loaded, Method
from jaxstyle.painting.options import PathLike
from jaxstyle.painting.style_file import read_style, weights_for
from jaxstyle.weights import WeightsError

PANEL = 384
"""Height of the pictures on the page, pixels; also that of what is looked at."""

_USUAL = "style_kernel_vgg16"
_DIM = 0.2  # brightness of what is not looked at
_FRAME = (1.0, 0.9, 0.0)
_HOT = np.asarray([[0, 0, 0], [0.8, 0, 0], [1, 0.7, 0], [1, 1, 0.8]])  # colours of 0, 1/3, 2/3 and 1


class FocusOptions(TypedDict, total=False):
    """The keyword arguments of `focus_file` that have defaults."""

    weights_file: PathLike
    max_pixels: int
    format: str | None
    overwrite: bool


@dataclass(frozen=True)
class FocusReport:
    """What `focus_file` did.

    Attributes:
      output: the file written.
      at: the points, pixels of the photo as it is.
      best: for every point column and row of the painting's pixel that it looks at most, as the painting is.
      kept: for every point the share of the painting that the gate lets through, the mean of all heads.
      weights_file: the model.
      seconds: all in all.
    """

    output: str
    at: tuple[tuple[int, int], ...]
    best: tuple[tuple[int, int], ...]
    kept: tuple[float, ...]
    weights_file: str
    seconds: float


def focus_file(
    content: PathLike, style: PathLike, output: PathLike, at: Sequence[tuple[int, int]], **options: Unpack[FocusOptions]
) -> FocusReport:
    """Looks points up, and writes the page.

    Args:
      content, style: picture files; the style may be a fitted one, or the ``"@name"`` of a built-in one.
      output: the file to write, whose suffix gives the format; ``"-"`` is standard output.
      at: column and row of each point, pixels of the photo.
      options: ``weights_file``: name of shipped weights or the path of a file, of a model with attention;
        ``max_pixels``, ``format`` and ``overwrite`` as for `jaxstyle.stylize_file`.

    Returns:
      A `FocusReport`.

    Raises:
      ImageError, WeightsError, ValueError: a file cannot be read or written, the model has no attention, or a point is
        not in the photo.
    """
    start = time.perf_counter()
    name = weights_for([style], options.get("weights_file"), usual=_USUAL)
    shape, overwrite = options.get("format"), options.get("overwrite", False)
    image.check_target(output, format=shape, overwrite=overwrite, keep=[content, styles.path_of(style)])
    most = options.get("max_pixels", image.MAX_PIXELS)
    photo, painting = (
        read(file, max_pixels=most).pixels for read, file in ((image.read, content), (read_style, style))
    )
    height, width = photo.shape[:2]
    for x, y in at:
        if not (0 <= x < width and 0 <= y < height):
            raise ValueError(f"at: expected a point of a picture of {width} x {height} pixels, got {x},{y}")
    if not at:
        raise ValueError("at: expected at least one point")
    rows, found = looked_up(methods.load(name), photo, painting, at)
    image.write(image.target_of(output), np.concatenate(rows), format=shape, overwrite=overwrite)
    return FocusReport(
        output=os.fspath(output),
        at=tuple(at),
        best=tuple(_best(one, painting.shape[:2]) for one in found),
        kept=tuple(round(float(one.kept.mean()), 4) for one in found),
        weights_file=name,
        seconds=round(time.perf_counter() - start, 3),
    )


def attends(method: Method) -> bool:
    """Whether a method has attention to look up."""
    return method.model is style_kernel.Model


def looked_up(
    loaded: Loaded, photo: np.ndarray, painting: np.ndarray, at: Sequence[tuple[int, int]]
) -> tuple[list[np.ndarray], list[style_kernel.Focus]]:
    """The rows of the page, and what was found, for every point.

    Args:
      loaded: the model.
      photo, painting: ``(H, W, 3)`` in [0, 1].
      at: column and row of each point, pixels of the photo.

    Raises:
      WeightsError: the model has no attention.
    """
    if not attends(loaded.method):
        raise WeightsError(f"{loaded.name}: a model of a method without attention; focus needs one of style_kernel")
    small, look = (_panel(part) for part in (photo, painting))
    points = [(x * small.shape[1] // photo.shape[1], y * small.shape[0] // photo.shape[0]) for x, y in at]
    found = [style_kernel.focus(loaded.model, small, look, point) for point in points]
    return [page(small, look, point, one) for point, one in zip(points, found, strict=True)], found


def _best(found: style_kernel.Focus, size: tuple[int, ...]) -> tuple[int, int]:
    """Column and row of a painting's pixel in the middle of the position that is looked at most."""
    place = np.unravel_index(np.argmax(found.weights), found.weights.shape)
    y, x = (int((2 * i + 1) * many // (2 * few)) for i, many, few in zip(place, size, found.weights.shape, strict=True))
    return x, y


def _panel(pixels: np.ndarray) -> np.ndarray:
    height, width = pixels.shape[:2]
    return image.resize(pixels, (PANEL, max(1, round(width * PANEL / height))))


def page(photo: np.ndarray, painting: np.ndarray, at: tuple[int, int], found: style_kernel.Focus) -> np.ndarray:
    """A row of the page.

    Args:
      photo: ``(H, W, 3)`` float32 in [0, 1].
      painting: ``(H, W', 3)``.
      at: column and row of the point in ``photo``.
      found: what it looks at.

    Returns:
      float32 ``(H, W + 2 W', 3)`` in [0, 1].
    """
    marked, far = np.array(photo), 6
    top, left = (max(0, i - far) for i in at[::-1])
    bottom, right = at[1] + far + 1, at[0] + far + 1
    inner = np.array(marked[top + 2 : bottom - 2, left + 2 : right - 2])
    marked[top:bottom, left:right] = _FRAME
    marked[top + 2 : bottom - 2, left + 2 : right - 2] = inner
    size = painting.shape[:2]
    heat = image.resize(found.weights / found.weights.max(), size)
    at_heat = np.sqrt(heat)[..., None]
    colors = np.stack([np.interp(at_heat[..., 0], np.linspace(0, 1, 4), channel) for channel in _HOT.T], axis=-1)
    grey = painting.mean(-1, keepdims=True) * 0.6
    seen = image.resize(found.kept, size)[..., None]
    parts = (marked, grey * (1 - at_heat) + colors * at_heat, painting * (_DIM + (1 - _DIM) * seen))
    return np.concatenate(parts, axis=1).astype(np.float32)
