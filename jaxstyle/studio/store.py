"""What pages have sent and what was made for them, in memory, by a name that nobody can guess.

A `Store` keeps things until there are too many bytes of them: then those go that were not asked for longest. No name
that a page sends is ever a path.
"""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from jaxstyle import image

T = TypeVar("T")

LONGEST_NAME = 80


class Gone(ValueError):
    """Something of that name is not there, or not any more. The message is one line."""


class Store(Generic[T]):
    """Things by name, at most so many bytes of them; threads may share it."""

    def __init__(self, kind: str, most: int) -> None:
        """
        Args:
          kind: what it holds, for messages.
          most: bytes; a single thing that has more is kept all the same, alone.
        """
        self._kind, self._most = kind, most
        self._kept: OrderedDict[str, tuple[T, int]] = OrderedDict()
        self._mutex = threading.Lock()

    def put(self, thing: T, size: int, name: str | None = None) -> str:
        """Keeps a thing of so many bytes; returns its name, a new one unless it is given."""
        name = secrets.token_hex(8) if name is None else name
        with self._mutex:
            self._kept[name] = (thing, size)
            self._kept.move_to_end(name)
            while len(self._kept) > 1 and sum(size for _, size in self._kept.values()) > self._most:
                self._kept.popitem(last=False)
        return name

    def get(self, name: object) -> T:
        """The thing of a name.

        Raises:
          Gone: there is none.
        """
        with self._mutex:
            found = self._kept.get(name) if isinstance(name, str) else None
            if found is None:
                raise Gone(f"{self._kind}: it is not here any more, or never was; send it again")
            self._kept.move_to_end(str(name))
            return found[0]

    def __contains__(self, name: object) -> bool:
        with self._mutex:
            return name in self._kept

    def __len__(self) -> int:
        with self._mutex:
            return len(self._kept)


@dataclass(frozen=True, eq=False)
class Upload:
    """A picture file as a page has sent it, or one that is shipped.

    Attributes:
      name: what its file is called there; only ever text.
      data: the file.
      width, height: upright, pixels.
      path: what stands for a shipped one in a command line, its path or ``@name``; else None.
    """

    name: str
    data: bytes
    width: int
    height: int
    path: str | None = None


def uploaded(data: bytes, name: str, max_pixels: int, path: str | None = None) -> Upload:
    """A picture file whose header was read, nothing of it decoded.

    Raises:
      ImageError: it is no picture, or has more pixels than ``max_pixels``.
    """
    try:
        height, width = image.dimensions(data)
    except image.ImageError as error:
        fitted = name.lower().endswith(".safetensors")  # of the command
        problem = "a fitted style or weights; the studio takes picture files" if fitted else error.problem
        raise image.ImageError(plain(name), problem) from None
    if width * height > max_pixels:
        most = f"the studio takes at most {max_pixels / 1e6:.0f}"
        raise image.ImageError(plain(name), f"{width} x {height} is {width * height / 1e6:.1f} megapixels; {most}")
    return Upload(plain(name), data, width, height, path)


def plain(name: str) -> str:
    """The last part of a file's name, printable and short: what it is called where it is shown."""
    last = name.replace("\\", "/").rpartition("/")[2]
    kept = "".join(letter for letter in last if letter.isprintable()).strip()
    return kept[-LONGEST_NAME:] if kept not in ("", ".", "..") else "picture"


def grey(values: np.ndarray) -> np.ndarray:
    """A picture's pixels in [0, 1], or their luma, as a map: uint8 ``(H, W)``."""
    return np.floor(np.clip(values, 0, 1) * 255 + 0.5).astype(np.uint8)
