"""What a user steers a picture with: degree of style, gradients, weights, masks, colours, sizes.

`Controls` is the one vocabulary of the library calls, the command and whatever keeps a record of them. The functions
make of it what every method takes: plain arrays. A degree of style and the shares of the styles are maps in [0, 1]
per pixel, (H, W) and (H, W, K).
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypedDict, get_args

import numpy as np

from jaxstyle import image
from jaxstyle.controls import colors

PreserveColor = Literal["match", "histogram", "luminance"]
Size = int | tuple[int, int]

_OPPOSITE = {"left": "right", "top": "bottom", "top-left": "bottom-right", "top-right": "bottom-left"}
_CORNERS = ("top-left", "top-right", "bottom-left", "bottom-right")
_PLACES = frozenset((*_OPPOSITE, *_OPPOSITE.values(), "center", "edge"))


class Fields(TypedDict, total=False):
    """The fields of `Controls` as keyword arguments."""

    alpha: float
    alpha_map: image.Source | None
    gradient: str | None
    weights: Sequence[float] | None
    mask: image.Source | Sequence[image.Source] | None
    preserve_color: PreserveColor | None
    size: Size | None
    style_size: int | None


@dataclass(frozen=True)
class Controls:
    """How a picture is to be stylized; every field goes with every other.

    Hashable and comparable where its pictures are paths; ``Controls(**controls.as_dict())`` is ``controls`` then.

    Attributes:
      alpha: degree of style in [0, 1]; 0 = content, 1 = full style.
      alpha_map: a grey picture of the degree of style, white = 1, stretched to the result's size; multiplies ``alpha``.
      gradient: the same from a line of text such as ``"left:0,right:1"``, see `gradient`; multiplies both.
      weights: one number per style, not negative; only their ratios count.
      mask: one grey picture per style, white where the style goes, stretched to the result's size. Soft masks mix; see
        `shares`. A place that no mask covers keeps the content: a mask says where its style goes, and nothing of what
        the others do; for a style everywhere else, give it the inverse mask.
      preserve_color: keep the content's colours: ``"match"`` (`colors.match_covariance`), ``"histogram"``
        (`colors.match_histogram`) or ``"luminance"`` (`colors.keep_chroma`).
      size: of the result: the short side in pixels, or ``(width, height)``; by default the content's own.
      style_size: the size of the strokes, independent of the size of the result: the picture is painted as in a
        preview whose short side has this many pixels, which is also the short side at which the styles are looked at.
        Smaller means larger strokes. By default it is painted at the size of the result with the styles looked at at
        512 pixels, and strokes have about the same size in pixels whatever that size. See `jaxstyle.stylize`.
      seed: for methods that draw at random; the others refuse it.
    """

    alpha: float = 1.0
    alpha_map: image.Source | None = None
    gradient: str | None = None
    weights: tuple[float, ...] | None = None
    mask: tuple[image.Source, ...] | None = None
    preserve_color: PreserveColor | None = None
    size: Size | None = None
    style_size: int | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        """Brings lists to tuples; raises ValueError naming the field that is out of range."""
        keep = object.__setattr__
        keep(self, "alpha", _number(self.alpha, "alpha", "a number in [0, 1] (a picture is given as alpha_map)"))
        if not 0 <= self.alpha <= 1:
            raise ValueError(f"alpha: expected a number in [0, 1], got {self.alpha:g}")
        if self.gradient is not None:
            parse_gradient(self.gradient)
        if self.weights is not None:
            keep(self, "weights", _checked_weights(self.weights))
        if self.alpha_map is not None:
            keep(self, "alpha_map", _path_or_picture(self.alpha_map))
        if self.mask is not None:
            several = self.mask if isinstance(self.mask, list | tuple) else (self.mask,)
            keep(self, "mask", tuple(_path_or_picture(source) for source in several))
        if self.preserve_color not in (None, *get_args(PreserveColor)):
            accepted = ", ".join(get_args(PreserveColor))
            raise ValueError(f"preserve_color: expected one of {accepted}, got {self.preserve_color!r}")
        if isinstance(self.size, list | tuple):
            if len(self.size) != 2:
                raise ValueError(f"size: expected the short side or (width, height), got {self.size!r}")
            keep(self, "size", tuple(_whole(side, "size") for side in self.size))
        elif self.size is not None:
            keep(self, "size", _whole(self.size, "size"))
        if self.style_size is not None:
            keep(self, "style_size", _whole(self.style_size, "style_size"))
        if self.seed is not None:
            keep(self, "seed", _whole(self.seed, "seed", least=0))

    def as_dict(self) -> dict[str, Any]:
        """All fields as JSON takes them; a picture by its path, or ``sha256:...`` of its pixels if it has none."""
        found = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        found["alpha_map"] = None if self.alpha_map is None else _name(self.alpha_map)
        found["mask"] = None if self.mask is None else [_name(source) for source in self.mask]
        return {k: list(v) if isinstance(v, tuple) else v for k, v in found.items()}

    def files(self) -> tuple[str, ...]:
        """The pictures among the fields that are files."""
        return tuple(source for source in (self.alpha_map, *(self.mask or ())) if isinstance(source, str))

    def check_styles(self, count: int) -> None:
        """Checks that there are as many weights and masks as styles.

        Raises:
          ValueError: there are not.
        """
        for name, given in (("weights", self.weights), ("mask", self.mask)):
            if given is not None and len(given) != count:
                raise ValueError(f"{name}: expected {count}, one per style, got {len(given)}")


def _number(value: Any, name: str, accepted: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name}: expected {accepted}, got {_short(value)}") from None
    if not math.isfinite(number):
        raise ValueError(f"{name}: expected {accepted}, got {number}")
    return number


def _whole(value: Any, name: str, least: int = 1) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ValueError(f"{name}: expected a whole number of at least {least}, got {_short(value)}")
    return int(value)


def _short(value: Any) -> str:
    return repr(value) if isinstance(value, str | int | float) else type(value).__name__


def _checked_weights(weights: Any) -> tuple[float, ...]:
    if isinstance(weights, str) or not isinstance(weights, Iterable):
        raise ValueError(f"weights: expected one number per style, got {_short(weights)}")
    found = tuple(_number(weight, "weights", "numbers") for weight in weights)
    if not found or min(found) < 0 or sum(found) <= 0 or not math.isfinite(sum(found)):
        raise ValueError(f"weights: expected numbers of at least 0, not all of them 0, got {list(found)}")
    return found


def _path_or_picture(source: Any) -> Any:
    return os.fspath(source) if isinstance(source, os.PathLike) else source


def _name(source: image.Source) -> str:
    if isinstance(source, str):
        return source
    return "sha256:" + hashlib.sha256(image.read(source).pixels.tobytes()).hexdigest()


# ---- degree of style ---------------------------------------------------------------------------------------


def parse_gradient(spec: str) -> dict[str, float]:
    """The values of a gradient by place.

    Args:
      spec: ``PLACE:VALUE,...`` as in `gradient`.

    Returns:
      ``{place: value}``.

    Raises:
      ValueError: not of that form, a value outside [0, 1], or places that do not go together.
    """
    found: dict[str, float] = {}
    for part in str(spec).split(","):
        place, colon, text = (piece.strip() for piece in part.partition(":"))
        if not colon or place not in _PLACES or place in found:
            raise ValueError(
                f"gradient: expected PLACE:VALUE,... each place once, of {', '.join(sorted(_PLACES))}, got {spec!r}"
            )
        found[place] = _number(text, "gradient", f"a number after {place}:")
        if not 0 <= found[place] <= 1:
            raise ValueError(f"gradient: expected values in [0, 1], got {place}:{text}")
    ends = set(found) - {"center"}
    pair = any(ends == {*ends_} for ends_ in _OPPOSITE.items())
    if not (pair or set(found) in ({"center", "edge"}, set(_CORNERS))):
        raise ValueError(
            "gradient: expected two opposite sides or corners (center between them is optional), all four "
            f"corners, or center and edge; got {spec!r}"
        )
    return found


def gradient(spec: str, height: int, width: int) -> np.ndarray:
    """A degree of style that changes over the picture, exact at the pixels of its ends.

    * ``left:0,right:1``, ``top:1,bottom:0``: linear between opposite sides; ``top-left:0,bottom-right:1``: between
      opposite corners. ``center`` may be given between them: ``left:0,center:1,right:0``.
    * all four corners: bilinear.
    * ``center:1,edge:0``: linear in the distance from the centre; the edge is the ellipse that touches the sides, and
      everything beyond it.

    Args:
      spec: one of these.
      height, width: in pixels.

    Returns:
      float32 (height, width).

    Raises:
      ValueError: see `parse_gradient`.
    """
    stops = parse_gradient(spec)
    x, y = np.meshgrid(*(np.linspace(0, 1, n) if n > 1 else np.array([0.5]) for n in (width, height)))
    if "edge" in stops:
        out = np.interp(np.hypot(2 * x - 1, 2 * y - 1), [0, 1], [stops["center"], stops["edge"]])
    elif len(stops) == 4:
        top, bottom = ((1 - x) * stops[f"{side}-left"] + x * stops[f"{side}-right"] for side in ("top", "bottom"))
        out = (1 - y) * top + y * bottom
    else:
        first = next(place for place in _OPPOSITE if place in stops)
        along = {"left": x, "top": y, "top-left": (x + y) / 2, "top-right": (1 - x + y) / 2}[first]
        low, high = stops[first], stops[_OPPOSITE[first]]
        out = np.interp(along, [0, 0.5, 1], [low, stops.get("center", (low + high) / 2), high])
    return out.astype(np.float32)


@dataclass(frozen=True, eq=False)
class Maps:
    """The pictures among the controls, read: once for any number of contents.

    Attributes:
      alpha_map: (H, W) in [0, 1], of any size.
      mask: the same for every style.
      notices: sentences for the user.
    """

    alpha_map: np.ndarray | None = None
    mask: tuple[np.ndarray, ...] | None = None
    notices: tuple[str, ...] = ()


def read_maps(controls: Controls, *, max_pixels: int = image.MAX_PIXELS) -> Maps:
    """Reads the alpha map and the masks; where they are transparent they count as black.

    Args:
      controls: names them.
      max_pixels: of each.

    Returns:
      The `Maps`, each in its own size.

    Raises:
      ImageError: one of them cannot be read.
    """
    notices: list[str] = []

    def read(source: image.Source, name: str) -> np.ndarray:
        found, more = read_map(source, name, max_pixels=max_pixels)
        notices.extend(more)
        return found

    alpha_map = None if controls.alpha_map is None else read(controls.alpha_map, "alpha_map")
    mask = None
    if controls.mask is not None:
        mask = tuple(read(source, f"mask {number}") for number, source in enumerate(controls.mask, 1))
    return Maps(alpha_map, mask, tuple(notices))


def read_map(source: image.Source, name: str, *, max_pixels: int = image.MAX_PIXELS) -> tuple[np.ndarray, list[str]]:
    """Reads one of the pictures among the controls; where it is transparent it counts as black.

    Args:
      source: the picture.
      name: what it is called in messages where it is no file.
      max_pixels: the largest that is read.

    Returns:
      (H, W) in [0, 1], and sentences for the user.

    Raises:
      ImageError: it cannot be read.
    """
    label = source if isinstance(source, str) else name
    try:
        picture = image.read(source, max_pixels=max_pixels)
    except image.ImageError as error:
        raise image.ImageError(label, error.problem) from error.__cause__
    grey = colors.luma(picture.pixels)
    notices = [f"{label}: {notice}" for notice in picture.notices]
    return grey if picture.alpha is None else grey * picture.alpha, notices


def stretched(maps: Maps, height: int, width: int) -> tuple[str, ...]:
    """A sentence for every map whose shape is not that of the result: perhaps it was made for another picture."""
    named = [("alpha_map", maps.alpha_map)] if maps.alpha_map is not None else []
    named += [(f"mask {number}", mask) for number, mask in enumerate(maps.mask or (), 1)]
    return tuple(
        f"{name}: {values.shape[1]} x {values.shape[0]} is stretched to {width} x {height}"
        for name, values in named
        if abs(math.log(values.shape[1] * height / (values.shape[0] * width))) > 0.02 + 1 / min(values.shape)
    )


def resize_map(values: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resizes a map without overshoot: the mean over each pixel's area when shrinking, linear when growing.

    Args:
      values: (H, W).
      height, width: in pixels, at least 1.

    Returns:
      float32 (height, width), between the least and the largest of ``values``.
    """
    rows = _resample(np.asarray(values, np.float32), height)
    out = _resample(rows.T, width).T
    return np.ascontiguousarray(np.clip(out, np.min(values), np.max(values)), np.float32)


