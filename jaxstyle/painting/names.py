"""What results are called."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

from jaxstyle import image
from jaxstyle.painting.options import PathLike
from jaxstyle.styles import is_builtin, named

SUFFIXES = {"BMP": ".bmp", "JPEG": ".jpg", "PNG": ".png", "TIFF": ".tif", "WEBP": ".webp"}
"""Of results whose format was asked for by name."""

MOST_BYTES = 240
"""Of a file's name; longer ones are cut and marked. File systems take 255."""


def result_name(content: str, styles: Sequence[str], mark: str = "", format: str | None = None) -> str:
    """``trip/photo.jpg`` in the style of ``night.png`` -> ``trip/photo_stylized_night.jpg``.

    The suffix is that of the format (`SUFFIXES`). Where none is asked for it is the content's, or ``.png`` if that
    cannot be written. Of several styles the first three are named. Characters that some systems do not allow in names
    become ``_``.

    Args:
      content, styles: names or paths with ``/``; of the styles only the last part counts. Without styles the name is
        the content's own.
      mark: goes before the suffix.
      format: as in `jaxstyle.image.write`.

    Raises:
      ImageError: ``format`` is none that can be written.
    """
    folder, _, file = content.rpartition("/")
    stem, suffix = os.path.splitext(file)
    if format is not None:
        suffix = SUFFIXES[image.format_of("format", format)]
    elif suffix.lower() not in image.WRITE_FORMATS:
        suffix = ".png"
    looks = [os.path.splitext(style.rpartition("/")[2])[0] for style in styles]
    if len(looks) > 3:
        looks[3:] = [f"{len(looks) - 3}_more"]
    name = _allowed(f"{stem}_stylized_{'_'.join(looks)}" if looks else stem)
    if len(name.encode()) + len(mark) > MOST_BYTES - len(suffix):
        mark = mark or digest([stem, *looks])
        name = name.encode()[: MOST_BYTES - len(suffix) - len(mark) - 1].decode("utf-8", "ignore")
    name += f"_{mark}{suffix}" if mark else suffix
    return f"{'/'.join(map(_allowed, folder.split('/')))}/{name}" if folder else name


def default_output(content: PathLike, style: PathLike | Sequence[PathLike], format: str | None = None) -> Path:
    """`result_name` for paths, in the current folder."""
    several = [style] if isinstance(style, str | os.PathLike) else style
    looks = [named(path)[0] if is_builtin(path) else Path(path).name for path in several]
    return Path(result_name(Path(content).name, looks, format=format))


def _allowed(text: str) -> str:
    return "".join("_" if c in '<>:"|?*\\/' or unicodedata.category(c) in ("Cc", "Cs") else c for c in text)


def comparable(name: str) -> str:
    """A name in a form that is equal for names which some file system takes for the same."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def digest(parts: Iterable[str]) -> str:
    """Eight hexadecimal digits that stand for some texts."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:8]
