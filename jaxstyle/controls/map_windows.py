"""The maps of the controls window by window, for pictures whose maps would not fit into memory either.

What `jaxstyle.controls.controls` makes as whole arrays (alpha maps and masks in the size of the result, gradients,
shares) is given here as functions of a window, ``(top, bottom, left, right)`` in pixels of the result, with the same
values.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from jaxstyle import image
from jaxstyle.controls import colors, controls
from jaxstyle.controls.controls import Controls
from jaxstyle.image.windows import ArraySource, LargePicture, Source, Window, open_large


@dataclass(frozen=True, eq=False)
class OpenMaps:
    """The pictures among the controls, opened; the windowed `jaxstyle.controls.controls.Maps`.

    Attributes:
      alpha_map: (H, W) in [0, 1], of any size.
      mask: the same for every style.
      notices: sentences for the user.
    """

    alpha_map: Source | None = None
    mask: tuple[Source, ...] | None = None
    notices: tuple[str, ...] = ()

    def stretched(self, height: int, width: int) -> tuple[str, ...]:
        """`jaxstyle.controls.controls.stretched`: a sentence for every map of another shape than the result's."""

        def stand_in(source: Source) -> np.ndarray:
            return np.broadcast_to(np.float32(0), source.shape)

        alpha_map = None if self.alpha_map is None else stand_in(self.alpha_map)
        mask = None if self.mask is None else tuple(map(stand_in, self.mask))
        return controls.stretched(controls.Maps(alpha_map, mask), height, width)


@contextlib.contextmanager
def open_maps(chosen: Controls, *, max_pixels: int = image.MAX_PIXELS) -> Iterator[OpenMaps]:
    """Opens the alpha map and the masks; where they are transparent they count as black.

    Args:
      chosen: names them.
      max_pixels: of each.

    Raises:
      ImageError: one of them cannot be read.
    """
    notices: list[str] = []
    with contextlib.ExitStack() as stack:

        def opened(source: image.Source, name: str) -> Source:
            if not isinstance(source, str):  # in memory already
                found, more = controls.read_map(source, name, max_pixels=max_pixels)
                notices.extend(more)
                return ArraySource(found)
            picture = stack.enter_context(open_large(source, max_pixels=max_pixels))
            notices.extend(f"{source}: {notice}" for notice in picture.notices)
            return _Grey(picture)

        alpha_map = None if chosen.alpha_map is None else opened(chosen.alpha_map, "alpha_map")
        mask = None
        if chosen.mask is not None:
            mask = tuple(opened(source, f"mask {number}") for number, source in enumerate(chosen.mask, 1))
        yield OpenMaps(alpha_map, mask, tuple(notices))


class _Grey:
    """The luma of a picture, black where it is transparent: (H, W)."""

    def __init__(self, picture: LargePicture) -> None:
        self._picture = picture

    @property
    def shape(self) -> tuple[int, ...]:
        return self._picture.pixels.shape[:2]

    def read(self, top: int, bottom: int, left: int, right: int) -> np.ndarray:
        grey = colors.luma(self._picture.pixels.read(top, bottom, left, right))
        opacity = self._picture.alpha
        return grey if opacity is None else grey * opacity.read(top, bottom, left, right)


class ResizedMap:
    """A map in another size: its windows are those of `jaxstyle.controls.controls.resize_map` of the whole.

    Args:
      source: (H, W).
      height, width: of the result, in pixels.
    """

    def __init__(self, source: Source, height: int, width: int) -> None:
        self._source, self._size = source, (height, width)

    @property
    def shape(self) -> tuple[int, ...]:
        return self._size

    def read(self, top: int, bottom: int, left: int, right: int) -> np.ndarray:
        """Rows top .. bottom - 1, columns left .. right - 1, as float32 in [0, 1]."""
        y = _Axis(self._source.shape[0], self._size[0], top, bottom)
        x = _Axis(self._source.shape[1], self._size[1], left, right)
        values = self._source.read(y.first, y.last, x.first, x.last)
        return np.clip(x.resample(y.resample(values).T).T, 0, 1).astype(np.float32)


