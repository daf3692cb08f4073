"""Animations, GIF and WebP, read frame by frame with the time that each is shown."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
from PIL import Image

from jaxstyle.image.source import ImageError, check_size, label_of, reading

SUFFIXES = (".gif", ".webp", ".apng")

SHORTEST, USUAL = 11, 100
"""Milliseconds: a frame that is shown for less than the first is shown for the second, as browsers do."""


def is_animation(path: str | os.PathLike[str]) -> bool:
    """Whether a file has the suffix of one."""
    return os.path.splitext(os.fspath(path))[1].lower() in SUFFIXES


def facts(path: str | os.PathLike[str], max_pixels: int) -> tuple[int, int, int]:
    """(height, width, frames).

    Raises:
      ImageError: it cannot be read, or has more pixels than ``max_pixels`` a frame.
    """
    label = label_of(path)
    with reading(label), Image.open(path) as opened:
        check_size(opened.size, max_pixels, label)
        return opened.height, opened.width, getattr(opened, "n_frames", 1)


def frames_of(path: str | os.PathLike[str], first: int = 0) -> Iterator[tuple[np.ndarray, int]]:
    """The frames from ``first`` on, uint8 ``(H, W, 3)``, on white where they are transparent, and their milliseconds.

    Raises:
      ImageError: a frame cannot be read.
    """
    label = label_of(path)
    with reading(label):
        opened = Image.open(path)
    with opened:
        for number in range(first, getattr(opened, "n_frames", 1)):
            with reading(label):
                pixels, shown = _frame(opened, number)
            yield pixels, shown


def durations(path: str | os.PathLike[str]) -> list[int]:
    """The milliseconds that each frame is shown.

    Raises:
      ImageError: a frame cannot be read.
    """
    found = [shown for _, shown in frames_of(path)]
    if not found:
        raise ImageError(label_of(path), "has no frames")
    return found


def _frame(opened: Image.Image, number: int) -> tuple[np.ndarray, int]:
    opened.seek(number)
    opened.load()
    whole = opened.convert("RGBA")
    page = Image.new("RGBA", whole.size, (255, 255, 255, 255))
    page.alpha_composite(whole)
    shown = round(float(opened.info.get("duration", 0)))
    return np.asarray(page.convert("RGB")), shown if shown >= SHORTEST else USUAL
