"""The record of a run over many pictures: one JSON object per line, appended when something has happened.

A process that is killed leaves at most one line half written, at the end; the next one cuts it off and goes on. The
file is locked while a run has it, so that no second one writes to the same folder. Runs that are meant to share a
folder have a manifest each, and know from all of them what there is (`History`).
"""

from __future__ import annotations

import errno
import json
import os
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

NAME = "jaxstyle-manifest.jsonl"
"""In the folder of the results. Several runs that share a folder each have one: ``jaxstyle-manifest-1-of-4.jsonl``."""

Record = dict[str, Any]


class ManifestError(ValueError):
    """A manifest that cannot be read or written, or that another process has. The message is one line."""


def is_manifest(name: str) -> bool:
    """Whether a file has the name of a manifest."""
    return name.startswith("jaxstyle-manifest") and name.endswith(".jsonl")


def read(path: str | os.PathLike[str]) -> Iterator[Record]:
    """The records of a manifest in the order in which they were written; a broken last line is left out.

    Raises:
      ManifestError: the file cannot be read, or a line other than the last is no record.
    """
    try:
        with open(path, "rb") as file:
            for _, _, record in _lines(file, path):
                yield record
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read: {(error.strerror or str(error)).lower()}") from error


def records(folder: str | os.PathLike[str]) -> Iterator[Record]:
    """The records of all manifests in a folder, if there is one.

    Raises:
      ManifestError: as `read`.
    """
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        if is_manifest(name):
            try:
                yield from read(os.path.join(folder, name))
            except ManifestError as error:
                if not isinstance(error.__cause__, FileNotFoundError):  # an empty one, removed by whoever had it
                    raise


def results(folder: str | os.PathLike[str]) -> set[str]:
    """The real paths of all files that the manifests in a folder say were written, or were about to be.

    Raises:
      ManifestError: as `read`.
    """
    root = os.path.realpath(folder)
    return {os.path.join(root, *record["output"].split("/")) for record in records(root)}


def _lines(file: BinaryIO, path: str | os.PathLike[str]) -> Iterator[tuple[int, int, Record]]:
    """(offset, length, record) of every line."""
    offset, broken = 0, 0
    for number, line in enumerate(file, 1):
        if broken:
            raise ManifestError(f"{path}: line {broken} is no record of a picture: mend or remove the file")
        record = _record(line)
        if record is None:
            if not line.endswith(b"\n"):
                return  # the last one, perhaps being written just now
            broken = number
        else:
            yield offset, len(line), record
        offset += len(line)


def _record(line: bytes) -> Record | None:
    if not line.endswith(b"\n"):
        return None
    try:
        record = json.loads(line)
    except ValueError:
        return None
    fits = isinstance(record, dict) and all(isinstance(record.get(key), str) for key in ("output", "status"))
    return record if fits else None


class Manifest:
    """A manifest open for writing, and locked; a context manager. Safe to use from several threads.

    Of the records that it holds only the places in the file are kept in memory.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """
        Args:
          path: the file, made if missing; its folder is there.

        Raises:
          ManifestError: it cannot be written, another process has it, or it is damaged before its last line.
        """
        self.path = Path(path)
        self._mutex = threading.Lock()
        self._places: dict[str, tuple[int, int]] = {}  # output -> offset, length of its last record
        try:
            self._file = open(path, "a+b", buffering=0)  # noqa: SIM115 (closed by close)
        except OSError as error:
            raise ManifestError(f"{path}: cannot be written: {(error.strerror or str(error)).lower()}") from error
        try:
            _lock(self._file, path)
            self._end = self._scan()
        except BaseException:
            self._file.close()
            raise

    def _scan(self) -> int:
        """Where the next record goes; what follows the last whole one is cut off."""
        end = 0
        with open(self.path, "rb") as file:
            for offset, length, record in _lines(file, self.path):
                self._places[record["output"]] = (offset, length)
                end = offset + length
        if os.fstat(self._file.fileno()).st_size > end:
            self._file.truncate(end)
        return end

    def last(self, output: str) -> Record | None:
        """The newest record of a result."""
        with self._mutex:
            if output not in self._places:
                return None
            offset, length = self._places[output]
            self._file.seek(offset)
            return json.loads(self._file.read(length))

    def append(self, record: Record) -> None:
        """Adds a record: with ``output``, the result's path below the manifest's folder, and ``status``.

        The seconds since 1970 go with it as ``time``, if it has none.

        Raises:
          OSError: the disk is full, say; the manifest is then as it was.
        """
        line = json.dumps({**record, "time": record.get("time", round(time.time(), 3))}).encode() + b"\n"
        with self._mutex:
            try:
                written = 0
                while written < len(line):
                    written += self._file.write(line[written:])
            except BaseException:
                self._file.truncate(self._end)
                raise
            self._places[record["output"]] = (self._end, len(line))
            self._end += len(line)

    def close(self) -> None:
        """Closes the file, and gives the lock back; an empty one is removed."""
        if not self._file.closed:
            if self._end == 0:
                self.path.unlink(missing_ok=True)
            self._file.close()

    def __enter__(self) -> Manifest:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class History:
    """The newest records of results, from a manifest that is open and those of other runs beside it."""

    def __init__(self, own: Manifest, outputs: Iterable[str]) -> None:
        """
        Args:
          own: the open one.
          outputs: the results that will be asked for.

        Raises:
          ManifestError: as `read`.
        """
        self._own, self._places = own, dict[str, tuple[float, Path, int, int]]()  # of the others: time, place
        others = beside(own)
        wanted = set(outputs) if others else set()
        for path in others:
            try:
                with open(path, "rb") as file:
                    for offset, length, record in _lines(file, path):
                        output, when = record["output"], record.get("time", 0)
                        if output in wanted and when >= self._places.get(output, (0,))[0]:
                            self._places[output] = (when, path, offset, length)
            except FileNotFoundError:
                continue  # an empty one, removed by whoever had it
            except OSError as error:
                raise ManifestError(f"{path}: cannot be read: {(error.strerror or str(error)).lower()}") from error

    def last(self, output: str) -> Record | None:
        """The newest record of a result, whoever wrote it."""
        own = self._own.last(output)
        when, path, offset, length = self._places.get(output, (-1.0, self._own.path, 0, 0))
        if length == 0 or (own is not None and own.get("time", 0) >= when):
            return own
        with open(path, "rb") as file:
            file.seek(offset)
            return json.loads(file.read(length))


def beside(own: Manifest) -> list[Path]:
    """The manifests of other runs in the same folder."""
    names = sorted(os.listdir(own.path.parent))
    return [own.path.parent / name for name in names if is_manifest(name) and name != own.path.name]


def in_use(path: str | os.PathLike[str]) -> bool:
    """Whether a run has a manifest open; also True where that cannot be told."""
    try:
        with open(path, "r+b") as file:
            return _locked(file) is not True
    except FileNotFoundError:
        return False
    except OSError:
        return True


PATIENCE = (0.05, 0.1, 0.2)
"""Seconds between attempts to take the lock: `in_use` holds it for a moment."""


def _lock(file: Any, path: str | os.PathLike[str]) -> None:
    """Takes the lock, which ends with the process at the latest. File systems without locks have none."""
    for seconds in PATIENCE:
        if _locked(file) is not False:
            return
        time.sleep(seconds)
    if _locked(file) is False:
        folder = os.path.dirname(os.fspath(path)) or "."
        raise ManifestError(f"{folder}: another process is writing its results there")


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
