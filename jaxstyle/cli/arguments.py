"""What several verbs have of arguments: their types, the groups of flags that they share, and what these come to.

Raises: the types all raise argparse.ArgumentTypeError, with what was expected and what was found.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxstyle import Controls

WEIGHTS = "adain_vgg16"
"""The model where none is named."""

# ---- types -------------------------------------------------------------------------------------------------


def degree(text: str) -> float:
    """A degree of style, 0 to 1."""
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"expected a number from 0 (content) to 1 (full style), got {text!r}")
    return value


def degree_over_time(text: str) -> float | tuple[tuple[float, float], ...]:
    """A degree of style, or ``SECONDS:A,SECONDS:A,...``: one that changes evenly from time to time."""
    if ":" not in text:
        return degree(text)
    keys = []
    for part in text.split(","):
        time, _, value = part.rpartition(":")
        keys.append((seconds(time), degree(value)))
    if any(a >= b for (a, _), (b, _) in itertools.pairwise(keys)):
        raise argparse.ArgumentTypeError(f"expected SECONDS:A,... each time later than the one before, got {text!r}")
    return tuple(keys)


def seconds(text: str) -> float:
    """A time: seconds, ``M:S`` or ``H:M:S``, the seconds with decimals."""
    parts = text.split(":")
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        numbers = []
    if not 1 <= len(numbers) <= 3 or not all(0 <= number < math.inf for number in numbers):
        raise argparse.ArgumentTypeError(f"expected seconds, M:S or H:M:S such as 12.5 or 1:02:03, got {text!r}")
    return sum(number * 60**power for power, number in enumerate(reversed(numbers)))


def fps(text: str) -> Fraction:
    """Frames per second: a number or a fraction."""
    try:
        return Fraction(text).limit_denominator(1001)
    except (ValueError, ZeroDivisionError):
        raise argparse.ArgumentTypeError(f"expected a number such as 25, 29.97 or 30000/1001, got {text!r}") from None


def temporal(text: str) -> float:
    """The weight of the frame before."""
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 <= value <= 0.5:
        raise argparse.ArgumentTypeError(f"expected a number from 0 (off) to 0.5, got {text!r}")
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
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 0, got {text!r}")
    return int(text)


def _numbers(text: str, wanted: str, hint: str = "") -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected numbers such as {wanted}, got {text!r}{hint}") from None


def shares(text: str) -> tuple[float, ...]:
    """``W,W,...``: how much of each style."""
    return _numbers(text, "2,1,1, one per style", " (a weight file is given by --weights-file)")


def point(text: str) -> tuple[int, int]:
    """``X,Y``: column and row of a pixel."""
    parts = text.split(",")
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() for part in parts):
        raise argparse.ArgumentTypeError(f"expected X,Y such as 320,200 in pixels, got {text!r}")
    return int(parts[0]), int(parts[1])


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


def method(text: str) -> str:
    """A method's name -> the name of the weights of that kind that are shipped."""
    from jaxstyle import methods

    if text not in methods.METHODS:
        hint = "; that is jaxstyle fit" if text in ("inr", "inr-st") else ""
        raise argparse.ArgumentTypeError(f"expected one of {', '.join(methods.METHODS)}, got {text!r}{hint}")
    found = methods.shipped(text)
    if not found:
        raise argparse.ArgumentTypeError(f"no weights of {text} are shipped; give a file by --weights-file")
    return found[0]


# ---- flags -------------------------------------------------------------------------------------------------


def join_region(argv: Sequence[str]) -> list[str]:
    """The command line with ``--region`` and its numbers in one word: the first may be negative, like a flag."""
    words = list(argv)
    for i in range(len(words) - 1, 0, -1):
        if words[i - 1] == "--region" and words[i].lstrip("-.")[:1].isdigit():
            words[i - 1 : i + 1] = [f"--region={words[i]}"]
    return words


