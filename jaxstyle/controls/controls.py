"""What a user steers a picture with: degree of style, gradients, weights, masks, colours, sizes.

`Controls` is the one vocabulary of the library calls, the command and whatever keeps a record of them.
`jaxstyle.controls.degree` makes arrays of it.
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

AlphaBlend = Literal["photo", "features"]
PreserveColor = Literal["match", "histogram", "luminance"]
Size = int | tuple[int, int]

MOST_STEPS = 10_000
"""Of refinement; beyond some tens little happens."""

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
    alpha_blend: AlphaBlend
    refine: int


@dataclass(frozen=True)
class Controls:
    """How a picture is to be stylized; every field goes with every other.

    Hashable and comparable where its pictures are paths; ``Controls(**controls.as_dict())`` is ``controls`` then.

    Attributes:
      alpha: degree of style in [0, 1]; 0 = content, 1 = full style. 0 is the photo itself, to the last bit where its
        size stays, and so are places where the map, the gradient or the masks leave no style; see ``alpha_blend``.
      alpha_map: a grey picture of the degree of style, white = 1, stretched to the result's size; multiplies ``alpha``.
      gradient: the same from a line of text such as ``"left:0,right:1"``, see `parse_gradient`; multiplies both.
      weights: one number per style, not negative; only their ratios count.
      mask: one grey picture per style, white where the style goes, stretched to the result's size. Soft masks mix; see
        `jaxstyle.controls.degree.mix`. A place that no mask covers keeps the content: a mask says where its style goes,
        and nothing of what the others do; for a style everywhere else, give it the inverse mask.
      preserve_color: keep the content's colours: ``"match"`` (`colors.match_covariance`), ``"histogram"``
        (`colors.match_histogram`) or ``"luminance"`` (`colors.keep_chroma`).
      size: of the result: the short side in pixels, or ``(width, height)``; by default the content's own.
      style_size: the size of the strokes, independent of the size of the result: the picture is painted as in a
        preview whose short side has this many pixels, which is also the short side at which the styles are looked at.
        Smaller means larger strokes. A style whose own short side is shorter is enlarged then, since that was asked
        for. By default the picture is painted at the size of the result, the styles are looked at at about the same
        size, from 256 to 512 pixels, and never enlarged (`jaxstyle.painting.picture.style_side`); strokes then have
        about the same size in pixels whatever the result's size. See `jaxstyle.stylize`.
      alpha_blend: what happens where the degree w of style, all styles together, is small. ``"photo"``: the result is
        ``a(w) painted(w) + (1 - a(w)) photo`` at every pixel, ``a = t (2 - t)`` with ``t = min(1, 2 w)``, see
        `jaxstyle.painting.finish`. ``"features"``: ``painted(w)`` alone, the paper's degree of style (of AdaIN Eq. 14),
        which mixes features: 0 is then the photo as the network redraws it.
      refine: so many steps of optimisation by what the method is judged by, from its painting on; 0 is the painting as
        it is. Each takes the time of two to three paintings; see `jaxstyle.methods.refine`. ``alpha_blend`` and
        ``preserve_color`` come afterwards.
    """

    alpha: float = 1.0
    alpha_map: image.Source | None = None
    gradient: str | None = None
    weights: tuple[float, ...] | None = None
    mask: tuple[image.Source, ...] | None = None
    preserve_color: PreserveColor | None = None
    size: Size | None = None
    style_size: int | None = None
    alpha_blend: AlphaBlend = "photo"
    refine: int = 0

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
        if self.alpha_blend not in get_args(AlphaBlend):
            accepted = " or ".join(get_args(AlphaBlend))
            raise ValueError(f"alpha_blend: expected {accepted}, got {self.alpha_blend!r}")
        if self.preserve_color not in (None, *get_args(PreserveColor)):
            accepted = ", ".join(get_args(PreserveColor))
            raise ValueError(f"preserve_color: expected one of {accepted}, got {self.preserve_color!r}")
        if isinstance(self.size, list | tuple):
            if len(self.size) != 2:
                raise ValueError(f"size: expected the short side or (width, height), got {self.size!r}")
            keep(self, "size", tuple(_whole(side, "size", 1, image.MOST_SIDE) for side in self.size))
        elif self.size is not None:
            keep(self, "size", _whole(self.size, "size", 1, image.MOST_SIDE))
        if self.style_size is not None:
            keep(self, "style_size", _whole(self.style_size, "style_size", 1, image.MOST_SIDE))
        keep(self, "refine", _whole(self.refine, "refine", 0, MOST_STEPS))

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


def _whole(value: Any, name: str, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ValueError(f"{name}: expected a whole number of at least {least}, got {_short(value)}")
    if value > most:
        raise ValueError(f"{name}: expected at most {most}, got {_short(value)}")
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


def parse_gradient(spec: str) -> dict[str, float]:
    """The values of a gradient by place: a degree of style that changes over the picture.

    * ``left:0,right:1``, ``top:1,bottom:0``: linear between opposite sides; ``top-left:0,bottom-right:1``: between
      opposite corners. ``center`` may be given between them: ``left:0,center:1,right:0``.
    * all four corners: bilinear.
    * ``center:1,edge:0``: linear in the distance from the centre; the edge is the ellipse that touches the sides, and
      everything beyond it.

    Args:
      spec: ``PLACE:VALUE,...``, one of these.

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
