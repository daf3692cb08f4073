"""How many pixels go to an inch: read from where each format has it, carried in the EXIF block, written from there."""

import math
from fractions import Fraction
from typing import Any

from PIL import Image
from PIL.TiffImagePlugin import IFDRational

X, Y, UNIT = 282, 283, 296
"""The tags of TIFF and EXIF: pixels to a unit across and down; the unit, 2 an inch, 3 a centimetre."""

METRE = 1 / 0.0254
"""Inches in a metre."""

Resolution = tuple[float, float]
"""Pixels to an inch, across and down."""


def of_image(image: Image.Image, tags: Any) -> Resolution | None:
    """The resolution of an opened image as it is stored, before it is turned upright; None where none is told.

    Args:
      image: its format's own field goes first.
      tags: EXIF data or the tags of a TIFF.
    """
    own = None
    if image.format in ("JPEG", "MPO"):
        unit = {1: 1.0, 2: 2.54}.get(image.info.get("jfif_unit", 0))
        own = None if unit is None else _checked(image.info["jfif_density"], unit)
    elif image.format != "TIFF" and image.info.get("dpi") != (1, 1):  # what Pillow says where a TIFF says nothing
        own = _checked(image.info.get("dpi"), 1.0)
    return own or of_tags(tags)


def of_tags(tags: Any) -> Resolution | None:
    """The resolution that a mapping of TIFF or EXIF tags tells."""
    unit = {2: 1.0, 3: 2.54}.get(tags.get(UNIT, 2))
    return None if unit is None or X not in tags or Y not in tags else _checked((tags[X], tags[Y]), unit)


def _checked(values: Any, unit: float) -> Resolution | None:
    try:
        x, y = values
        found = float(x) * unit, float(y) * unit
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return found if all(math.isfinite(value) and 1e-3 <= value <= 1e5 for value in found) else None


def put(tags: Any, resolution: Resolution | None) -> None:
    """Sets the tags of a resolution, if there is one."""
    if resolution is not None:
        for tag, value in zip((X, Y), resolution, strict=True):
            fraction = Fraction(value).limit_denominator(10_000)
            tags[tag] = IFDRational(fraction.numerator, fraction.denominator)
        tags[UNIT] = 2


def split(exif: bytes | None) -> tuple[bytes | None, Resolution | None]:
    """What an EXIF block tells: the block itself, or None where it has nothing but a resolution; and the resolution."""
    if not exif:
        return None, None
    tags = _loaded(exif)
    more = set(tags) - {X, Y, UNIT}
    return exif if more or not tags else None, of_tags(tags)


def alone(exif: bytes | None) -> bytes | None:
    """The EXIF block without anything but its resolution; None if it has none."""
    dots, tags = split(exif)[1], Image.Exif()
    put(tags, dots)
    return tags.tobytes() if len(tags) else None


def resized(exif: bytes | None, before: tuple[int, ...], after: tuple[int, ...]) -> bytes | None:
    """The EXIF block of a picture that was resized: it is as large on paper as it was.

    Args:
      exif: of the picture.
      before, after: shapes, which begin with height and width.
    """
    if not exif or tuple(before[:2]) == tuple(after[:2]):
        return exif
    tags = _loaded(exif)
    old = of_tags(tags)
    if old is None:
        return exif
    new = _checked((old[0] * after[1] / before[1], old[1] * after[0] / before[0]), 1.0)
    for tag in (X, Y, UNIT):
        tags.pop(tag, None)
    put(tags, new)
    return tags.tobytes() if len(tags) else None


def _loaded(exif: bytes) -> Image.Exif:
    tags = Image.Exif()
    try:
        tags.load(exif)
    except Exception:  # damaged data is passed on as it is
        return Image.Exif()
    for sub in (0x8769, 0x8825):  # `tobytes` writes those that were looked at
        if sub in tags:
            tags[sub] = tags.get_ifd(sub)
    return tags
