"""Types of command-line arguments that several verbs have: text in, value out.

Raises: all of them argparse.ArgumentTypeError, with what was expected and what was found.
"""

from __future__ import annotations

import argparse


def degree(text: str) -> float:
    """A degree of style, 0 to 1."""
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"expected a number from 0 (content) to 1 (full style), got {text!r}")
    return value


def size(text: str) -> int | tuple[int, int]:
    """``N``, the short side, or ``WIDTHxHEIGHT``, in pixels."""
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isascii() and part.isdigit() and int(part) > 0 for part in parts):
        raise argparse.ArgumentTypeError(f"expected N (short side) or WIDTHxHEIGHT in pixels, got {text!r}")
    return int(parts[0]) if len(parts) == 1 else (int(parts[0]), int(parts[1]))


def count(text: str) -> int:
    """A whole number of at least 1."""
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"expected a positive whole number, got {text!r}")
    return int(text)


def seed(text: str) -> int:
    """A whole number of at least 0."""
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"expected a whole number, got {text!r}")
    return int(text)


def _numbers(text: str, wanted: str, hint: str = "") -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected numbers such as {wanted}, got {text!r}{hint}") from None


def shares(text: str) -> tuple[float, ...]:
    """``W,W,...``: how much of each style."""
    return _numbers(text, "2,1,1, one per style", " (a weight file is given by --weights-file)")


def tile(text: str) -> int:
    """The side of a tile in pixels."""
    if not (text.isascii() and text.isdigit() and int(text) > 0 and int(text) % 8 == 0):
        raise argparse.ArgumentTypeError(f"expected a positive multiple of 8, got {text!r}")
    return int(text)


def shard(text: str) -> tuple[int, int]:
    """``I/N``: the I-th of N parts."""
    parts = text.split("/")
    if len(parts) == 2 and all(part.isascii() and part.isdigit() for part in parts):
        number, whole = map(int, parts)
        if 1 <= number <= whole:
            return number, whole
    raise argparse.ArgumentTypeError(f"expected I/N such as 1/4 or 4/4, got {text!r}")


def degrees(text: str) -> tuple[float, ...]:
    """``A,A,...``: degrees of style, one for each mask."""
    return _numbers(text, "0,1, one per mask")


def region(text: str) -> tuple[float, float, float, float]:
    """``x0,y0,x1,y1``: left, top, right and bottom edge, as `jaxstyle.nets.coords` counts."""
    try:
        x0, y0, x1, y1 = (float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected x0,y0,x1,y1, got {text!r}") from None
    if not (-1 <= x0 < x1 <= 1 and -1 <= y0 < y1 <= 1):
        wanted = "left, top, right and bottom edge inside of -1,-1,1,1, which is the whole picture"
        raise argparse.ArgumentTypeError(f"expected {wanted}, got {text!r}")
    return x0, y0, x1, y1


def frames(text: str) -> int:
    """How many pictures a sweep has."""
    if not (text.isascii() and text.isdigit() and 2 <= int(text) <= 1000):
        raise argparse.ArgumentTypeError(f"expected a number of pictures from 2 to 1000, got {text!r}")
    return int(text)
