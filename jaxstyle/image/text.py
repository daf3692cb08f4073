"""Short texts as pixels, in the font that comes with Pillow: names under pictures.

The part of `jaxstyle.image` that writes. The font has Latin letters; what it lacks is drawn as a box.
"""

from __future__ import annotations

import functools
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFont

ELLIPSIS = "..."
_LINE = 1.25  # height of a line in sizes of the letters


def line_height(size: int) -> int:
    """Pixels from one line of text to the next."""
    return round(_LINE * size)


def text_mask(
    text: str,
    height: int,
    width: int,
    *,
    size: int,
    lines: int = 1,
    align: Literal["left", "center"] = "center",
) -> np.ndarray:
    """How much of every pixel the letters of a text cover.

    Args:
        text: one line of it; what cannot be printed becomes a space.
        height, width: of the box, in pixels; the text stands in the middle of its height.
        size: of the letters, in pixels.
        lines: most lines into which it is broken. What does not fit then loses its middle, so that names that begin
            alike stay apart.
        align: where lines begin.

    Returns:
        float32 (height, width) in [0, 1].
    """
    canvas = Image.new("L", (width, height))
    rows = broken("".join(c if c.isprintable() else " " for c in text), width, size=size, lines=lines)
    top = (height - line_height(size) * len(rows)) / 2
    for number, row in enumerate(rows):
        left = (width - _length(row, size)) / 2 if align == "center" else 0
        middle = top + (number + 0.5) * line_height(size)
        ImageDraw.Draw(canvas).text((max(0, left), middle), row, 255, _font(size), anchor="lm")
    return np.asarray(canvas).astype(np.float32) / 255


def broken(text: str, width: int, *, size: int, lines: int = 1) -> list[str]:
    """A text in at most so many lines of at most so many pixels; broken at spaces where there are any."""
    rows: list[str] = []
    while len(rows) < lines - 1 and _length(text, size) > width:
        fitting = max((n for n in range(1, len(text)) if _length(text[:n], size) <= width), default=1)
        space = text.rfind(" ", 1, fitting + 1)
        cut = space if space > 0 else fitting
        rows.append(text[:cut].rstrip())
        text = text[cut:].lstrip()
    return [*rows, _shortened(text, width, size)]


def _shortened(text: str, width: int, size: int) -> str:
    """The text, or its beginning and end with dots between them, or where that is too long its beginning."""
    if _length(text, size) <= width:
        return text
    for kept in range(len(text) - 1, 0, -1):
        short = text[: (kept + 1) // 2] + ELLIPSIS + text[len(text) - kept // 2 :]
        if _length(short, size) <= width:
            return short
    return next((text[:kept] for kept in range(len(text), 0, -1) if _length(text[:kept], size) <= width), "")


def _length(text: str, size: int) -> float:
    return _font(size).getlength(text)


@functools.lru_cache(maxsize=8)
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)  # what is returned where a size is given
    return font
