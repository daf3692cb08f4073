"""What a page asks for: pictures by name and controls, checked before anything is decoded or computed.

A request is JSON from whoever has the address. Its fields are those of `jaxstyle.Controls`, with the pictures among
them by the names that the studio gave them, and besides ``photo``, ``styles`` and ``method``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jaxstyle import image, methods
from jaxstyle.controls.controls import Controls
from jaxstyle.methods.inr.schedule import PRESETS
from jaxstyle.studio.store import Upload

MOST_STYLES = 8
LARGEST_STYLE_SIZE = 4096
MOST_STEPS = 1000
"""Of refinement: what more would bring is not worth a night's work."""

LARGEST_FIT = 1024
MOST_FIT_STEPS = 100_000

_NUMBERS = ("alpha", "weights", "size", "style_size", "refine")
_WORDS = ("gradient", "preserve_color", "alpha_blend")
_NAMES = ("photo", "styles", "method", "alpha_map", "mask")


@dataclass(frozen=True)
class Settings:
    """How a picture is asked for.

    Attributes:
      photo: its name in the store of pictures.
      styles: those of the paintings.
      method: one of `jaxstyle.methods.METHODS`.
      controls: without the pictures among them.
      alpha_map: its name in the store of maps, or None.
      mask: the same for every style, or None.
    """

    photo: str
    styles: tuple[str, ...]
    method: str
    controls: Controls
    alpha_map: str | None = None
    mask: tuple[str, ...] | None = None


def parse(request: Any) -> Settings:
    """The settings in a request.

    Args:
      request: as JSON gives it.

    Raises:
      ValueError: it is not of that form, or a control is out of range.
    """
    if not isinstance(request, dict):
        raise ValueError("settings: expected an object with photo, styles and controls")
    if unknown := sorted(set(request) - {*_NUMBERS, *_WORDS, *_NAMES}):
        raise ValueError(f"settings: there is no {unknown[0][:40]!r}")
    given = {name: value for name, value in request.items() if value is not None}
    for name in _WORDS:
        if not isinstance(given.get(name, ""), str):
            raise ValueError(f"{name}: expected text, got {type(given[name]).__name__}")
    method = given.get("method", next(iter(methods.METHODS)))
    if method not in list(methods.METHODS):  # a list takes what cannot be hashed, too
        raise ValueError(f"method: expected one of {', '.join(methods.METHODS)}, got {str(method)[:40]!r}")
    styles = _names(given.get("styles", []), "styles")
    if not 1 <= len(styles) <= MOST_STYLES:
        raise ValueError(f"styles: expected 1 to {MOST_STYLES} paintings, got {len(styles)}")
    mask = _names(given["mask"], "mask") if "mask" in given else None
    if mask is not None and len(mask) != len(styles):
        raise ValueError(f"mask: expected {len(styles)}, one per style, got {len(mask)}")
    controls = Controls(**{name: given[name] for name in (*_NUMBERS, *_WORDS) if name in given})
    controls.check_styles(len(styles))
    if controls.style_size is not None and controls.style_size > LARGEST_STYLE_SIZE:
        raise ValueError(f"style_size: expected at most {LARGEST_STYLE_SIZE}, got {controls.style_size}")
    if controls.refine > MOST_STEPS:
        raise ValueError(f"refine: expected at most {MOST_STEPS} steps, got {controls.refine}")
    alpha_map = _name(given["alpha_map"], "alpha_map") if "alpha_map" in given else None
    return Settings(_name(given.get("photo"), "photo"), styles, method, controls, alpha_map, mask)


def _name(value: Any, field: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{field}: expected the name of a picture that was sent, got {type(value).__name__}")
    return value


def _names(value: Any, field: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError(f"{field}: expected a list of names, got {type(value).__name__}")
    return tuple(_name(one, field) for one in value)


# ---- fits --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Wish:
    """A fit that was asked for.

    Attributes:
      photo, painting: names of pictures.
      preset: one of `jaxstyle.methods.inr.schedule.PRESETS`.
      size: see `jaxstyle.fit`; None: the preset's.
      steps: in all; None: the preset's.
      seed: of all that is drawn.
    """

    photo: str
    painting: str
    preset: str
    size: int | None = None
    steps: int | None = None
    seed: int = 0


def wish(request: Any) -> Wish:
    """A fit in a request, as JSON gives it.

    Raises:
      ValueError: it is not of that form, or out of range.
    """
    fields = ("photo", "painting", "preset", "size", "steps", "seed")
    if not isinstance(request, dict) or set(request) - set(fields):
        raise ValueError(f"fit: expected an object with {', '.join(fields)}")
    for name in ("photo", "painting", "preset"):
        if not isinstance(request.get(name), str):
            raise ValueError(f"{name}: expected text, got {type(request.get(name)).__name__}")
    if request["preset"] not in PRESETS:
        raise ValueError(f"preset: expected one of {', '.join(PRESETS)}, got {request['preset'][:40]!r}")
    for name, least, most in (("size", 16, LARGEST_FIT), ("steps", 1, MOST_FIT_STEPS), ("seed", 0, 2**32 - 1)):
        value = request.get(name)
        if value is not None and (type(value) is not int or not least <= value <= most):
            raise ValueError(f"{name}: expected a whole number from {least} to {most}, got {str(value)[:20]}")
    return Wish(**{name: value for name, value in request.items() if value is not None})


# ---- sizes -------------------------------------------------------------------------------------------------


def check_sizes(controls: Controls, photo: Upload, styles: Sequence[Upload], max_pixels: int) -> None:
    """Checks that no picture on the way becomes larger than the largest that may be sent.

    Args:
      controls: ``size`` and ``style_size`` are looked at.
      photo, styles: the pictures.
      max_pixels: of each.

    Raises:
      ValueError: one would.
    """
    shape = image.output_size((photo.height, photo.width), controls.size)
    found = [("size", shape)]
    if controls.style_size is not None:
        looks = [(style.height, style.width) for style in styles]
        found += [("style_size", image.output_size(one, controls.style_size, "style_size")) for one in (shape, *looks)]
    for name, (height, width) in found:
        if height * width > max_pixels:
            raise ValueError(
                f"{name}: {width} x {height} is {height * width / 1e6:.0f} megapixels; the studio makes at most "
                f"{max_pixels / 1e6:.0f}"
            )


def preview_size(height: int, width: int, short_side: int) -> tuple[int, int]:
    """(height, width) of a preview: its short side, unless the picture is smaller, or so long that the preview would
    have more than 4 times the pixels of a square, or more than 16 times its side."""
    most = math.sqrt(4 * short_side**2 / (height * width))
    scale = min(1.0, short_side / min(height, width), most, 16 * short_side / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))
