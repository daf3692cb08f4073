"""Degree of style and shares of the styles at every place of a picture, from controls.

The maps and masks of the controls are read window by window, so that pictures of any size can be painted; an array of
the whole is the window of everything. A window is ``(top, bottom, left, right)`` in pixels of the result. Degrees and
shares are in [0, 1], float32 ``(h, w)`` and ``(h, w, K)``.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxstyle import image
from jaxstyle.controls import colors
from jaxstyle.controls.controls import Controls, parse_gradient
from jaxstyle.image.windows import ArraySource, LargePicture, Source, Window, open_large

# ---- maps and masks ----------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Maps:
    """The pictures among the controls, ready to be read.

    Attributes:
      alpha_map: (H, W) in [0, 1], of any size.
      mask: the same for every style.
      notices: sentences for the user.
      names: of the alpha map and of the masks, where they are files; by default what they are called in `Controls`.
    """

    alpha_map: Source | None = None
    mask: tuple[Source, ...] | None = None
    notices: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    def stretched(self, height: int, width: int) -> tuple[str, ...]:
        """A sentence for every map whose shape is not that of the result: perhaps it was made for another picture."""
        named = [("alpha_map", self.alpha_map)] if self.alpha_map is not None else []
        named += [(f"mask {number}", mask) for number, mask in enumerate(self.mask or (), 1)]
        names = self.names or tuple(name for name, _ in named)
        found = [stretched(name, map_.shape, height, width) for name, (_, map_) in zip(names, named, strict=True)]
        return tuple(itertools.chain.from_iterable(found))


def stretched(name: str, shape: tuple[int, ...], height: int, width: int) -> tuple[str, ...]:
    """A sentence where the shape of a map, which begins with its height and width, is not that of the result."""
    if same_shape(shape, height, width):
        return ()
    return (f"{name}: {shape[1]} x {shape[0]} is stretched to {width} x {height}",)


def same_shape(shape: tuple[int, ...], height: float, width: float) -> bool:
    """Whether a map ``(H, W)`` of any size has the aspect ratio of a picture, but for rounding."""
    ratio = shape[1] * height / (shape[0] * width)
    return abs(math.log(ratio)) <= 0.02 + 1 / min(shape[:2])


def read_maps(controls: Controls, max_pixels: int = image.MAX_PIXELS) -> Maps:
    """Reads the alpha map and the masks into memory: once for any number of contents, for any number of threads.

    Args:
      controls: names them; where they are transparent they count as black.
      max_pixels: of each.

    Raises:
      ImageError: one of them cannot be read.
    """
    return _maps(controls, lambda source, name: _read(source, name, max_pixels))


@contextlib.contextmanager
def open_maps(controls: Controls, max_pixels: int = image.MAX_PIXELS) -> Iterator[Maps]:
    """Opens the alpha map and the masks, for maps that are large; arguments and errors are those of `read_maps`."""
    with contextlib.ExitStack() as stack:

        def opened(source: image.Source, name: str) -> tuple[Source, list[str]]:
            if not isinstance(source, str):  # in memory already
                return _read(source, name, max_pixels)
            picture = stack.enter_context(open_large(source, max_pixels=max_pixels))
            return _Grey(picture), [f"{source}: {notice}" for notice in picture.notices]

        yield _maps(controls, opened)


def _maps(controls: Controls, opened: Callable[[image.Source, str], tuple[Source, list[str]]]) -> Maps:
    """All maps of the controls; ``opened`` makes of one and its name what is read, and notices."""
    notices, names = list[str](), list[str]()

    def found(source: image.Source, name: str) -> Source:
        values, more = opened(source, name)
        notices.extend(more)
        names.append(source if isinstance(source, str) else name)
        return values

    alpha_map = None if controls.alpha_map is None else found(controls.alpha_map, "alpha_map")
    mask = None
    if controls.mask is not None:
        mask = tuple(found(source, f"mask {number}") for number, source in enumerate(controls.mask, 1))
    return Maps(alpha_map, mask, tuple(notices), tuple(names))


def _read(source: image.Source, name: str, max_pixels: int) -> tuple[Source, list[str]]:
    """A map in memory; ``name`` is for messages where it is no file."""
    label = source if isinstance(source, str) else name
    try:
        picture = image.read(source, max_pixels=max_pixels)
    except image.ImageError as error:
        raise image.ImageError(label, error.problem) from error.__cause__
    grey = colors.luma(picture.pixels)
    values = grey if picture.alpha is None else grey * picture.alpha
    return ArraySource(values), [f"{label}: {notice}" for notice in picture.notices]


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
    """A map in another size, without overshoot: the mean over each pixel's area when shrinking, linear when growing.

    Args:
      source: (H, W) in [0, 1].
      height, width: of the result, in pixels, at least 1.
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