def add_controls(parser: argparse.ArgumentParser, *, mixed: bool = True, moving: bool = False) -> None:
    """Adds a flag for every field of `jaxstyle.Controls`, whose names they have.

    Args:
      parser: of the verb.
      mixed: whether it mixes styles; else there are no ``--weights``.
      moving: whether it is about videos, in which ``--alpha`` may change over time.
    """
    group = parser.add_argument_group("controls", "All of them may be combined.")
    keyed = ", or SECONDS:A,SECONDS:A,... for one that changes evenly from time to time" if moving else ""
    group.add_argument(
        "--alpha",
        type=degree_over_time if moving else degree,
        default=1.0,
        metavar="A",
        help=f"degree of style: 0 the photo itself, 1 full style; below 0.5 the photo is mixed in{keyed} (default: 1)",
    )
    group.add_argument(
        "--alpha-map",
        metavar="PICTURE",
        help="grey picture of the degree of style: black 0, white 1 (times --alpha); of any size, stretched over the "
        "photo, with a notice where its shape is another",
    )
    group.add_argument(
        "--gradient",
        metavar="SPEC",
        help="degree of style that changes over the picture: left:0,right:1, or top-left:0,bottom-right:1, or all four "
        "corners, or center:1,edge:0 (times --alpha)",
    )
    group.add_argument(
        "--alpha-blend",
        choices=("photo", "features"),
        default="photo",
        help="where the degree of style is below 0.5: photo mixes the photo in, until at 0 it is all; features is the "
        "paper's way, in which 0 is the photo as the network redraws it (default: photo)",
    )
    if mixed:
        group.add_argument(
            "--weights",
            type=shares,
            metavar="W,W,...",
            help="how much of each of several styles: 2,1 is two thirds and one third (default: equal parts)",
        )
    group.add_argument(
        "--mask",
        nargs="+",
        action="extend",
        metavar="PICTURE",
        help="grey pictures, one per style, white where that style goes; what no mask covers stays as in the photo; of "
        "any size, stretched over the photo, with a notice where a shape is another",
    )
    group.add_argument(
        "--preserve-colour",
        "--preserve-color",
        dest="preserve_color",
        choices=("match", "histogram", "luminance"),
        help="luminance repaints light and dark alone, and colours stay where they are; match and histogram give the "
        "style the photo's palette beforehand, which the painting then spreads anew",
    )
    group.add_argument(
        "--size",
        type=size,
        metavar="N",
        help="pixels of the result's short side, or WxH (default: as the photo)",
    )
    group.add_argument(
        "--style-size",
        type=count,
        metavar="N",
        help="strokes as in a preview whose short side has N pixels, with the paintings looked at at that size, too, "
        "whatever the result's size: a smaller N means larger strokes (default: painted at the result's size, and "
        "paintings looked at at about that, from 256 to 512, but never enlarged)",
    )
    _add_refine(group)


def _add_refine(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--refine",
        type=seed,
        default=0,
        metavar="N",
        help="improve the painting by N steps of optimisation, each of two to three paintings' time: 5 to 20 bring it "
        "nearer to the style and to the photo (default: 0)",
    )


def add_styles(parser: argparse.ArgumentParser, what: str) -> None:
    """Adds ``--styles``: ``what`` may be given there."""
    parser.add_argument(
        "--styles",
        "--style",
        nargs="+",
        action="extend",
        required=True,
        metavar="STYLE",
        help=f"the paintings: {what}, @NAME of built-in ones ('@*': all of them)",
    )


def add_weights_file(parser: argparse.ArgumentParser) -> None:
    """Adds ``--weights-file`` and ``--method``, which says it by another word."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--method",
        dest="weights_file",
        type=method,
        default=argparse.SUPPRESS,
        metavar="NAME",
        help="the shipped model of a method, such as style_kernel",
    )
    group.add_argument(  # the last one: messages about the file name this flag
        "--weights-file",
        metavar="FILE",
        help=f"the model: the name of shipped weights (see jaxstyle info), or a file (default: {WEIGHTS})",
    )


def add_max_pixels(parser: argparse.ArgumentParser, more: str = "") -> None:
    """Adds ``--max-pixels``, which limits ``more`` than what is read."""
    parser.add_argument(
        "--max-pixels",
        type=count,
        metavar="N",
        help=f"refuse to read pictures of more pixels{more} (default: 179 million)",
    )


def add_json(parser: argparse.ArgumentParser, what: str = "the report") -> None:
    """Adds ``--json``, which every verb has that finds something out: ``what``."""
    parser.add_argument("--json", action="store_true", help=f"print {what} as JSON")


# ---- what they come to -------------------------------------------------------------------------------------


def controls(args: argparse.Namespace) -> Controls:
    """What the flags of `add_controls` say.

    Raises:
      ValueError: one of them is out of range.
    """
    from jaxstyle import Controls

    names = {field.name for field in dataclasses.fields(Controls)} & vars(args).keys()
    return Controls(**{name: getattr(args, name) for name in names})


def given(args: argparse.Namespace, *names: str) -> dict[str, Any]:
    """Those of the flags that were given or have a default: for the others, that of the library holds."""
    return {name: value for name in names if (value := getattr(args, name)) is not None}
