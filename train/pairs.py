"""Pairs of a photo and a painting to evaluate on: those that training held out, or those of a file."""

import hashlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxstyle import image
from train import data

logger = logging.getLogger(__name__)


class PairsError(ValueError):
    """There are not the pairs that were asked for; the message is one line and names the file or folder."""


class Pair(NamedTuple):
    """A photo and a painting, float32 squares ``(size, size, 3)`` in [0, 1] with values that 8 bit can hold."""

    content_name: str
    style_name: str
    content: np.ndarray
    style: np.ndarray

    @property
    def name(self) -> str:
        """What the pair is called in tables."""
        return f"{self.content_name} + {self.style_name}"

    @property
    def fingerprint(self) -> str:
        """A digest of the pixels."""
        return hashlib.sha256(data.to_uint8(np.stack([self.content, self.style])).tobytes()).hexdigest()[:12]


def square(pixels: np.ndarray, size: int) -> np.ndarray:
    """The middle square of a picture ``(H, W, 3)``, its side brought to ``size``, in steps of 1/255.

    Raises:
        UnreadableError: the picture is too long and narrow.
    """
    small = data.resize_short_side(data.to_uint8(pixels), size)
    y, x = ((side - size) // 2 for side in small.shape[:2])
    return data.to_float([small[y : y + size, x : x + size]])[0]


def held_out(content: str, style: str, *, holdout: int, seed: int, size: int, count: int) -> list[Pair]:
    """The first readable pictures that a training with this ``holdout`` and ``seed`` held out, photo i with painting i.

    Args:
        content: photos, a folder or tfds:NAME/CONFIG:SPLIT.
        style: paintings, likewise.
        holdout: pictures of each that were held out.
        seed: of the training.
        size: side of the squares in pixels.
        count: how many pairs.

    Raises:
        DataError: there is no such data set, or it has no more pictures than are held out.
        PairsError: too few of them can be read.
    """
    sides = []
    for spec in (content, style):
        source = data.open_source(spec)
        found: list[tuple[str, np.ndarray]] = []
        for index in map(int, data.split(source, holdout, seed)[1]):
            if len(found) == count:
                break
            try:
                found.append((source.name(index), square(source.pixels(index, size), size)))
            except data.UnreadableError as error:
                logger.warning("skipped %s: %s", source.name(index), error)
        if len(found) < count:
            raise PairsError(f"{spec}: {len(found)} of the {holdout} pictures held out can be read; needed are {count}")
        sides.append(found)
    return [Pair(c, s, a, b) for (c, a), (s, b) in zip(*sides, strict=True)]


def from_file(file: str | os.PathLike[str], *, size: int, count: int) -> list[Pair]:
    """The first ``count`` pairs, or all there are, of a text file with lines of PHOTO tab PAINTING.

    Args:
        file: further columns are not looked at; blank lines are left out.
        size: side of the squares in pixels.
        count: how many at most.

    Raises:
        PairsError: the file cannot be read, holds no pair or one twice, or a line is wrong: it is named.
    """
    found: list[Pair] = []
    seen: dict[tuple[str, str], int] = {}
    for number, content, style in lines(file):
        first = seen.setdefault((content, style), number)
        if first != number:
            raise PairsError(f"{file}: line {number}: the pair of line {first} again")
        squares = []
        for name in (content, style):
            try:
                squares.append(square(image.read(name, short_side=size).pixels, size))
            except image.ImageError as error:
                raise PairsError(f"{file}: line {number}: {error}") from None
            except data.UnreadableError as error:
                raise PairsError(f"{file}: line {number}: {name}: {error}") from None
        found.append(Pair(content, style, squares[0], squares[1]))
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
