"""Pairs of a photo and a painting: those of a file, or those that a training held out."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxstyle import image
from train.crops import resize_short_side, to_float, to_uint8
from train.sources import UnreadableError, choose_holdout, open_source, split

logger = logging.getLogger(__name__)


class PairsError(ValueError):
    """There are not the pairs that were asked for; the message is one line and names the file or folder."""


class Pair(NamedTuple):
    """A photo and a painting, float32 ``(H, W, 3)`` in [0, 1]."""

    name: str  # what it is called in tables, and its folder in a run's; "" where a run has one pair
    content: np.ndarray
    style: np.ndarray
    painting: np.ndarray | None = None  # the style with its own pixels, where they are looked at

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the photo."""
        return self.content.shape[1], self.content.shape[0]

    @property
    def fingerprint(self) -> str:
        """A digest of the pixels."""
        pictures = (self.content, self.style, *(() if self.painting is None else (self.painting,)))
        parts = [hashlib.sha256(pixels.tobytes()).digest() for pixels in pictures]
        return hashlib.sha256(b"".join(parts)).hexdigest()[:12]

    def tag(self, term: str) -> str:
        """What a term of this pair is called beside those of others."""
        return f"{self.name}/{term}" if self.name else term


def square(pixels: np.ndarray, size: int) -> np.ndarray:
    """The middle square of a picture ``(H, W, 3)``, its side brought to ``size``, in steps of 1/255.

    Raises:
      UnreadableError: the picture is too long and narrow.
    """
    small = resize_short_side(to_uint8(pixels), size)
    y, x = ((side - size) // 2 for side in small.shape[:2])
    return to_float([small[y : y + size, x : x + size]])[0]


def read_square(file: str, size: int) -> np.ndarray:
    """Reads a picture and cuts the `square` out of it: float32 (size, size, 3) in [0, 1].

    Raises:
      PairsError: it cannot be read, or is too long and narrow.
    """
    try:
        return square(image.read(file, short_side=size).pixels, size)
    except image.ImageError as error:
        raise PairsError(str(error)) from None
    except UnreadableError as error:
        raise PairsError(f"{file}: {error}") from None


def held_out(content: str, style: str, *, holdout: int | None, seed: int, size: int, count: int) -> list[Pair]:
    """The first readable pictures that a training with this ``holdout`` and ``seed`` held out, photo i with painting i.

    Args:
      content: photos, a folder or tfds:NAME/CONFIG:SPLIT.
      style: paintings, likewise.
      holdout: pictures of each that were held out; None: as many as a training holds out by itself.
      seed: of the training.
      size: side in pixels of the squares that are cut out of them.
      count: how many pairs.

    Raises:
      DataError: there is no such data set, or it has no more pictures than are held out.
      PairsError: too few of them can be read.
    """
    sides = []
    sources = [open_source(spec) for spec in (content, style)]
    given, holdout = holdout, choose_holdout(holdout, *sources)
    if given is None and count > holdout:
        raise PairsError(f"pairs: {count}; only {holdout} of each set are held out")
    for spec, source in zip((content, style), sources, strict=True):
        found: list[tuple[str, np.ndarray]] = []
        for index in map(int, split(source, holdout, seed)[1]):
            if len(found) == count:
                break
            try:
                found.append((source.name(index), square(source.pixels(index, size), size)))
            except UnreadableError as error:
                logger.warning("skipped %s: %s", source.name(index), error)
        if len(found) < count:
            raise PairsError(f"{spec}: {len(found)} of the {holdout} pictures held out can be read; needed are {count}")
        sides.append(found)
    return [Pair(f"{c} + {s}", a, b) for (c, a), (s, b) in zip(*sides, strict=True)]


def squares(file: str | os.PathLike[str], *, size: int, count: int) -> list[Pair]:
    """The first ``count`` pairs of a text file, or all there are, cut to squares; see `from_file` and `read_square`."""
    return from_file(file, partial(read_square, size=size), count=count)


def from_file(
    file: str | os.PathLike[str],
    read: Callable[[str], np.ndarray],
    *,
    own: Callable[[str], np.ndarray] | None = None,
    count: int | None = None,
    folders: bool = False,
) -> list[Pair]:
    """The pairs of a text file with lines of PHOTO tab PAINTING.

    Args:
      file: further columns are not looked at; blank lines are left out.
      read: what reads a picture; raises PairsError.
      own: what reads a painting with its own pixels, where they are looked at.
      count: how many at most; None: all.
      folders: results of each pair go to a folder of their own, by which it is named: ``<photo>_<painting>`` without
        endings, and no two pairs alike. Else a pair is ``<photo> + <painting>``, and is there once.

    Raises:
      PairsError: the file cannot be read, holds no pair or one twice, or a line is wrong: it is named.
    """
    found: list[Pair] = []
    seen: dict[str | tuple[str, str], int] = {}
    for number, content, style in lines(file):
        name = f"{Path(content).stem}_{Path(style).stem}" if folders else f"{content} + {style}"
        # folders of some systems do not tell A from a
        first = seen.setdefault(name.casefold() if folders else (content, style), number)
        if first != number:
            again = f"results would go to {name}, like those of line {first}"
            raise PairsError(f"{file}: line {number}: {again if folders else f'the pair of line {first} again'}")
        try:
            found.append(Pair(name, read(content), read(style), own(style) if own else None))
        except PairsError as error:
            raise PairsError(f"{file}: line {number}: {error}") from None
        if len(found) == count:
            break
    if not found:
        raise PairsError(f"{file}: holds no pairs")
    return found


def lines(file: str | os.PathLike[str]) -> Iterator[tuple[int, str, str]]:
    """(number from 1, PHOTO, PAINTING) of every line of a text file that is not blank.

    Raises:
      PairsError: the file cannot be read, or a line has no two columns between tabs.
    """
    try:
        found = Path(file).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error  # the system's words without the name, which is there
        raise PairsError(f"{file}: cannot be read: {reason}") from None
    for number, line in enumerate(found, 1):
        if line.strip():
            names = line.split("\t")
            if len(names) < 2 or not all(name.strip() for name in names[:2]):
                raise PairsError(f"{file}: line {number} is {line!r}; expected PHOTO tab PAINTING")
            yield number, names[0], names[1]
