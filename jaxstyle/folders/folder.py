"""Many pictures: folders in, folders out, resumable, on all devices.

`stylize_folder` is what the command does with folders; `run` works through any list of `jaxstyle.folders.pairing.Job`.
Every result goes through `jaxstyle.stylize.render`, as a single picture does, in one of several threads
(`jaxstyle.folders.workers`). What was done is in a manifest (`jaxstyle.runtime.journal`) in the folder of the results,
so that a run that was stopped, by whatever, goes on when it is started again (`jaxstyle.folders.kept`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Unpack

import jax

from jaxstyle import image
from jaxstyle.controls.controls import Controls, Fields
from jaxstyle.controls.degree import read_maps
from jaxstyle.folders import pairing
from jaxstyle.folders.kept import BatchError, Facts, make_folder, missing, remove_leftovers
from jaxstyle.folders.pairing import Job, Pair
from jaxstyle.folders.workers import Failure, Workers
from jaxstyle.painting.file import check_limits
from jaxstyle.painting.options import DEFAULT_WEIGHTS, Limits, PathLike, sort
from jaxstyle.painting.picture import check, load_model
from jaxstyle.runtime import journal
from jaxstyle.runtime.journal import History, Manifest
from jaxstyle.runtime.progress import Progress

OUTPUT = "stylized"
"""Folder of the results where none is given."""


@dataclass(frozen=True)
class BatchReport:
    """What `run` did.

    Attributes:
      folder: of the results.
      manifest: the file in it that tells of every picture: files, controls, size, seconds, status, notices.
      pictures: results asked for: ``done + kept + len(failed)``, and those not begun where it was ``stopped``.
      done: made now.
      kept: made by an earlier run.
      failed: what could not be made.
      stopped: why no more could be done, such as a full disk; None where all was tried.
      ignored: files in the folders that are no pictures, or results of an earlier run.
      notices: of how many results the manifest has notices, about transparency left out and the like.
      seconds: all in all.
      pictures_per_second: of those that were tried.
      weights_file, weights_sha256: the model.
    """

    folder: str
    manifest: str
    pictures: int
    done: int
    kept: int
    failed: tuple[Failure, ...]
    stopped: str | None
    ignored: int
    notices: int
    seconds: float
    pictures_per_second: float
    weights_file: str
    weights_sha256: str


def is_batch(content: Sequence[PathLike], style: Sequence[PathLike], pair: str | None = None) -> bool:
    """Whether arguments ask for a folder of results rather than for one file.

    They do with several contents, with folders or patterns, and with a pairing: also if that comes to one picture.
    """
    return len(content) != 1 or pair is not None or any(map(pairing.is_group, (*content, *style)))


def stylize_folder(
    content: PathLike | Sequence[PathLike],
    style: PathLike | Sequence[PathLike],
    output: PathLike = OUTPUT,
    controls: Controls | None = None,
    *,
    pair: Pair | None = None,
    seed: int | None = None,
    recursive: bool = False,
    weights_file: PathLike = DEFAULT_WEIGHTS,
    format: str | None = None,
    overwrite: bool = False,
    max_pixels: int = image.MAX_PIXELS,
    tile: int | None = None,
    scratch: PathLike | None = None,
    devices: Sequence[jax.Device] | None = None,
    progress: Callable[[Progress], None] | None = None,
    **fields: Unpack[Fields],
) -> BatchReport:
    """Repaints all pictures of folders.

    Args:
      content: files, folders, and patterns such as ``"photos/*.jpg"``.
      style: the same. Styles named file by file are mixed, those of a folder or a pattern are taken one by one;
        ``pair`` changes that.
      output: folder of the results, made if missing. Their names are ``<content>_stylized_<style>.<suffix>``, those
        from sub-folders are in sub-folders; see `jaxstyle.folders.pairing.make_jobs`.
      controls, fields: see `jaxstyle.stylize`.
      pair: ``"product"``, ``"zip"`` or ``"random"``, see `jaxstyle.folders.pairing.pair_up`.
      seed: for ``pair="random"``, 0 if not given.
      recursive: descend into the folders in folders.
      format: of all results, ``"png"`` or what else `jaxstyle.image.write` knows; their names end in its suffix, so
        that results in another format are other files. By default each has its content's.
      weights_file, overwrite, max_pixels, tile, scratch, devices, progress: see `run`.

    Returns:
      A `BatchReport`.

    Raises:
      PairError: there are no such pictures, or they cannot be paired.
      ImageError, ValueError: as `run`.
    """
    chosen = sort(controls, fields).controls
    if pair == "random":
        seed = pairing.checked_seed(seed)
    else:
        pairing.check_no_seed(seed)
    sources, looks = _several(content), _several(style)
    if recursive and not any(map(pairing.is_group, (*sources, *looks))):
        raise BatchError("recursive: there is no folder to descend into")
    made = journal.results(output)
    contents = pairing.find(sources, "content", recursive=recursive, results=made)
    styles = pairing.find(looks, "style", recursive=recursive, results=made)
    jobs = pairing.make_jobs(contents, styles, chosen, pair=pair, seed=seed or 0, format=format)
    report = run(
        jobs,
        output,
        seed=seed,
        weights_file=weights_file,
        overwrite=overwrite,
        max_pixels=max_pixels,
        tile=tile,
        scratch=scratch,
        devices=devices,
        progress=progress,
    )
    return dataclasses.replace(report, ignored=contents.ignored + styles.ignored)


def _several(given: PathLike | Sequence[PathLike]) -> tuple[PathLike, ...]:
    return (given,) if isinstance(given, str | os.PathLike) else tuple(given)


def run(
    jobs: Sequence[Job],
    folder: PathLike,
    *,
    seed: int | None = None,
    weights_file: PathLike = DEFAULT_WEIGHTS,
    overwrite: bool = False,
    max_pixels: int = image.MAX_PIXELS,
    tile: int | None = None,
    scratch: PathLike | None = None,
    devices: Sequence[jax.Device] | None = None,
    progress: Callable[[Progress], None] | None = None,
    name: str = journal.NAME,
) -> BatchReport:
    """Makes the results that are missing.

    A picture that cannot be made does not stop the others; a full disk does. Whatever ends the run, no result is half
    written. What is there and was made otherwise (of another file, with other controls or weights) is refused before
    anything is done; what was made of a file that has changed since, by its size or time, is made anew.

    Args:
      jobs: with outputs that differ.
      folder: of the results, made if missing. Leftovers of a run that was killed are removed from it. Runs may share
        it, at once as well, if each has a manifest of its own: what any of them made is kept by all.
      seed: for the manifest.
      weights_file: name of shipped weights, or the path of a file.
      overwrite: replace files that were made otherwise or that the manifest does not know. Those that are read are
        never replaced.
      max_pixels: the largest picture that is read.
      tile, scratch: as in `jaxstyle.stylize_file`. They change no result, and a run may go on with others.
      devices: by default all of this process; the pixels do not depend on them.
      progress: called as pictures are done.
      name: of the manifest.

    Returns:
      A `BatchReport`.

    Raises:
      BatchError: the folder cannot be used, or holds results that were made otherwise.
      ManifestError: its manifest cannot be used, or another process is at work there.
      WeightsError, ImageError, ValueError: the weights, the scratch folder, the tile or the controls cannot be used.
      KeyboardInterrupt: with a message that says how many are done.
    """
    start = time.perf_counter()
    weights_file = os.fspath(weights_file)
    loaded = load_model(weights_file)
    check_limits(loaded, Limits(tile=tile, scratch=scratch))
    kinds = {(id(job.controls), len(job.styles)): job for job in jobs}
    for job in kinds.values():
        check(job.controls, len(job.styles), loaded)
    maps = {id(job.controls): read_maps(job.controls, max_pixels=max_pixels) for job in kinds.values()}
    root = Path(folder)
    made = make_folder(root)
    try:
        with Manifest(root / name) as record:
            facts = Facts(weights_file, loaded.sha256, seed)
            outputs = [job.output for job in jobs]
            todo = missing(jobs, facts, History(record, outputs), root, overwrite=overwrite)
            remove_leftovers(record, outputs)
            work = Workers(todo, facts, record, root, loaded, maps, devices, max_pixels, tile=tile, scratch=scratch)
            work.prepare(todo)
            begun = time.perf_counter()
            count = _finish(work, jobs, todo, progress or (lambda _: None))
            remove_leftovers(record, outputs)  # of another run in this folder, that was killed meanwhile
    except BaseException:
        if made:
            with contextlib.suppress(OSError):  # it holds something
                root.rmdir()
        raise
    now = time.perf_counter()
    return BatchReport(
        folder=os.fspath(folder),
        manifest=str(root / name),
        pictures=len(jobs),
        done=count.done,
        kept=len(jobs) - len(todo),
        failed=tuple(count.failed),
        stopped=work.stopped,
        ignored=0,
        notices=count.noticed,
        seconds=round(now - start, 3),
        pictures_per_second=round((count.done + len(count.failed)) / max(now - begun, 1e-9), 3),
        weights_file=weights_file,
        weights_sha256=facts.sha256,
    )


@dataclass
class _Count:
    done: int = 0
    noticed: int = 0
    failed: list[Failure] = field(default_factory=list)


def _finish(work: Workers, jobs: Sequence[Job], todo: Sequence[Job], tell: Callable[[Progress], None]) -> _Count:
    """Does what is to be done, and tells how far it is."""
    count, kept = _Count(), len(jobs) - len(todo)
    tell(Progress(len(jobs), kept, 0, 0))
    try:
        with contextlib.closing(work.outcomes(todo)) as outcomes:
            for outcome in outcomes:
                if isinstance(outcome, Failure):
                    count.failed.append(outcome)
                else:
                    count.done += 1
                    count.noticed += bool(outcome)
                tell(Progress(len(jobs), kept, count.done, len(count.failed)))
    except KeyboardInterrupt:
        message = f"interrupted: {kept + count.done} of {len(jobs)} pictures are done, the same command does the rest"
        raise KeyboardInterrupt(message) from None
    return count