class _Axis:
    """A part of a resized axis: which of the source's values it needs, ``first`` .. ``last - 1``, and how."""

    def __init__(self, size: int, resized: int, start: int, stop: int) -> None:
        self._scale = resized / size
        if resized < size:  # the mean over each pixel's area
            at = np.arange(start, stop + 1) * (size / resized)
        else:  # linear between the pixels' centres
            at = np.clip((np.arange(start, stop) + 0.5) * (size / resized) - 0.5, 0, size - 1)
        whole = np.minimum(at.astype(int), size - 1)
        self.first, self.last = int(whole[0]), min(int(whole[-1]) + 2, size)
        self._whole, self._part = whole - self.first, (at - whole)[:, None]

    def resample(self, values: np.ndarray) -> np.ndarray:
        """From values ``(last - first, n)`` to ``(stop - start, n)``."""
        if self._scale < 1:
            integral = np.cumsum(values, axis=0, dtype=np.float64) - values  # up to the beginning of each value
            return np.diff(integral[self._whole] + self._part * values[self._whole], axis=0) * self._scale
        after = np.minimum(self._whole + 1, len(values) - 1)
        return values[self._whole] * (1 - self._part) + values[after] * self._part


def gradient(spec: str, height: int, width: int) -> Window:
    """`jaxstyle.controls.controls.gradient` for windows.

    Raises:
      ValueError: see `jaxstyle.controls.controls.parse_gradient`.
    """
    controls.parse_gradient(spec)

    def window(top: int, bottom: int, left: int, right: int) -> np.ndarray:
        return gradient_at(spec, _along(height, top, bottom), _along(width, left, right))

    return window


def gradient_at(spec: str, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """`jaxstyle.controls.controls.gradient` at any rows and columns.

    Args:
      spec: see there.
      y, x: ``(h,)`` and ``(w,)``, 0 at the first pixel of the picture and 1 at the last.

    Returns:
      float32 ``(h, w)``.
    """
    stops = controls.parse_gradient(spec)
    ends = [place for place in stops if place != "center"]
    y, x = np.ix_(y, x)
    if "edge" in stops:
        found = np.interp(np.hypot(2 * x - 1, 2 * y - 1), [0, 1], [stops["center"], stops["edge"]])
    elif len(stops) == 4:
        upper, lower = ((1 - x) * stops[f"{side}-left"] + x * stops[f"{side}-right"] for side in ("top", "bottom"))
        found = (1 - y) * upper + y * lower
    else:
        far = [{"left": x, "right": 1 - x, "top": y, "bottom": 1 - y}[side] for side in ends[0].split("-")]
        along = sum(far) / len(far) + np.zeros((y.size, x.size))  # 0 at one end, 1 at the other
        first, last = (stops[place] for place in ends)
        found = np.interp(along, [0, 0.5, 1], [first, stops.get("center", (first + last) / 2), last])
    return found.astype(np.float32)


def _along(size: int, start: int, stop: int) -> np.ndarray:
    """Where pixels lie between the first of an axis, 0, and its last, 1."""
    return np.arange(start, stop) / (size - 1) if size > 1 else np.full(stop - start, 0.5)


def degree(chosen: Controls, maps: OpenMaps, height: int, width: int) -> float | Window:
    """`jaxstyle.controls.controls.degree`: a number where neither map nor gradient is given, else a function of a
    window."""
    parts: list[Window] = []
    if maps.alpha_map is not None:
        parts.append(ResizedMap(maps.alpha_map, height, width).read)
    if chosen.gradient is not None:
        parts.append(gradient(chosen.gradient, height, width))
    return _product(chosen.alpha, parts) if parts else chosen.alpha


def shares(count: int, chosen: Controls, maps: OpenMaps, height: int, width: int) -> np.ndarray | Window:
    """`jaxstyle.controls.controls.shares`: (K,), or with masks a function of a window that gives (h, w, K)."""
    if maps.mask is None:
        return controls.shares(count, chosen.weights)
    masks = [ResizedMap(mask, height, width).read for mask in maps.mask]
    return lambda *bounds: controls.shares(count, chosen.weights, [mask(*bounds) for mask in masks])


def _product(factor: float, parts: list[Window]) -> Window:
    def window(*bounds: int) -> np.ndarray:
        out = np.float32(factor) * parts[0](*bounds)
        for part in parts[1:]:
            out = out * part(*bounds)
        return out

    return window
