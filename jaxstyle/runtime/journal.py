"""A record of what was done: a file of one JSON object per line, appended when something has happened.

A process that is killed leaves at most one line half written, at the end; the next one cuts it off and goes on. The
file is locked while a process has it open, so that no second one appends to it; reading is free.

Every record has two texts: ``output`` is what it is about, by which the newest one is found, and ``status``. The rest
may be narrowed by who opens the file: what is in it may be damaged, or somebody else's.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

Record = dict[str, Any]

PATIENCE = (0.05, 0.1, 0.2)
"""Seconds between attempts to take the lock: `in_use` holds it for a moment."""

LONGEST = 1 << 24
"""Most bytes of a record; no more than that is read of a file without line ends."""

Check = Callable[[Record], bool]
"""Whether a record has the values that its readers expect; its ``output``, ``status`` and ``time`` are right."""


class JournalError(ValueError):
    """A journal that cannot be read or written, or that another process has. The message is one line."""


class Place(NamedTuple):
    """Where a record is in its file, in bytes."""

    offset: int
    length: int


def read(path: str | os.PathLike[str], check: Check | None = None) -> Iterator[Record]:
    """The records of a journal in the order in which they were written; a broken last line is left out.

    Args:
      path: the file.
      check: a line is a record only where this is true.

    Raises:
      JournalError: the file cannot be read or is no regular file, or a line other than the last is no record.
    """
    return (record for _, record in read_places(path, check))


def read_places(path: str | os.PathLike[str], check: Check | None = None) -> Iterator[tuple[Place, Record]]:
    """Like `read`, with where each record is.

    Raises:
      JournalError: as `read`.
    """
    try:
        with open(path, "rb", opener=_regular) as file:
            yield from _lines(file, path, check)
    except OSError as error:
        raise JournalError(f"{path}: cannot be read: {(error.strerror or str(error)).lower()}") from error


def read_at(path: str | os.PathLike[str], place: Place) -> Record:
    """One record.

    Raises:
      OSError: the file cannot be read.
    """
    with open(path, "rb", opener=_regular) as file:
        return _at(file, place)


def _regular(path: str, flags: int) -> int:
    """Opens a file without waiting for anybody; pipes and devices, which may have no end, are refused."""
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0), 0o666)
    kind = os.fstat(descriptor).st_mode
    if stat.S_ISREG(kind):
        return descriptor
    os.close(descriptor)
    if stat.S_ISDIR(kind):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    raise OSError(errno.EINVAL, "not a regular file", path)


def _at(file: BinaryIO, place: Place) -> Record:
    file.seek(place.offset)
    record: Record = json.loads(file.read(place.length))
    return record


def _lines(file: BinaryIO, path: str | os.PathLike[str], check: Check | None = None) -> Iterator[tuple[Place, Record]]:
    offset, broken = 0, 0
    for number, line in enumerate(iter(lambda: file.readline(LONGEST + 1), b""), 1):
        if broken or len(line) > LONGEST:
            raise JournalError(f"{path}: line {broken or number} is no record: mend or remove the file")
        record = _record(line, check)
        if record is None:
            if not line.endswith(b"\n"):
                return  # the last one, perhaps being written just now
            broken = number
        else:
            yield Place(offset, len(line)), record
        offset += len(line)


def _record(line: bytes, check: Check | None) -> Record | None:
    if not line.endswith(b"\n"):
        return None
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    fits = (
        isinstance(record, dict)
        and all(isinstance(record.get(key), str) for key in ("output", "status"))
        and isinstance(record.get("time", 0), int | float)
        and (check is None or check(record))
    )
    return record if fits else None


class Journal:
    """A journal open for writing, and locked; a context manager. Safe to use from several threads.

    Of the records that it holds only the places in the file are kept in memory.
    """

    def __init__(self, path: str | os.PathLike[str], check: Check | None = None) -> None:
        """
        Args:
          path: the file, made if missing; its folder is there.
          check: a line is a record only where this is true.

        Raises:
          JournalError: it cannot be written or is no regular file, another process has it, or it is damaged before its
            last line.
        """
        self.path, self._check = Path(path), check
        self._mutex = threading.Lock()
        self._places: dict[str, Place] = {}  # of the newest records
        try:
            self._file = open(path, "a+b", buffering=0, opener=_regular)  # noqa: SIM115 (closed by close)
        except OSError as error:
            raise JournalError(f"{path}: cannot be written: {(error.strerror or str(error)).lower()}") from error
        try:
            _lock(self._file, path)
            self._end = self._scan()
        except BaseException:
            self._file.close()
            raise

    def _scan(self) -> int:
        """Where the next record goes; what follows the last whole one is cut off."""
        end = 0
        with open(self.path, "rb", opener=_regular) as file:
            for place, record in _lines(file, self.path, self._check):
                self._places[record["output"]] = place
                end = place.offset + place.length
        if os.fstat(self._file.fileno()).st_size > end:
            self._file.truncate(end)
        return end

    def last(self, output: str) -> Record | None:
        """The newest record about something."""
        with self._mutex:
            place = self._places.get(output)
            return None if place is None else _at(self._file, place)

    def in_place(self) -> bool:
        """Whether the file is still there under its name: neither removed nor replaced, nor its folder."""
        try:
            return os.path.samestat(os.fstat(self._file.fileno()), os.stat(self.path))
        except OSError:
            return False

    def append(self, record: Record) -> None:
        """Adds a record. The seconds since 1970 go with it as ``time``, if it has none.

        Raises:
          OSError: the disk is full, say, or the record is longer than `LONGEST`; the journal is then as it was.
        """
        line = json.dumps({**record, "time": record.get("time", round(time.time(), 3))}).encode() + b"\n"
        if len(line) > LONGEST:
            raise OSError(errno.EFBIG, "a record would be too long", os.fspath(self.path))
        with self._mutex:
            try:
                written = 0
                while written < len(line):
                    written += self._file.write(line[written:])
            except BaseException:
                self._file.truncate(self._end)
                raise
            self._places[record["output"]] = Place(self._end, len(line))
            self._end += len(line)

    def close(self) -> None:
        """Closes the file, and gives the lock back; an empty one is removed."""
        if not self._file.closed:
            if self._end == 0 and self.in_place():
                self.path.unlink(missing_ok=True)
            self._file.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


# ---- the lock ----------------------------------------------------------------------------------------------


def in_use(path: str | os.PathLike[str]) -> bool:
    """Whether a process has a journal open; also True where that cannot be told."""
    try:
        with open(path, "r+b", opener=_regular) as file:
            return _locked(file) is not True
    except FileNotFoundError:
        return False
    except OSError:
        return True


def _lock(file: Any, path: str | os.PathLike[str]) -> None:
    """Takes the lock, which ends with the process at the latest. File systems without locks have none."""
    for seconds in PATIENCE:
        if _locked(file) is not False:
            return
        time.sleep(seconds)
    if _locked(file) is False:
        folder = os.path.dirname(os.fspath(path)) or "."
        raise JournalError(f"{folder}: another process is writing its results there")


def _locked(file: Any) -> bool | None:
    """Whether the lock could be taken; None if there are no locks."""
    try:
        try:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except ImportError:  # Windows; a byte far beyond the end, so that the file can be read
            import msvcrt

            file.seek(1 << 40)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    except OSError as error:
        return False if error.errno in (errno.EAGAIN, errno.EACCES, errno.EDEADLK) else None
    return True
