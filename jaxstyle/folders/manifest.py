"""The manifests in a folder of results: what was made, of what and how, and what is being made.

A manifest is a `jaxstyle.runtime.journal.Journal`. Its records are about results, each by its path below the folder,
with ``/``, as ``output``. ``status`` is ``"writing"`` before a file of that name is begun, then ``"done"`` or
``"failed"``; these have more:

* ``source``, ``style``: absolute paths of the files that it was made of; of built-in styles the names with the ``@``.
* ``controls``, ``seed``, ``weights``, ``weights_sha256``: how; ``seed`` is that by which styles were drawn, or None.
* done: ``width``, ``height``, ``seconds``, ``notices``; ``inputs``: size and time of every file that was read;
  ``result``: size, time and CRC-32 of the file that was made, which earlier versions did not write.
* failed: ``error``, one line.

Runs that are meant to share a folder have a manifest each, and know from all of them what there is (`History`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from jaxstyle.runtime import journal
from jaxstyle.runtime.journal import Journal, JournalError, Place, Record

NAME = "jaxstyle-manifest.jsonl"
"""In the folder of the results; those of shards are named by `name_of`."""


_KINDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("source", "weights", "weights_sha256", "error"), (str,)),
    **dict.fromkeys(("style", "notices", "inputs", "result"), (list,)),
    "controls": (dict,),
}


def is_record(record: Record) -> bool:
    """Whether what a manifest says of a result has the types that it should have."""
    right = all(record.get(key) is None or isinstance(record[key], kinds) for key, kinds in _KINDS.items())
    return right and all(isinstance(style, str) for style in record.get("style") or ())


def open_manifest(path: str | os.PathLike[str]) -> Journal:
    """A manifest open for writing.

    Raises:
      JournalError: as `jaxstyle.runtime.journal.Journal`.
    """
    return Journal(path, is_record)


def name_of(shard: tuple[int | str, int] | None) -> str:
    """The name of a shard's manifest, such as ``jaxstyle-manifest-1-of-4.jsonl``; `NAME` for the whole."""
    return NAME if shard is None else "jaxstyle-manifest-{}-of-{}.jsonl".format(*shard)


def is_manifest(name: str) -> bool:
    """Whether a file has the name of a manifest."""
    return name.startswith("jaxstyle-manifest") and name.endswith(".jsonl")


def records(folder: str | os.PathLike[str]) -> Iterator[Record]:
    """The records of all manifests in a folder, if there is one.

    Raises:
      JournalError: as `jaxstyle.runtime.journal.read`.
    """
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        if is_manifest(name):
            yield from (record for _, record in _read(os.path.join(folder, name)))


def results(folder: str | os.PathLike[str]) -> set[str]:
    """The real paths of all files that the manifests in a folder say were written, or were about to be.

    Raises:
      JournalError: as `jaxstyle.runtime.journal.read`.
    """
    root = os.path.realpath(folder)
    return {os.path.join(root, *record["output"].split("/")) for record in records(root)}


def beside(own: Journal) -> list[Path]:
    """The manifests of other runs in the same folder."""
    names = sorted(os.listdir(own.path.parent))
    return [own.path.parent / name for name in names if is_manifest(name) and name != own.path.name]


def _read(path: str | os.PathLike[str]) -> Iterator[tuple[Place, Record]]:
    """The records of another run's manifest; none if it is gone: an empty one is removed by whoever had it."""
    try:
        yield from journal.read_places(path, is_record)
    except JournalError as error:
        if not isinstance(error.__cause__, FileNotFoundError):
            raise


class History:
    """The newest records of results, from a manifest that is open and those of other runs beside it."""

    def __init__(self, own: Journal, outputs: Iterable[str]) -> None:
        """
        Args:
          own: the open one.
          outputs: the results that will be asked for.

        Raises:
          JournalError: as `jaxstyle.runtime.journal.read`.
        """
        self._own = own
        self._others: dict[str, tuple[float, Path, Place]] = {}  # output -> when, where
        others = beside(own)
        wanted = set(outputs) if others else set()
        for path in others:
            for place, record in _read(path):
                output, when = record["output"], record.get("time", 0)
                if output in wanted and (output not in self._others or when >= self._others[output][0]):
                    self._others[output] = (when, path, place)

    def last(self, output: str) -> Record | None:
        """The newest record of a result, whoever wrote it."""
        own = self._own.last(output)
        if output not in self._others:
            return own
        when, path, place = self._others[output]
        return own if own is not None and own.get("time", 0) >= when else journal.read_at(path, place)
