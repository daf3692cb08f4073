"""Which results of a run are there already, and which have to be made.

The manifest says of what, how and when a result was made. It is kept if all of that is as it would be now. It is made
anew if a file that it was made of has changed since, by its size or time, or if the result itself is not what was
written: cut off by a full disk, say. If it would be made of another file or in
another way, that is refused, so that nothing is replaced unasked and a folder never holds a mixture.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from jaxstyle import image, styles
from jaxstyle.folders.manifest import History, beside
from jaxstyle.folders.pairing import Job
from jaxstyle.painting.options import PathLike
from jaxstyle.runtime.journal import Journal, Record, in_use


class BatchError(ValueError):
    """A folder of results that cannot be used. The message is one line."""


def make_folder(root: Path) -> bool:
    """Makes the folder of the results, unless it is there.

    Returns:
      Whether it was made.

    Raises:
      BatchError: there is a file of that name, it looks like that of a picture, or the folder cannot be made.
    """
    if image.is_standard(root):
        raise BatchError("output: standard output takes a single picture; the results of several need a folder")
    if root.exists() and not root.is_dir():
        raise BatchError(f"{root}: is a file; the results need a folder")
    if not root.exists() and root.suffix.lower() in image.WRITE_FORMATS:
        raise BatchError(f"{root}: has the name of a picture; the results need a folder")
    if root.is_dir():
        return False
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BatchError(f"{root}: cannot be made: {(error.strerror or str(error)).lower()}") from error
    return True


def remove_leftovers(record: Journal, outputs: Iterable[str]) -> None:
    """Removes what was being written when an earlier run was killed.

    Nobody else writes where the manifest is locked, unless a run has another one beside it: then nothing is removed.
    """
    root = record.path.parent
    folders = {(root / output).parent for output in outputs}
    found = [path for folder in folders for path in folder.glob(".jaxstyle-*.tmp")]
    if found and not any(map(in_use, beside(record))):  # in this order: what a run begins now has not been found
        for path in found:
            with contextlib.suppress(OSError):
                path.unlink()


class Facts:
    """What the manifest says of a result, and by which a later run knows how it was made."""

    def __init__(self, weights_file: str, sha256: str, seed: int | None) -> None:
        """
        Args:
          weights_file, sha256: the model.
          seed: by which styles were drawn, if they were.
        """
        self.weights_file, self.sha256, self.seed = weights_file, sha256, seed
        self._controls: dict[int, Record] = {}
        self._styles: dict[str, list[int]] = {}

    def of(self, job: Job) -> Record:
        """Files, controls and model."""
        if id(job.controls) not in self._controls:
            self._controls[id(job.controls)] = job.controls.as_dict()
        return {
            "source": os.path.abspath(job.content),
            "style": [styles.absolute(style) for style in job.styles],
            "controls": self._controls[id(job.controls)],
            "seed": self.seed,
            "weights": self.weights_file,
            "weights_sha256": self.sha256,
        }

    def inputs(self, job: Job) -> list[list[int]]:
        """Size and time of every file that is read, those that many pictures share looked at once; of a built-in style,
        which a new installation brings anew, size and CRC-32."""
        shared = (*job.styles, *job.controls.files())
        for path in shared:
            if path not in self._styles:
                self._styles[path] = _stamp(path)
        return [_stamp(job.content), *(self._styles[path] for path in shared)]


def _stamp(path: str) -> list[int]:
    if styles.is_builtin(path):
        data = Path(styles.path_of(path)).read_bytes()
        return [len(data), zlib.crc32(data)]
    try:
        about = os.stat(path)
    except OSError:
        return []
    return [about.st_size, about.st_mtime_ns]


def written(path: PathLike) -> list[int]:
    """Size, time and CRC-32 of a result, for the manifest.

    Raises:
      OSError: it cannot be read.
    """
    about = os.stat(path)
    return [about.st_size, about.st_mtime_ns, _crc32(path)]


def _crc32(path: PathLike) -> int:
    found = 0
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            found = zlib.crc32(block, found)
    return found


def is_whole(path: PathLike, record: Record) -> bool:
    """Whether a result is what was written. It is read only if its time has changed, by a copy for instance.

    Args:
      path: the file.
      record: that says it is done. Those of earlier versions know nothing of the file: it is then taken for whole.
    """
    result = record.get("result")
    if not result:
        return os.path.exists(path)
    try:
        about = os.stat(path)
        same = [about.st_size, about.st_mtime_ns] == result[:2]
        return same or (about.st_size == result[0] and _crc32(path) == result[-1])
    except OSError:
        return False


def _file_id(path: PathLike) -> tuple[int, int] | None:
    try:
        about = os.stat(path)
    except OSError:
        return None
    return about.st_dev, about.st_ino


def missing(jobs: Sequence[Job], facts: Facts, record: History | Journal, root: Path, *, overwrite: bool) -> list[Job]:
    """The jobs that are not done.

    Args:
      jobs: all of them.
      facts: about them.
      record: what earlier runs did, and those that share the folder.
      root: folder of the results.
      overwrite: whether what was made otherwise, or is unknown to the manifest, may be replaced.

    Raises:
      BatchError: for one of them a file would have to be replaced that may not be.
    """
    shared = {path for job in jobs for path in (*job.styles, *job.controls.files())}
    read = {_file_id(path) for path in itertools.chain((job.content for job in jobs), shared)}
    todo = []
    for job in jobs:
        target = root / job.output
        there = _file_id(target)
        if there is None:
            todo.append(job)
            continue
        if there in read:
            raise BatchError(f"{target}: is one of the pictures that are read, which are never replaced")
        last = record.last(job.output)
        other = "exists already, and no earlier run made it" if last is None else ""
        if last is not None and last["status"] == "done":
            other = _difference(last, facts.of(job))
            if not other and last.get("inputs") == facts.inputs(job) and is_whole(target, last):
                continue
        if other and not overwrite:
            raise BatchError(f"{target}: {other}; choose another folder, or give overwrite=True")
        todo.append(job)
    return todo


def _difference(then: Record, now: Record) -> str:
    """How a result was made otherwise than it would be now, in words; empty if it was not."""
    if then.get("weights_sha256") != now["weights_sha256"]:
        return f"was made with other weights ({then.get('weights')})"
    if then.get("source") != now["source"]:
        return f"was made of {then.get('source')}, not {now['source']}"
    if then.get("style") != now["style"]:
        old, new = (", ".join(styles) for styles in (then.get("style") or [], now["style"]))
        return f"was made in the style of {old}, not {new}"
    before = then.get("controls") or {}
    for key, value in now["controls"].items():
        if before.get(key) != value:
            return f"was made with {key} = {before.get(key)}, not {value}"
    return ""
