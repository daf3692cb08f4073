"""Clips: frames with their times, from a video file, from a folder of pictures, or from an animation (GIF, WebP).

All of them are read in the order in which they are shown, upright, in sRGB. Times are whole numbers of a time base,
as they are in the file: nothing is rounded.
"""

from __future__ import annotations

import bisect
import glob
import itertools
import os
import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple, Protocol

import numpy as np

from jaxstyle import image
from jaxstyle.image import animation, film
from jaxstyle.image.encode import quantise
from jaxstyle.image.source import ImageError, check_size, label_of, os_problem, reason

FPS = Fraction(25)
"""Of a folder of pictures where nothing else is said."""

NUMBERED = re.compile(r"%0?(\d*)d")
"""Where in the name of a file its number stands: ``%06d``, ``%d``."""


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


def open_clip(source: str, fps: Fraction | None = None, max_pixels: int = image.MAX_PIXELS) -> Clip:
    """Opens a clip.

    Args:
      source: a video file; a GIF or WebP; a folder of pictures, in the order of their names, or a pattern such as
        ``frames/%06d.png``.
      fps: frames per second of a folder of pictures, by default `FPS`; of no other.
      max_pixels: the largest frame that is read.

    Raises:
      ImageError: it cannot be read, it has no video in it, or PyAV is missing; ``fps`` is for pictures only.
    """
    pictures = os.path.isdir(source) or NUMBERED.search(os.path.basename(source)) is not None
    if pictures:
        return _Pictures(source, fps, max_pixels)
    if fps is not None:
        raise ImageError(source, "has times of its own: fps is for folders of pictures")
    return _Animation(source, max_pixels) if animation.is_animation(source) else Film(source, max_pixels)


def is_clip(source: object) -> bool:
    """Whether the name of a mask or a map is that of something that has frames: a folder, a pattern, a GIF, or a file
    that is no picture by its suffix."""
    if not isinstance(source, str):
        return False
    suffix = os.path.splitext(source)[1].lower()
    several = os.path.isdir(source) or NUMBERED.search(os.path.basename(source)) is not None
    return several or suffix == ".gif" or suffix in VIDEOS


VIDEOS = frozenset(
    f".{name}" for name in "mp4 m4v mov mkv webm avi mpg mpeg ts mts m2ts wmv flv 3gp ogv mxf nut y4m vob".split()
)
"""Suffixes that files of videos commonly have. What is in a file decides where the content is concerned."""


def _stamp(path: str) -> list[Any]:
    try:
        found = os.stat(path)
    except OSError as error:
        raise ImageError(path, os_problem(error)) from error
    return [os.path.basename(path), found.st_size, found.st_mtime_ns]


# ---- video files -------------------------------------------------------------------------------------------