def _resample(values: np.ndarray, size: int) -> np.ndarray:
    n = len(values)
    if size == n:
        return values
    if size < n:
        ends = np.arange(size + 1) * (n / size)
        whole = np.minimum(ends.astype(int), n - 1)
        integral = np.cumsum(values, axis=0, dtype=np.float64) - values  # up to the beginning of each pixel
        return np.diff(integral[whole] + (ends - whole)[:, None] * values[whole], axis=0) * (size / n)
    at = np.clip((np.arange(size) + 0.5) * (n / size) - 0.5, 0, n - 1)
    low = at.astype(int)
    part = (at - low)[:, None]
    return values[low] * (1 - part) + values[np.minimum(low + 1, n - 1)] * part


def degree(controls: Controls, maps: Maps, height: int, width: int) -> float | np.ndarray:
    """The degree of style everywhere: ``alpha`` times the alpha map times the gradient.

    Returns:
      A number where neither map nor gradient is given, else float32 (height, width).
    """
    out: float | np.ndarray = controls.alpha
    if maps.alpha_map is not None:
        out = np.float32(out) * resize_map(maps.alpha_map, height, width)
    if controls.gradient is not None:
        out = np.float32(out) * gradient(controls.gradient, height, width)
    return out


# ---- several styles ----------------------------------------------------------------------------------------


def shares(count: int, weights: Sequence[float] | None = None, masks: Sequence[np.ndarray] | None = None) -> np.ndarray:
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
