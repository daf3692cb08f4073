"""What a clip is to whoever paints it: frames with their times, and facts about them. Times are whole numbers of a time
base, as they are in the file: nothing is rounded."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple, Protocol

import numpy as np

from jaxstyle.image.source import ImageError, os_problem

FPS = Fraction(25)
"""Of a folder of pictures where nothing else is said."""


class Frame(NamedTuple):
    """A frame.

    Attributes:
      pts: when it is shown, in the clip's time base.
      duration: for how long; 0 where the file does not say.
      pixels: uint8 or uint16 ``(height, width, 3)``.
    """

    pts: int
    duration: int
    pixels: np.ndarray


class Facts(NamedTuple):
    """What is known of a clip before it is read.

    Attributes:
      width, height: upright, in pixels.
      time_base: of its times, seconds.
      rate: frames per second on average.
      frames: how many there are, about; 0: not known.
      start: the time of the first frame, in the time base.
      aspect: width of a pixel by its height.
      notices: sentences for the user.
    """

    width: int
    height: int
    time_base: Fraction
    rate: Fraction
    frames: int
    start: int = 0
    aspect: Fraction = Fraction(1)
    notices: tuple[str, ...] = ()


class Clip(Protocol):
    """Something that has frames."""

    label: str
    facts: Facts

    def frames(self, start: int | None = None) -> Iterator[Frame]:
        """Those that are shown at ``start`` or later, in the time base; by default all.

        Raises:
          ImageError: one cannot be read.
        """
        ...

    def stamps(self) -> list[list[Any]]:
        """What tells its files from others: their names, sizes and times."""
        ...


def stamp(path: str) -> list[Any]:
    """Name, size and time of a file.

    Raises:
      ImageError: it is not there.
    """
    try:
        found = os.stat(path)
    except OSError as error:
        raise ImageError(path, os_problem(error)) from error
    return [os.path.basename(path), found.st_size, found.st_mtime_ns]