# ---- degree of style ---------------------------------------------------------------------------------------


def degree(controls: Controls, maps: Maps, height: int, width: int) -> float | Window:
    """The degree of style: ``alpha`` times the alpha map times the gradient.

    Args:
      controls: ``alpha`` and ``gradient`` are looked at.
      maps: of them.
      height, width: of the result, in pixels.

    Returns:
      A number where neither map nor gradient is given, else a function of a window.
    """
    parts: list[Window] = []
    if maps.alpha_map is not None:
        parts.append(ResizedMap(maps.alpha_map, height, width).read)
    if controls.gradient is not None:
        parts.append(_gradient(controls.gradient, height, width))
    return product(controls.alpha, parts) if parts else controls.alpha


def product(factor: float, parts: Sequence[Callable[..., np.ndarray]]) -> Callable[..., np.ndarray]:
    """The product of a number and of functions of the same place, of which there is at least one."""

    def values(*place: Any) -> np.ndarray:
        out = np.float32(factor) * parts[0](*place)
        for part in parts[1:]:
            out = out * part(*place)
        return out

    return values


def gradient_at(spec: str, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """A gradient at any rows and columns, exact at its ends.

    Args:
      spec: see `jaxstyle.controls.controls.parse_gradient`.
      y, x: ``(h,)`` and ``(w,)``, 0 at the first pixel of the picture and 1 at the last.

    Returns:
      float32 ``(h, w)``.

    Raises:
      ValueError: see `jaxstyle.controls.controls.parse_gradient`.
    """
    stops = parse_gradient(spec)
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


def _gradient(spec: str, height: int, width: int) -> Window:
    def window(top: int, bottom: int, left: int, right: int) -> np.ndarray:
        return gradient_at(spec, _along(height, top, bottom), _along(width, left, right))

    return window


def _along(size: int, start: int, stop: int) -> np.ndarray:
    """Where pixels lie between the first of an axis, 0, and its last, 1."""
    return np.arange(start, stop) / (size - 1) if size > 1 else np.full(stop - start, 0.5)


# ---- several styles ----------------------------------------------------------------------------------------


def shares(count: int, controls: Controls, maps: Maps, height: int, width: int) -> np.ndarray | Window:
    """The part that each style has, see `mix`.

    Args:
      count: K, the number of styles.
      controls: ``weights`` are looked at.
      maps: of them.
      height, width: of the result, in pixels.

    Returns:
      float32 ``(K,)``, or with masks a function of a window that gives ``(h, w, K)``.
    """
    if maps.mask is None:
        return mix(count, controls.weights)
    masks = [ResizedMap(mask, height, width).read for mask in maps.mask]
    return lambda *bounds: mix(count, controls.weights, [mask(*bounds) for mask in masks])


def mix(count: int, weights: Sequence[float] | None = None, masks: Sequence[np.ndarray] | None = None) -> np.ndarray:
    """The part that each style has at each place.

    Without masks, the weights divided by their sum. With them, styles cover ``min(1, sum of masks)`` of a place and
    divide that in the ratio ``weight x mask``: so masks that do not overlap mean what they show, overlapping ones are
    normalised to 1, all-white ones equal none at all, and the rest to 1 is content.

    Args:
      count: K, the number of styles.
      weights: K numbers, not negative, not all 0; by default all alike.
      masks: K maps (H, W) in [0, 1], all of one size.

    Returns:
      float32 (K,), or with masks (H, W, K), with sums of at most 1.
    """
    ratio = np.ones(count, np.float32) if weights is None else np.asarray(weights, np.float64)
    ratio = (ratio / ratio.sum()).astype(np.float32)
    if masks is None:
        return ratio
    stacked = np.stack(masks, axis=-1).astype(np.float32)
    covered = np.minimum(stacked.sum(-1), 1)
    part = stacked * ratio
    total = part.sum(-1)
    part *= np.divide(covered, total, out=np.zeros_like(total), where=total > 0)[..., None]
    return np.minimum(part, 1)
