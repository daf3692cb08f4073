"""A page that shows the built-in styles with their names."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

from jaxstyle import image
from jaxstyle.painting.options import PathLike
from jaxstyle.painting.style_file import read_style
from jaxstyle.sheet.page import SMALLEST_CELL, Entry, Gallery, fitted
from jaxstyle.styles import MARK

CELL = 128


def gallery_file(
    names: Sequence[str],
    output: PathLike,
    *,
    cell: int = CELL,
    format: str | None = None,
    overwrite: bool = False,
) -> tuple[int, int]:
    """Writes a page of built-in styles, about as wide as high.

    Args:
      names: those to be shown, without the ``@``; at least one.
      output: the file to write, whose suffix gives the format; ``"-"`` is standard output.
      cell: side of the square that a picture is fitted into, in pixels, at least 32.
      format: instead of the suffix.
      overwrite: replace ``output`` if it is there.

    Returns:
      Width and height of the page in pixels.

    Raises:
      ImageError: the page cannot be written.
      StyleNameError: there is no style of a name.
      ValueError: ``cell`` is too small.
    """
    if cell < SMALLEST_CELL:
        raise ValueError(f"cell: expected at least {SMALLEST_CELL} pixels, got {cell}")
    image.check_target(output, format=format, overwrite=overwrite)
    page = Gallery(cell, math.ceil(math.sqrt(len(names))), len(names))
    canvas = page.canvas()
    for number, name in enumerate(names):
        page.picture(canvas, number, Entry(name, fitted(read_style(MARK + name), cell)))
    image.write(
        image.target_of(output),
        canvas,
        format=image.format_of(os.fspath(output), format),
        overwrite=overwrite,
        quality=75,
    )
    return page.width, page.height
