"""Video files as clips, read by PyAV."""

from __future__ import annotations

import itertools
import os
import statistics
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from jaxstyle.image import film
from jaxstyle.image.source import ImageError, check_size, label_of, reason
from jaxstyle.video.frames import FPS, Facts, Frame, stamp

_MISSING = Fraction(1, 5)
"""Seconds by which a film may be shorter than it says."""


class Film:
    """A video file, read by PyAV."""

    def __init__(self, path: str, max_pixels: int, label: str | None = None) -> None:
        """
        Args:
          path: the file.
          max_pixels: of a frame.
          label: see `open_clip`.

        Raises:
          ImageError: see `open_clip`.
        """
        self.label = label or label_of(path)
        self._av = film.library(self.label)
        self.path, self._mended = path, 0
        self._steps: list[int] = []
        with self.opened() as container:
            stream = video_stream(container, self.label)
            if stream.width < 1 or stream.height < 1:  # text in a file named as a picture, for instance
                raise ImageError(self.label, "is no video that can be read: it does not say how large its pictures are")
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
            self._stated = _own_seconds(stream)
            self._counts = bool(stream.frames)
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
        return [stamp(self.path)]

    def frames(self, start: int | None = None) -> Iterator[Frame]:
        """See `Clip`. What lies before ``start`` is skipped, from the key frame before it on."""
        self._mended, self._steps = 0, []
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
                if last is not None:
                    self._steps.append(pts - last)
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
                    self._mended += frame.is_corrupt
                    yield frame
                    count, time = count + 1, frame.time if frame.time is not None else time
        except (self._av.error.FFmpegError, EOFError) as error:
            where = f"after {count} frames, at {time:.2f} s" if count else "before its first frame"
            problem = getattr(error, "strerror", None) or reason(error)
            raise ImageError(self.label, f"is damaged {where}: {problem.lower()}") from error

    def damage(self, end: Fraction | None) -> tuple[str, ...]:
        """What was wrong with the frames that have been read, sentences for the user: decoders mend what they can.

        Args:
          end: when the last of them ends, seconds since the first, where all were read; else None.
        """
        found: tuple[str, ...] = ()
        if self._mended:
            some, them = ("1 frame is", "it") if self._mended == 1 else (f"{self._mended} frames are", "them")
            found += (f"{self.label}: {some} damaged, and shown as far as the decoder could mend {them}",)
        if self._mended and not self._counts and (missing := _gaps(self._steps)):  # else times are uneven by intent
            some = "1 frame seems" if missing == 1 else f"{missing} frames seem"
            longer = "the time between two frames is longer there than elsewhere"
            found += (f"{self.label}: {some} to be missing: {longer}",)
        if end is not None and self._stated and self._stated - end > max(_MISSING, 3 / self.facts.rate):
            ends = f"its frames end at {float(end):.2f} s of {float(self._stated):.2f} s"
            found += (f"{self.label}: {ends}: the rest is missing or damaged",)
        return found

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
    disposition: Any = getattr(stream, "disposition", None)
    return bool(disposition) and bool(disposition & type(disposition).attached_pic)


def _own_seconds(stream: Any) -> Fraction | None:
    """How long the pictures are, where the file says it of them alone."""
    if stream.duration:
        return Fraction(stream.duration * stream.time_base)
    hours, _, rest = stream.metadata.get("DURATION", "").partition(":")  # Matroska: 00:00:01.335000000
    try:
        minutes, seconds = rest.split(":")
        return 3600 * Fraction(hours) + 60 * Fraction(minutes) + Fraction(seconds)
    except ValueError:
        return None


def _gaps(steps: list[int]) -> int:
    """How many frames would fill the gaps of a film of even steps; 0 where steps are of many kinds."""
    if not steps:
        return 0
    usual = statistics.median_low(steps)
    long = [step for step in steps if 2 * step > 3 * usual]
    even = all(abs(step - usual) <= 1 + usual // 50 for step in steps if 2 * step <= 3 * usual)
    return sum(round(step / usual) - 1 for step in long) if even and 4 * len(long) <= len(steps) else 0


def _seconds(container: Any, stream: Any) -> Fraction | None:
    if stream.duration:
        return Fraction(stream.duration * stream.time_base)
    return Fraction(container.duration, 1_000_000) if container.duration else None
