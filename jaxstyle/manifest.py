"""The record of a run over many pictures: one JSON object per line, appended when something has happened.

A process that is killed leaves at most one line half written, at the end; the next one cuts it off and goes on. The
file is locked while a run has it, so that no second one writes to the same folder.
"""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Iterator
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


def results(folder: str | os.PathLike[str]) -> set[str]:
    """The real paths of all files that the manifests in a folder say were written, or were about to be.

    Raises:
      ManifestError: as `read`.
    """
    root = os.path.realpath(folder)
    found = set()
    if os.path.isdir(root):
        for name in os.listdir(root):
            if is_manifest(name):
                records = read(os.path.join(root, name))
                found |= {os.path.join(root, *record["output"].split("/")) for record in records}
    return found


def _lines(file: BinaryIO, path: str | os.PathLike[str]) -> Iterator[tuple[int, int, Record]]:
    """(offset, length, record) of every line."""
    offset, broken = 0, 0
    for number, line in enumerate(file, 1):
        if broken:
            raise ManifestError(f"{path}: line {broken} is no record of a picture: mend or remove the file")
        record = _record(line)
        if record is None:
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

        Raises:
          OSError: the disk is full, say; the manifest is then as it was.
        """
        line = json.dumps(record).encode() + b"\n"
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


def _lock(file: Any, path: str | os.PathLike[str]) -> None:
    """Takes the lock, which ends with the process at the latest. File systems without locks have none."""
    try:
        try:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except ImportError:  # Windows; a byte far beyond the end, so that the file can be read
            import msvcrt

            file.seek(1 << 40)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES, errno.EDEADLK):
            folder = os.path.dirname(os.fspath(path)) or "."
            raise ManifestError(f"{folder}: another process is writing its results there") from error
