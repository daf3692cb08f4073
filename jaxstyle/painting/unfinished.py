"""What is done of a picture that takes long: tiles on disk, so that a run that was killed goes on where it was.

A folder beside the picture, ``NAME.jaxstyle-part``: ``journal.jsonl`` says what the picture is to be and which tiles
are done, each with its checksum; ``samples`` holds them one after the other. A tile counts when its line is whole and
its samples have that checksum: neither a killed process nor a machine that lost its power leaves a wrong one. Notes, of
what is known of the whole picture, are in the journal as well.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import hashlib
import json
import os
import shutil
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from jaxstyle.image.source import ImageError, label_of, os_problem
from jaxstyle.runtime.journal import Journal, JournalError, read

SUFFIX = ".jaxstyle-part"
_JOURNAL, _SAMPLES, _REQUEST, _NOTE = "journal.jsonl", "samples", "request", "note "


class UnfinishedError(ValueError):
    """A folder that is in the way of an unfinished picture, or holds another one. The message is one line."""


class Unfinished:
    """Tiles on disk, open for reading and writing, and locked against other processes; a context manager.

    Attributes:
      target: the picture that it will be.
      shape, dtype: of a tile.
      folder: where they are; it may hold more of what is not finished.
      keep: whether the folder stays when it is closed.
    """

    def __init__(
        self,
        target: str | os.PathLike[str],
        request: dict[str, Any],
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        *,
        discard: bool = False,
    ) -> None:
        """
        Args:
          target: the picture that it will be.
          request: what it is made of and how, as JSON takes it: only the same request goes on.
          shape, dtype: of a tile, which is any array; it is known by its number, from 0.
          discard: throw away what was done for another request.

        Raises:
          UnfinishedError: the folder holds something else, or tiles of another request that are not to be discarded.
          JournalError: another process is at work in the folder.
          OSError: it cannot be made.
        """
        self.target, self.folder = os.fspath(target), os.path.realpath(target) + SUFFIX
        self.shape, self.dtype = shape, dtype
        self.keep = True
        self._label = self.target + SUFFIX
        self._size = int(np.prod(shape)) * dtype.itemsize
        self._check_folder()
        os.makedirs(self.folder, exist_ok=True)
        try:
            self._open(json.loads(json.dumps(request)), discard)
        except BaseException:
            with contextlib.suppress(OSError):  # it is not empty: there is something in it
                os.rmdir(self.folder)
            raise
        for left in glob.glob(os.path.join(glob.escape(self.folder), ".jaxstyle-*.tmp")):
            shutil.rmtree(left) if os.path.isdir(left) else os.unlink(left)

    def _check_folder(self) -> None:
        if not os.path.lexists(self.folder):
            return
        if not os.path.isdir(self.folder):
            raise UnfinishedError(f"{self._label}: is in the way: it is no folder of an unfinished picture")
        names = [name for name in os.listdir(self.folder) if not name.startswith(".jaxstyle-")]
        other = sorted({*names} - {_JOURNAL, _SAMPLES})
        if other:
            raise UnfinishedError(f"{self._label}: holds something else than an unfinished picture ({other[0]})")

    def _open(self, request: dict[str, Any], discard: bool) -> None:
        journal, samples = (os.path.join(self.folder, name) for name in (_JOURNAL, _SAMPLES))
        self._journal = Journal(journal)
        try:
            begun = self._journal.last(_REQUEST)
            changed = "" if begun is None else _difference(begun.get("request"), request)
            if changed and not discard and _outputs(journal) - {_REQUEST}:
                raise UnfinishedError(
                    f"{self._label}: holds a picture begun {changed}; give the command that began it, or give "
                    "overwrite=True"
                )
            if changed:
                self._journal.close()
                os.unlink(journal)
                self._journal = Journal(journal)
            if changed or begun is None:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(samples)
                self._journal.append({"output": _REQUEST, "status": "begun", "request": request})
            descriptor = os.open(samples, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
            self._file = os.fdopen(descriptor, "r+b", buffering=0)
        except BaseException:
            self._journal.close()
            raise
        self._tiles = {int(output) for output in _outputs(journal) if output.isdecimal()}

    def __enter__(self) -> Unfinished:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()
        self._journal.close()
        if not self.keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def done(self) -> int:
        """How many tiles are there; a damaged one counts until it is read."""
        return len(self._tiles)

    def read(self, number: int) -> np.ndarray | None:
        """A tile that is done, whole and undamaged, or None."""
        record = self._journal.last(str(number))
        if record is None:
            return None
        self._file.seek(number * self._size)
        data = self._file.read(self._size)
        if len(data) != self._size or zlib.crc32(data) != record.get("crc32"):
            self._tiles.discard(number)
            return None
        return np.frombuffer(data, self.dtype).reshape(self.shape)

    def write(self, number: int, tile: np.ndarray) -> None:
        """Puts a tile away.

        Raises:
          OSError: the disk is full, say.
        """
        data = np.ascontiguousarray(tile, self.dtype).tobytes()
        self._file.seek(number * self._size)
        written = 0
        while written < len(data):
            written += self._file.write(data[written:])
        self._journal.append({"output": str(number), "status": "done", "crc32": zlib.crc32(data)})
        self._tiles.add(number)

    def note(self, key: str, value: Any) -> None:
        """Puts away what is known of the whole picture; ``value`` as JSON takes it, floats to the last bit.

        Raises:
          OSError: the disk is full, say.
        """
        self._journal.append({"output": _NOTE + key, "status": "noted", "value": value})

    def noted(self, key: str) -> Any:
        """The newest value of a note, or None."""
        return (self._journal.last(_NOTE + key) or {}).get("value")

    @contextlib.contextmanager
    def written(self, count: int, what: str = "tiles", *, resumable: bool = True) -> Iterator[None]:
        """Around the writing of the picture, after which the folder goes. What goes wrong leaves the tiles that are
        done, if there are any, and says so.

        Args:
          count: how many tiles there are.
          what: they are called.
          resumable: False: what goes wrong leaves nothing.

        Raises:
          ImageError: the tiles that are missing do not fit on the disk.
        """
        self.keep = self.done > 0
        self._check_room((count - self.done) * self._size)
        try:
            yield
        except BaseException as error:
            self.keep = resumable and count > 1 and self.done > 0
            words = f"{self.done} of {count} {what} are kept in {self._label}, and the same command goes on"
            if self.keep and isinstance(error, ImageError):
                raise ImageError(error.label, f"{error.problem}; {words}") from error.__cause__
            if self.keep and isinstance(error, KeyboardInterrupt):
                raise KeyboardInterrupt(f"interrupted; {words}") from None
            raise
        self.keep = False

    def _check_room(self, size: int) -> None:
        free = shutil.disk_usage(self.folder).free
        if free < size:
            found = f"{size / 1e6:.2f} MB are needed, {free / 1e6:.2f} free"
            problem = f"cannot be written: no space left on device: {found}"
            raise ImageError(label_of(self.target), problem) from OSError(errno.ENOSPC, problem)


# ---- what was begun ----------------------------------------------------------------------------------------


def opened(
    target: str | os.PathLike[str],
    request: dict[str, Any],
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    *,
    discard: bool = False,
) -> Unfinished:
    """`Unfinished`; a folder that cannot be made is an ImageError."""
    try:
        return Unfinished(target, request, shape, dtype, discard=discard)
    except OSError as error:
        raise ImageError(label_of(target) + SUFFIX, f"cannot be made: {os_problem(error)}") from error


def begun(target: str | os.PathLike[str]) -> dict[str, Any] | None:
    """What an unfinished picture, of which something is done, was requested to be; None if there is none."""
    journal = os.path.join(os.path.realpath(target) + SUFFIX, _JOURNAL)
    try:
        records = {record["output"]: record for record in read(journal)}
    except JournalError:
        return None
    found = records[_REQUEST].get("request") if len(records) > 1 and _REQUEST in records else None
    return found if isinstance(found, dict) else None


def clear(target: str | os.PathLike[str], *, discard: bool) -> None:
    """Makes way for a picture that will not be kept while it is unfinished.

    Args:
      target: the picture.
      discard: throw away what was begun.

    Raises:
      UnfinishedError: something was begun that is not to be discarded.
    """
    if begun(target) is None:
        return
    if not discard:
        label = os.fspath(target) + SUFFIX
        raise UnfinishedError(
            f"{label}: holds a picture begun otherwise; give the command that began it, or give overwrite=True"
        )
    shutil.rmtree(os.path.realpath(target) + SUFFIX, ignore_errors=True)


def half_placed(target: str | os.PathLike[str]) -> bool:
    """Whether a run was killed while it moved a DeepZoom pyramid into its place: the tiles first, then the index."""
    real = os.path.realpath(target)
    return real.lower().endswith(".dzi") and os.path.isdir(real + SUFFIX) and not os.path.exists(real)


def digest(name: str | None) -> str | None:
    """SHA-256 of a file, for a request; what is in memory has it as its name already, and a pipe, read once, its name.

    Raises:
      ImageError: the file cannot be read.
    """
    if name is None or name.startswith("sha256:") or (os.path.exists(name) and not os.path.isfile(name)):
        return name
    try:
        with open(name, "rb") as file:
            return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    except OSError as error:
        raise ImageError(name, os_problem(error)) from error


def _outputs(journal: str) -> set[str]:
    return {record["output"] for record in read(journal)}


def _difference(before: Any, now: dict[str, Any]) -> str:
    """How a request differs from the one before, in words; empty if it does not."""
    then = before if isinstance(before, dict) else {}
    for key in (*now, *then):
        if then.get(key) != now.get(key):
            return f"with {key} = {_short(then.get(key))}, not {_short(now.get(key))}"
    return ""


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