class Film:
    """A video file, read by PyAV."""

    def __init__(self, path: str, max_pixels: int) -> None:
        """
        Args:
          path: the file.
          max_pixels: of a frame.

        Raises:
          ImageError: see `open_clip`.
        """
        self.label, self._av = label_of(path), film.library(path)
        self.path = path
        with self.opened() as container:
            stream = video_stream(container, self.label)
            check_size((stream.width, stream.height), max_pixels, self.label)
            frame = next(self._decoded(container, stream), None)
            if frame is None:
                raise ImageError(self.label, "has a video stream without frames")
            self._size = (frame.height, frame.width)
            self._turn = film.orientation(frame)
            rate = stream.average_rate or stream.guessed_rate or FPS
            width, height = self._size if self._turn[0] else self._size[::-1]
            aspect = Fraction(stream.sample_aspect_ratio or 1) or Fraction(1)
            seconds = _seconds(container, stream)
            frames = stream.frames or (round(seconds * rate) if seconds else 0)
            aspect = 1 / aspect if self._turn[0] else aspect
            notices = tuple(f"{self.label}: {notice}" for notice in film.about(frame))
            self.facts = Facts(width, height, stream.time_base, Fraction(rate), frames, frame.pts or 0, aspect, notices)

    def opened(self) -> Any:
        """The container, open for reading.

        Raises:
          ImageError: it is none that can be read.
        """
        if not os.path.isfile(self.path):
            found = "is no regular file" if os.path.exists(self.path) else "no such file or directory"
            raise ImageError(self.label, found)
        try:
            return self._av.open(self.path, metadata_errors="replace")
        except (self._av.error.FFmpegError, OSError, ValueError) as error:
            problem = getattr(error, "strerror", None) or reason(error)
            raise ImageError(self.label, f"is no video that can be read: {problem.lower()}") from error

    def stamps(self) -> list[list[Any]]:
        """See `Clip`."""
        return [_stamp(self.path)]

    def frames(self, start: int | None = None) -> Iterator[Frame]:
        """See `Clip`. What lies before ``start`` is skipped, from the key frame before it on."""
        with self.opened() as container:
            stream = video_stream(container, self.label)
            decoded = self._decoded(container, stream)
            if start is not None:
                found = self._sought(container, stream, start)
                if found is None:  # a file whose index leads too far
                    yield from (frame for frame in self.frames() if frame.pts >= start)
                    return
                decoded = found
            last, step = None, max(1, round(1 / (self.facts.rate * self.facts.time_base)))
            for frame in decoded:
                pts = frame.pts if frame.pts is not None else 0 if last is None else last + step
                if last is not None and pts <= last:  # two frames at one time: the first is shown
                    continue
                last = pts
                if start is None or pts >= start:
                    pixels = film.upright(film.to_rgb(frame, self._size), self._turn)
                    yield Frame(pts, frame.duration or 0, pixels)

    def _sought(self, container: Any, stream: Any, start: int) -> Iterator[Any] | None:
        """The decoded frames from the key frame before a time on; None where the file leads beyond it."""
        try:
            container.seek(start, stream=stream)
        except self._av.error.FFmpegError:
            return None
        decoded = self._decoded(container, stream)
        first = next(decoded, None)
        if first is None or first.pts is None or first.pts > start:
            return None
        return itertools.chain([first], decoded)

    def _decoded(self, container: Any, stream: Any) -> Iterator[Any]:
        stream.thread_type = "AUTO"
        count, time = 0, 0.0
        try:
            for packet in container.demux(stream):
                if packet.is_corrupt and packet.size:
                    raise self._av.error.InvalidDataError(0, "a packet is not complete")
                for frame in packet.decode():
                    yield frame
                    count, time = count + 1, frame.time if frame.time is not None else time
        except (self._av.error.FFmpegError, EOFError) as error:
            where = f"after {count} frames, at {time:.2f} s" if count else "before its first frame"
            problem = getattr(error, "strerror", None) or reason(error)
            raise ImageError(self.label, f"is damaged {where}: {problem.lower()}") from error

    def check_whole(self) -> None:
        """Checks, as far as the file itself tells, that nothing of it is missing at its end.

        Raises:
          ImageError: something is.
        """
        there = os.path.getsize(self.path)
        with self.opened() as container:
            indices = [getattr(stream, "index_entries", None) or () for stream in container.streams]
            lasts = [entries[len(entries) - 1] for entries in indices if len(entries)]
            wanted = max((entry.pos + entry.size for entry in lasts), default=0)
        wanted = max(wanted, _matroska_size(self.path))
        if wanted > there:
            found = f"of {wanted} bytes at least {wanted - there} are missing"
            raise ImageError(self.label, f"is cut off: {found} (end = SECONDS takes a part that is there)")


def _matroska_size(path: str) -> int:
    """How many bytes a Matroska or WebM file says it has; 0 for what is none or does not say (RFC 9559)."""
    with open(path, "rb") as file:
        head = file.read(4096)
    if head[:4] != b"\x1a\x45\xdf\xa3":
        return 0
    size, at = _vint(head, 4)
    if size is None or head[at + size : at + size + 4] != b"\x18\x53\x80\x67":
        return 0
    body, start = _vint(head, at + size + 4)
    return 0 if body is None else start + body


def _vint(data: bytes, at: int) -> tuple[int | None, int]:
    """A number of EBML, None where it stands for unknown, and where it ends."""
    length = 9 - data[at].bit_length() if at < len(data) and data[at] else 9
    value = int.from_bytes(data[at : at + length]) & ((1 << 7 * length) - 1)
    return (None if value == (1 << 7 * length) - 1 or length > 8 else value), at + length


def video_stream(container: Any, label: str) -> Any:
    """The first stream of pictures that move: covers are none.

    Raises:
      ImageError: there is none, or PyAV cannot decode it.
    """
    found = [s for s in container.streams.video if not _is_cover(s)]
    if not found:
        kinds = sorted({stream.type for stream in container.streams})
        raise ImageError(label, f"has no video stream ({', '.join(kinds) or 'no streams'})")
    stream = found[0]
    if stream.codec_context is None:
        raise ImageError(label, "its video has a codec that PyAV does not know")
    return stream


def _is_cover(stream: Any) -> bool:
    disposition = getattr(stream, "disposition", 0)
    return bool(disposition & type(disposition).attached_pic) if disposition else False


def _seconds(container: Any, stream: Any) -> Fraction | None:
    if stream.duration:
        return Fraction(stream.duration * stream.time_base)
    return Fraction(container.duration, 1_000_000) if container.duration else None


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
        return [_stamp(path) for path in self._files]

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

    def __init__(self, path: str, max_pixels: int) -> None:
        self.label = path
        height, width, count = animation.facts(path, max_pixels)
        shown = animation.durations(path)
        self._times = [0, *itertools.accumulate(shown)]
        rate = Fraction(1000 * count, self._times[-1])
        self.facts = Facts(width, height, Fraction(1, 1000), rate, count)

    def stamps(self) -> list[list[Any]]:
        """See `Clip`."""
        return [_stamp(self.label)]

    def frames(self, start: int | None = None) -> Iterator[Frame]:
        """See `Clip`."""
        first = 0 if start is None else bisect.bisect_left(self._times, start)
        for number, (pixels, shown) in enumerate(animation.frames_of(self.label, first), first):
            yield Frame(self._times[number], shown, pixels)
