"""Clips of all kinds: a video file, a folder of pictures, or an animation (GIF, WebP). All of them are read in the
order in which their frames are shown, upright, in sRGB."""

from __future__ import annotations

import bisect
import contextlib
import glob
import itertools
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from jaxstyle import image
from jaxstyle.image import animation
from jaxstyle.image.encode import quantise
from jaxstyle.image.source import ImageError, check_size, label_of, os_problem
from jaxstyle.video.films import Film
from jaxstyle.video.frames import FPS, Clip, Facts, Frame, stamp

NUMBERED = re.compile(r"%0?(\d*)d")
"""Where in the name of a file its number stands: ``%06d``, ``%d``."""


def place_of(path: str) -> str:
    """The file or folder that is read: of ``frames/%06d.png`` the folder."""
    if os.path.exists(path) or not NUMBERED.search(os.path.basename(path)):
        return path
    return os.path.dirname(path) or os.curdir


def open_clip(
    source: str, fps: Fraction | None = None, max_pixels: int = image.MAX_PIXELS, label: str | None = None
) -> Clip:
    """Opens a clip.

    Args:
      source: a video file; a GIF or WebP; a folder of pictures, in the order of their names, or a pattern such as
        ``frames/%06d.png``.
      fps: frames per second of a folder of pictures, by default `FPS`; of no other.
      max_pixels: the largest frame that is read.
      label: what a file is called in messages; by default its name.

    Raises:
      ImageError: it cannot be read, it has no video in it, or PyAV is missing; ``fps`` is for pictures only.
    """
    pictures = os.path.isdir(source) or NUMBERED.search(os.path.basename(source)) is not None
    if pictures:
        return _Pictures(source, fps, max_pixels)
    if fps is not None:
        raise ImageError(source, "has times of its own: fps is for folders of pictures")
    kind = _Animation if animation.is_animation(source) else Film
    return kind(source, max_pixels, label)


def is_clip(source: object) -> bool:
    """Whether the name of a mask or a map is that of something that has frames: a folder, a pattern, a GIF, or a file
    that is no picture by its suffix."""
    if not isinstance(source, str):
        return False
    suffix = os.path.splitext(source)[1].lower()
    several = os.path.isdir(source) or NUMBERED.search(os.path.basename(source)) is not None
    return several or suffix == ".gif" or suffix in VIDEOS


VIDEOS = frozenset(
    f".{name}"
    for names in ("mp4 m4v mov mkv webm avi mpg mpeg ts mts", "m2ts wmv flv 3gp ogv mxf nut y4m vob")
    for name in names.split()
)
"""Suffixes that files of videos commonly have. What is in a file decides where the content is concerned."""


@contextlib.contextmanager
def named(content: str | os.PathLike[str]) -> Iterator[str]:
    """The name of the input; what comes through a pipe is put into a file first, since it is read more than
    once.

    Raises:
      ImageError: it cannot be read.
    """
    name = os.fspath(content)
    if not image.is_standard(content) and (os.path.isfile(name) or os.path.isdir(name) or not os.path.exists(name)):
        yield name
        return
    with tempfile.TemporaryDirectory(prefix=".jaxstyle-") as folder:
        path = os.path.join(folder, "stdin" if image.is_standard(content) else "pipe")
        if image.is_standard(content) and (sys.stdin is None or sys.stdin.isatty()):
            raise ImageError("<stdin>", "is a terminal: send a video through a pipe, or name a file")
        try:
            with open(path, "xb") as file, contextlib.ExitStack() as stack:
                given = sys.stdin.buffer if image.is_standard(content) else stack.enter_context(open(name, "rb"))
                shutil.copyfileobj(given, file, 1 << 20)
        except OSError as error:
            raise ImageError(label_of(content), os_problem(error)) from error
        yield path


# ---- pictures ----------------------------------------------------------------------------------------------


class _Pictures:
    """A folder of pictures."""

    def __init__(self, source: str, fps: Fraction | None, max_pixels: int) -> None:
        self.label, self._max = source, max_pixels
        self._files = _numbered(source) if not os.path.isdir(source) else _in_folder(source)
        if not self._files:
            raise ImageError(source, "there are no pictures of that name")
        height, width = image.dimensions(self._files[0])
        check_size((width, height), max_pixels, self._files[0])
        rate = FPS if fps is None else fps
        notices = (f"{source}: its pictures are taken for {FPS} a second; --fps says otherwise",) if fps is None else ()
        self.facts = Facts(width, height, 1 / rate, rate, len(self._files), notices=notices)

    def stamps(self) -> list[list[Any]]:
        """See `Clip`."""
        return [stamp(path) for path in self._files]

    def frames(self, start: int | None = None) -> Iterator[Frame]:
        """See `Clip`."""
        width, height = self.facts.width, self.facts.height
        for number, path in enumerate(self._files):
            if start is not None and number < start:
                continue
            picture = image.read(path, max_pixels=self._max)
            tall, wide = picture.pixels.shape[:2]
            if (wide, tall) != (width, height):
                raise ImageError(path, f"{wide} x {tall} pixels; the first frame has {width} x {height}")
            dtype = np.dtype(np.uint8 if picture.bits == 8 else np.uint16)
            yield Frame(number, 1, quantise(picture.pixels, dtype))


def _natural(path: str) -> list[Any]:
    """So that 9 goes before 10."""
    return [int(part) if part.isdigit() else part for part in re.split(r"([0-9]+)", os.path.basename(path))]


def _in_folder(folder: str) -> list[str]:
    try:
        names = os.listdir(folder)
    except OSError as error:
        raise ImageError(folder, os_problem(error)) from error
    paths = [os.path.join(folder, name) for name in names if not name.startswith(".")]
    return sorted((p for p in paths if os.path.splitext(p)[1].lower() in image.READ_SUFFIXES), key=_natural)


def _numbered(pattern: str) -> list[str]:
    """The files of a pattern, by their numbers, which need not begin at a certain one."""
    folder, name = os.path.split(pattern)
    mark = NUMBERED.search(name)
    assert mark is not None
    before, after = name[: mark.start()], name[mark.end() :]
    digits = rf"\d{{{int(mark[1])},}}" if mark[1] else r"\d+"
    wanted = re.compile(re.escape(before) + f"({digits})" + re.escape(after))
    paths = glob.glob(os.path.join(glob.escape(folder), glob.escape(before) + "*" + glob.escape(after)))
    found = [(int(match[1]), path) for path in paths if (match := wanted.fullmatch(os.path.basename(path)))]
    return [path for _, path in sorted(found)]


class _Animation:
    """A GIF or WebP; times are milliseconds."""

    def __init__(self, path: str, max_pixels: int, label: str | None = None) -> None:
        self.label, self._path = label or path, path
        height, width, count = animation.facts(path, max_pixels)
        shown = animation.durations(path)
        self._times = [0, *itertools.accumulate(shown)]
        rate = Fraction(1000 * count, self._times[-1])
        self.facts = Facts(width, height, Fraction(1, 1000), rate, count)

    def stamps(self) -> list[list[Any]]:
        """See `Clip`."""
        return [stamp(self._path)]

    def frames(self, start: int | None = None) -> Iterator[Frame]:
        """See `Clip`."""
        first = 0 if start is None else bisect.bisect_left(self._times, start)
        for number, (pixels, shown) in enumerate(animation.frames_of(self._path, first), first):
            yield Frame(self._times[number], shown, pixels)
