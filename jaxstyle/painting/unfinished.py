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
from typing import Any, Self

import jax
import numpy as np

from jaxstyle.image.source import ImageError, label_of, os_problem
from jaxstyle.runtime.journal import Journal, JournalError, read

SUFFIX = ".jaxstyle-part"
_JOURNAL, _SAMPLES, _REQUEST, _NOTE = "journal.jsonl", "samples", "request", "note "


class UnfinishedError(ValueError):
    """A folder that is in the way of an unfinished picture, or holds another one. The message is one line."""


class Part:
    """The folder of what is not finished, open and locked against other processes, with its journal; a context manager.

    Attributes:
      target: the file that it will be.
      folder: where what is done lies; it may hold more of what is not finished.
      keep: whether the folder stays when it is closed.
    """

    what = "picture"
    """What is not finished, for messages."""

    def __init__(self, target: str | os.PathLike[str], request: dict[str, Any], *, discard: bool = False) -> None:
        """
        Args:
          target: the file that it will be.
          request: what it is made of and how, as JSON takes it: only the same request goes on.
          discard: throw away what was done for another request.

        Raises:
          UnfinishedError: the folder holds something else, or what is of another request and not to be discarded.
          JournalError: another process is at work in the folder.
          OSError: it cannot be made.
        """
        self.target, self.folder = os.fspath(target), os.path.realpath(target) + SUFFIX
        self.keep = True
        self._label = self.target + SUFFIX
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

    def _is_own(self, name: str) -> bool:
        """Whether a file in the folder, beside the journal, has a name that this class gives."""
        raise NotImplementedError

    def _check_folder(self) -> None:
        if not os.path.lexists(self.folder):
            return
        if not os.path.isdir(self.folder):
            raise UnfinishedError(f"{self._label}: is in the way: it is no folder of an unfinished {self.what}")
        names = [name for name in os.listdir(self.folder) if not name.startswith(".jaxstyle-")]
        other = sorted(name for name in names if name != _JOURNAL and not self._is_own(name))
        if other:
            raise UnfinishedError(f"{self._label}: holds something else than an unfinished {self.what} ({other[0]})")

    def _open(self, request: dict[str, Any], discard: bool) -> None:
        journal = os.path.join(self.folder, _JOURNAL)
        self._journal = Journal(journal)
        try:
            begun = self._journal.last(_REQUEST)
            changed = "" if begun is None else _difference(begun.get("request"), request)
            if changed and not discard and _outputs(journal) - {_REQUEST}:
                raise UnfinishedError(
                    f"{self._label}: holds a {self.what} begun {changed}; give the command that began it, or give "
                    "overwrite=True"
                )
            if changed:
                self._journal.close()
                os.unlink(journal)
                self._journal = Journal(journal)
            if changed or begun is None:
                for name in filter(self._is_own, os.listdir(self.folder)):
                    os.unlink(os.path.join(self.folder, name))
                self._journal.append({"output": _REQUEST, "status": "begun", "request": request})
            self._begin(_outputs(journal))
        except BaseException:
            self._journal.close()
            raise

    def _begin(self, outputs: set[str]) -> None:
        """Opens what the class keeps beside the journal, which has records about ``outputs``."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._journal.close()
        if not self.keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def done(self) -> int:
        """How much is there, counted as in `written`; what is damaged counts until it is read."""
        raise NotImplementedError

    def note(self, key: str, value: Any) -> None:
        """Puts away what is known of the whole; ``value`` as JSON takes it, floats to the last bit.

        Raises:
          OSError: the disk is full, say.
        """
        self._journal.append({"output": _NOTE + key, "status": "noted", "value": value})

    def noted(self, key: str) -> Any:
        """The newest value of a note, or None."""
        return (self._journal.last(_NOTE + key) or {}).get("value")

    @contextlib.contextmanager
    def written(self, count: int, what: str = "tiles", *, resumable: bool = True) -> Iterator[None]:
        """Around the writing of the file, after which the folder goes. What goes wrong leaves what is done, if there is
        anything, and says so.

        Args:
          count: how many there are; 0: not known.
          what: they are called.
          resumable: False: what goes wrong leaves nothing.

        Raises:
          ImageError: what is missing does not fit on the disk.
        """
        self.keep = self.done > 0
        self._check_room(count)
        try:
            yield
        except BaseException as error:
            self.keep = resumable and count != 1 and self.done > 0
            of = f" of {count}" if count else ""
            words = f"{self.done}{of} {what} are kept in {self._label}, and the same command goes on"
            if self.keep and isinstance(error, ImageError):
                raise ImageError(error.label, f"{error.problem}; {words}") from error.__cause__
            if self.keep and isinstance(error, KeyboardInterrupt):
                raise KeyboardInterrupt(f"interrupted; {words}") from None
            raise
        self.keep = False

    def _check_room(self, count: int) -> None:
        """Raises ImageError where it is known that the disk has no room for ``count`` in all."""


class Unfinished(Part):
    """Tiles on disk, open for reading and writing.

    Attributes:
      shape, dtype: of a tile.
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
          target, request, discard: see `Part`.
          shape, dtype: of a tile, which is any array; it is known by its number, from 0.

        Raises:
          UnfinishedError, JournalError, OSError: as `Part`.
        """
        self.shape, self.dtype = shape, dtype
        self._size = int(np.prod(shape)) * dtype.itemsize
        super().__init__(target, request, discard=discard)

    def _is_own(self, name: str) -> bool:
        return name == _SAMPLES

    def _begin(self, outputs: set[str]) -> None:
        samples = os.path.join(self.folder, _SAMPLES)
        descriptor = os.open(samples, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
        self._file = os.fdopen(descriptor, "r+b", buffering=0)
        self._tiles = {int(output) for output in outputs if output.isdecimal()}

    def __exit__(self, *exception: object) -> None:
        self._file.close()
        super().__exit__(*exception)

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

    def _check_room(self, count: int) -> None:
        size = (count - self.done) * self._size
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


def about(content: str | os.PathLike[str] | bytes) -> dict[str, Any]:
    """What tells a picture from others, without reading all of a file, for a request."""
    if isinstance(content, bytes):
        return {"content": hashlib.sha256(content).hexdigest()}
    found = os.stat(content)
    name = os.path.basename(os.path.realpath(content))
    return {"content": name, "content_bytes": found.st_size, "content_time": found.st_mtime_ns}


def digest_of(tree: Any) -> str:
    """SHA-256 of the arrays of a pytree, for a request."""
    found = hashlib.sha256()
    for leaf in map(np.asarray, jax.tree.leaves(tree)):
        found.update(f"{leaf.dtype}{leaf.shape}".encode())
        found.update(leaf.tobytes())
    return found.hexdigest()


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
