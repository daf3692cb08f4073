"""What is done of a video, in segments: the folder beside it from which a run that was killed goes on.

A segment is some seconds' worth of frames, encoded by an encoder of its own, which begins with a key frame: so its
bytes do not depend on what was done in one go, and the video is the segments one after the other. The journal
(`jaxstyle.painting.unfinished`) has a line for every one that is whole, with its checksum. Where frames depend on those
before them, `jaxstyle.video.steady.Memory` lies beside the last ones.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import zlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from jaxstyle.image.film import Packet
from jaxstyle.image.source import ImageError, label_of, os_problem
from jaxstyle.painting.unfinished import SUFFIX, Part
from jaxstyle.runtime import files

FRAMES = 60
"""Of a segment: what a killed run loses at most, and how far apart key frames are."""

Shown = tuple[int, int]
"""When a frame is shown and for how long, in the time base."""

_NAME = re.compile(r"\d{6}\.(segment|memory)")


class Segment(NamedTuple):
    """Some encoded frames.

    Attributes:
      shown: of its frames, in their order.
      packets: in the order in which they are decoded.
    """

    shown: tuple[Shown, ...]
    packets: tuple[Packet, ...]


class Segments(Part):
    """The segments of a video on disk."""

    what = "video"

    def _is_own(self, name: str) -> bool:
        return _NAME.fullmatch(name) is not None

    def _begin(self, outputs: set[str]) -> None:
        """Looks which segments are there, whole, one after the other from the first."""
        self.shown: list[Shown] = []
        self.count = 0
        while str(self.count) in outputs and (segment := self._read(self.count)) is not None:
            self.shown += segment.shown
            self.count += 1

    @property
    def done(self) -> int:
        """How many frames there are."""
        return len(self.shown)

    def _path(self, number: int, kind: str) -> str:
        return os.path.join(self.folder, f"{number:06d}.{kind}")

    def _data(self, number: int, kind: str) -> bytes | None:
        """A file of a segment, if it is what was written."""
        record = self._journal.last(str(number)) or {}
        try:
            with open(self._path(number, kind), "rb") as file:
                data = file.read()
        except OSError:
            return None
        return data if zlib.crc32(data) == record.get(kind) else None

    def _read(self, number: int) -> Segment | None:
        data = self._data(number, "segment")
        if data is None:
            return None
        head, _, rest = data.partition(b"\n")
        facts, packets, at = json.loads(head), [], 0
        for pts, key, size in facts["packets"]:
            packets.append(Packet(pts, key, rest[at : at + size]))
            at += size
        return Segment(tuple((pts, duration) for pts, duration in facts["shown"]), tuple(packets))

    def memory(self) -> bytes | None:
        """What was put away with the last segment."""
        return self._data(self.count - 1, "memory") if self.count else None

    def drop_last(self) -> None:
        """Forgets the last segment: what was put away with it is damaged."""
        segment = self._read(self.count - 1)
        self.count -= 1
        if segment is not None:
            del self.shown[len(self.shown) - len(segment.shown) :]

    def write(self, segment: Segment, memory: bytes | None = None) -> None:
        """Puts one more segment away.

        Args:
          segment: the next one.
          memory: what the frames that follow must know.

        Raises:
          ImageError: the disk is full, say.
        """
        head = {
            "shown": segment.shown,
            "packets": [(packet.pts, packet.key, len(packet.data)) for packet in segment.packets],
        }
        data = json.dumps(head).encode() + b"\n" + b"".join(packet.data for packet in segment.packets)
        record: dict[str, Any] = {"output": str(self.count), "status": "done", "segment": zlib.crc32(data)}
        try:
            if memory is not None:
                files.write(self._path(self.count, "memory"), memory)
                record["memory"] = zlib.crc32(memory)
            files.write(self._path(self.count, "segment"), data)
            self._journal.append(record)
        except OSError as error:
            label = label_of(self.target) + SUFFIX
            raise ImageError(label, f"cannot be written: {os_problem(error)}") from error
        with contextlib.suppress(OSError):  # one before the last stays: the last may be damaged
            os.unlink(self._path(self.count - 2, "memory"))
        self.count += 1
        self.shown += segment.shown

    def segments(self) -> Iterator[Segment]:
        """All of them.

        Raises:
          ImageError: one is damaged meanwhile.
        """
        for number in range(self.count):
            segment = self._read(number)
            if segment is None:
                raise ImageError(
                    label_of(self.target) + SUFFIX, f"segment {number} is damaged; the same command mends it"
                )
            yield segment


def durations(shown: Sequence[Shown], otherwise: int) -> list[int]:
    """For how long each frame is shown: until the next one, the last as the file says, or ``otherwise``."""
    found = [after - pts for (pts, _), (after, _) in itertools.pairwise(shown)]
    return [*found, (shown[-1][1] or otherwise)] if shown else []
