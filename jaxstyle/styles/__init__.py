"""Built-in styles: pictures that come with the package, given as ``@starry-night`` wherever a style is given.

The pictures lie beside this file; ``python -m train.draw`` makes them. `STYLES` says of each whose it is. A file whose
own name begins with ``@`` is given with its folder, as ``./@name.jpg``.
"""

from __future__ import annotations

import difflib
import fnmatch
import os
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard, TypeVar

MARK = "@"
"""With which the name of a built-in style begins."""
FOLDER = Path(__file__).parent

Source = TypeVar("Source")


class StyleNameError(ValueError):
    """There is no built-in style of that name. The message is one line."""


class Facts(NamedTuple):
    """What is known of a built-in style.

    Attributes:
      title: of the painting, or of what was drawn.
      author: who made it.
      year: in which it was made.
      source: where the picture was taken from, or the command that draws it.
      rights: the licence, or why none is needed.
    """

    title: str
    author: str
    year: int
    source: str
    rights: str


def _drawing(title: str) -> Facts:
    return Facts(title, "the jaxstyle authors", 2026, "drawn by python -m train.draw", "CC0-1.0")


STYLES: dict[str, Facts] = {
    "batik": _drawing("Batik, leaves and circles"),
    "bauhaus": _drawing("Bauhaus shapes"),
    "blueprint": _drawing("Blueprint"),
    "circuit": _drawing("Circuit board"),
    "crystal": _drawing("Ice and amethyst"),
    "cut-paper": _drawing("Layers of cut paper"),
    "embroidery": _drawing("Embroidered flowers"),
    "girih": _drawing("Glazed tiles with stars"),
    "halftone": _drawing("Sunrise in halftone dots"),
    "impasto": _drawing("Wheat field in thick paint"),
    "ink-wash": _drawing("Mountains in ink wash"),
    "marbled-paper": _drawing("Marbled paper"),
    "mosaic": _drawing("Mosaic rings"),
    "neon": _drawing("Neon tubes"),
    "pastel": _drawing("Oil pastel on black"),
    "pointillism": _drawing("Evening hills in dots"),
    "stained-glass": _drawing("Stained glass"),
    "starry-night": Facts(
        "The Starry Night", "Vincent van Gogh", 1889, "Debian package opencv-doc, examples/data", "public domain"
    ),
    "the-kiss": Facts("The Kiss", "Gustav Klimt", 1908, "Debian package visp-images-data", "public domain"),
    "the-scream": Facts("The Scream", "Edvard Munch", 1893, "Debian package darknet, data", "public domain"),
    "watercolour": _drawing("Watercolour washes"),
    "waves": _drawing("Round waves"),
    "woodcut": _drawing("Red sun, cut in wood"),
}
"""By name, without the ``@``, in the order of the names."""


def is_builtin(source: Any) -> TypeGuard[str | os.PathLike[str]]:
    """Whether a style is meant by its name: the text, or path, begins with ``@``."""
    return isinstance(source, str | os.PathLike) and os.fspath(source).startswith(MARK)


def named(source: str | os.PathLike[str]) -> tuple[str, ...]:
    """The names, without the ``@``, that ``"@starry-night"``, or a pattern such as ``"@*"``, stands for.

    Raises:
      StyleNameError: there is none.
    """
    text = os.fspath(source)
    wanted = text.removeprefix(MARK)
    found = (wanted,) if wanted in STYLES else tuple(fnmatch.filter(STYLES, wanted))
    if not found:
        near = difflib.get_close_matches(wanted.lower().replace("_", "-"), STYLES, 3)
        hint = f"did you mean {' or '.join(MARK + name for name in near)}?" if near else "jaxstyle styles lists them"
        raise StyleNameError(f"{text!r}: no built-in style of that name; {hint}")
    return found


def path_of(source: Source) -> Source | str:
    """The picture file of a built-in style; whatever else it is, the source itself.

    Raises:
      StyleNameError: it begins with ``@``, and is no name.
    """
    if not is_builtin(source):
        return source
    names = named(source)
    if len(names) > 1 or names[0] != os.fspath(source).removeprefix(MARK):
        raise StyleNameError(f"{os.fspath(source)!r}: a pattern, where one style is expected")
    return str(FOLDER / f"{names[0]}.jpg")


def absolute(path: str | os.PathLike[str]) -> str:
    """What stands for a style in every folder: its absolute path, of a built-in one the name with its ``@``."""
    return os.fspath(path) if is_builtin(path) else os.path.abspath(path)
