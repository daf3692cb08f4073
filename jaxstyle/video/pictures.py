"""Frames as pictures: an animation, or a folder of numbered files."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable
from fractions import Fraction

import numpy as np

from jaxstyle import image
from jaxstyle.image.encode import encode, encode_animation
from jaxstyle.image.film import Packet
from jaxstyle.image.source import ImageError
from jaxstyle.runtime import files
from jaxstyle.video.clip import NUMBERED
from jaxstyle.video.container import Kind
from jaxstyle.video.segments import Segments, durations


def picture_bytes(pixels: np.ndarray, format: str) -> bytes:
    """A frame as the bytes of a picture file."""
    return encode(pixels, format)


def write_animation(path: str, kind: Kind, done: Segments, time_base: Fraction, rate: Fraction) -> tuple[str, ...]:
    """Writes a GIF or WebP; the times of its frames are rounded, and do not drift.

    Args:
      path: the file.
      kind: of it.
      done: its frames, as pictures.
      time_base, rate: of the clip.

    Returns:
      Sentences for the user.
    """
    lasts = durations(done.shown, max(1, round(1 / (rate * time_base))))
    ends = list(itertools.accumulate(lasts))
    unit = 10 if kind.animation == "GIF" else 1  # milliseconds
    exact = [1000 * end * time_base / unit for end in ends]
    marks = [0, *(round(end) for end in exact)]
    shown = [max(1, b - a) * unit for a, b in itertools.pairwise(marks)]
    frames = (_decoded(packet) for segment in done.segments() for packet in segment.packets)
    files.write(path, encode_animation(frames, kind.animation, shown))
    rounded = any(end.denominator != 1 for end in exact)
    return (f"{kind.animation} counts {unit} ms: the times of its frames are rounded",) if rounded else ()


def _decoded(packet: Packet) -> np.ndarray:
    return np.asarray(image.to_pil(image.read(packet.data)))


def write_pictures(folder: str, kind: Kind, done: Segments) -> None:
    """Writes a folder of pictures, numbered from 1, in one step: there are all of them or none.

    Args:
      folder: which is not there, or empty, or holds such pictures alone; those go.
      kind: with the pattern of their names.
      done: the frames, as pictures.
    """
    folder = os.path.realpath(folder)
    with files.temporary_beside(folder) as temporary:
        os.mkdir(temporary)
        packets = itertools.chain.from_iterable(segment.packets for segment in done.segments())
        for number, packet in enumerate(packets, 1):
            with open(os.path.join(temporary, kind.pattern % number), "xb") as file:
                file.write(packet.data)
        files.sync_tree(temporary)
        if os.path.isdir(folder):
            shutil.rmtree(folder)
        os.replace(temporary, folder)
        files.sync_folder(os.path.dirname(folder))


def check_folder(folder: str, label: str, kind: Kind, overwrite: bool) -> None:
    """Checks, before anything is painted, that a folder of pictures can be written.

    Raises:
      ImageError: it holds something, or it may be overwritten and holds something else than such pictures.
    """
    if os.path.lexists(folder) and not os.path.isdir(folder):
        raise ImageError(label, "is a file, and the frames need a folder")
    if os.path.realpath(folder) == os.path.realpath(os.curdir):
        raise ImageError(label, "is the folder that this runs in, which is never replaced: name another")
    parent = os.path.dirname(os.path.realpath(folder))
    if not os.path.isdir(parent):
        raise ImageError(label, f"cannot be written: there is no folder {parent}")
    if not os.access(parent, os.W_OK):
        raise ImageError(label, f"cannot be written: the folder {parent} is read-only")
    names = os.listdir(folder) if os.path.isdir(folder) else []
    if names and not overwrite:
        raise ImageError(label, "exists already and is not empty: choose another name, or give overwrite=True")
    ours = _is_named_by(kind.pattern)
    other = sorted(name for name in names if not ours(name))
    if other:
        raise ImageError(label, f"holds something else than frames ({other[0]}), which is never replaced")


def _is_named_by(pattern: str) -> Callable[[str], bool]:
    mark = NUMBERED.search(pattern)
    assert mark is not None
    before, after = pattern[: mark.start()], pattern[mark.end() :]

    def found(name: str) -> bool:
        number = name[len(before) : len(name) - len(after)]
        return name.startswith(before) and name.endswith(after) and number.isdecimal()

    return found
