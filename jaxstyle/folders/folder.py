"""Many pictures: folders in, folders out, resumable, on all devices.

`stylize_folder` is what the command does with folders; `run` works through any list of `jaxstyle.folders.pairing.Job`.
Every result is painted as a single picture is, in one of several threads (`jaxstyle.folders.workers`). What was done
is in a manifest (`jaxstyle.folders.manifest`) in the folder of the results,
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

from jaxstyle.controls.controls import Controls
from jaxstyle.controls.degree import read_maps
from jaxstyle.folders import find, manifest, pairing
from jaxstyle.folders.kept import BatchError, Facts, is_whole, make_folder, missing, remove_leftovers
from jaxstyle.folders.manifest import History
from jaxstyle.folders.options import FolderOptions
from jaxstyle.folders.pairing import Job, Pair
from jaxstyle.folders.workers import GONE, Failure, Workers
from jaxstyle.painting.file import check_limits
from jaxstyle.painting.options import Limits, Output, PathLike, sort
from jaxstyle.painting.picture import check, load_model
from jaxstyle.painting.style_file import weights_for
from jaxstyle.runtime.journal import Journal
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
      stopped: why no more could be done, such as a full disk, or why nothing is left; None where all was tried.
      ignored: files in the folders that are no pictures, or results of an earlier run.
      notices: of how many results the manifest has notices, about transparency left out and the like.
      seconds: all in all.
      pictures_per_second: of those that were tried.
      weights_file, weights_sha256: the model.
      remarks: sentences for the user about the folders, such as on photos that were passed over.
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
    remarks: tuple[str, ...] = field(default=(), kw_only=True)


def is_batch(content: Sequence[PathLike], style: Sequence[PathLike], pair: str | None = None) -> bool:
    """Whether arguments ask for a folder of results rather than for one file.

    They do with several contents, with folders or patterns, and with a pairing: also if that comes to one picture.
    """
    groups = [*map(find.is_group, content), *(find.is_group(source, style=True) for source in style)]
    return len(content) != 1 or pair is not None or any(groups)


def stylize_folder(
    content: PathLike | Sequence[PathLike],
    style: PathLike | Sequence[PathLike],
    output: PathLike = OUTPUT,
    controls: Controls | None = None,
    *,
    pair: Pair | None = None,
    recursive: bool = False,
    progress: Callable[[Progress], None] | None = None,
    **options: Unpack[FolderOptions],
) -> BatchReport:
    """Repaints all pictures of folders.

    Args:
      content: files, folders, and patterns such as ``"photos/*.jpg"``.
      style: the same. Styles named file by file are mixed, those of a folder or a pattern are taken one by one;
        ``pair`` changes that.
      output: folder of the results, made if missing. Their names are ``<content>_stylized_<style>.<suffix>``, those
        from sub-folders are in sub-folders; see `jaxstyle.folders.pairing.make_jobs`.
      controls: see `jaxstyle.stylize`.
      pair: ``"product"``, ``"zip"`` or ``"random"``, see `jaxstyle.folders.pairing.pair_up`.
      recursive: descend into the folders in folders.
      progress: called as pictures are done.
      options: fields of `Controls`, which go before those of ``controls``; of `jaxstyle.painting.options.Limits`:
        ``max_pixels``, ``tile``, ``scratch``, ``devices``; and

        * ``seed``: for ``pair="random"``, by default 0.
        * ``weights_file``: name of shipped weights, or the path of a file.
        * ``format``: of all results, ``"png"`` or what else `jaxstyle.image.write` knows; their names end in its
          suffix, so that results in another format are other files. By default each has its content's.
        * ``overwrite``: see `run`.

    Returns:
      A `BatchReport`.

    Raises:
      PairError: there are no such pictures, or they cannot be paired.
      ImageError, ValueError: as `run`, or there is a seed and nothing to be drawn.
      TypeError: there is no such option.
    """
    given = sort(FolderOptions, controls, options)
    seed = given.rest.get("seed")
    if pair == "random":
        seed = pairing.checked_seed(seed)
    else:
        pairing.check_no_seed(seed)
    sources, looks = _several(content), _several(style)
    if (
        recursive
        and not any(map(find.is_group, sources))
        and not any(find.is_group(look, style=True) for look in looks)
    ):
        raise BatchError("recursive: there is no folder to descend into")
    made = manifest.results(output)
    contents = find.find(sources, "content", recursive=recursive, results=made)
    styles = find.find(looks, "style", recursive=recursive, results=made, style=True)
    jobs = pairing.make_jobs(contents, styles, given.controls, pair=pair, seed=seed or 0, format=given.output.format)
    report = run(
        jobs,
        output,
        limits=given.limits,
        output=given.output,
        weights_file=given.weights_file,
        seed=seed,
        progress=progress,
    )
    remarks = (*contents.notices, *styles.notices)
    return dataclasses.replace(report, ignored=contents.ignored + styles.ignored, remarks=remarks)


def _several(given: PathLike | Sequence[PathLike]) -> tuple[PathLike, ...]:
    return (given,) if isinstance(given, str | os.PathLike) else tuple(given)


def run(
    jobs: Sequence[Job],
    folder: PathLike,
    *,
    limits: Limits = Limits(),  # noqa: B008 (it is frozen)
    output: Output = Output(),  # noqa: B008
    weights_file: PathLike | None = None,
    seed: int | None = None,
    progress: Callable[[Progress], None] | None = None,
    name: str = manifest.NAME,
) -> BatchReport:
    """Makes the results that are missing.

    A picture that cannot be made does not stop the others; a full disk does, and so does somebody who removes the
    folder. Whatever ends the run, no result is half written. What is there and was made otherwise (of another file,
    with other controls or weights) is refused before anything is done; what was made of a file that has changed since,
    by its size or time, or is not what was written, is made anew.

    Args:
      jobs: with outputs that differ; their names tell the formats.
      folder: of the results, made if missing. Leftovers of a run that was killed are removed from it. Runs may share
        it, at once as well, if each has a manifest of its own: what any of them made is kept by all.
      limits: they change no result, and a run may go on with others.
      output: ``overwrite`` replaces files that were made otherwise or that the manifest does not know. Those that are
        read are never replaced.
      weights_file: name of shipped weights, or the path of a file; by default a fitted style's, or AdaIN's.
      seed: by which styles were drawn, for the manifest.
      progress: called as pictures are done.
      name: of the manifest.

    Returns:
      A `BatchReport`.

    Raises:
      BatchError: the folder cannot be used, or holds results that were made otherwise.
      JournalError: its manifest cannot be used, or another process is at work there.
      WeightsError, ImageError, ValueError: the weights, the scratch folder, the tile or the controls cannot be used.
      KeyboardInterrupt: with a message that says how many are done.
    """
    start = time.perf_counter()
    weights_file = weights_for([style for job in jobs for style in job.styles], weights_file)
    loaded = load_model(weights_file)
    check_limits(loaded, limits)
    kinds = {(id(job.controls), len(job.styles)): job for job in jobs}
    for job in kinds.values():
        check(job.controls, len(job.styles), loaded)
    maps = {id(job.controls): read_maps(job.controls, max_pixels=limits.max_pixels) for job in kinds.values()}
    root = Path(folder)
    made = make_folder(root)
    try:
        with manifest.open_manifest(root / name) as record:
            facts = Facts(weights_file, loaded.sha256, seed)
            outputs = [job.output for job in jobs]
            todo = missing(jobs, facts, History(record, outputs), root, overwrite=output.overwrite)
            remove_leftovers(record, outputs)
            work = Workers(todo, facts, record, root, loaded, maps, limits)
            work.prepare(todo)
            begun = time.perf_counter()
            count = _finish(work, jobs, todo, progress or (lambda _: None))
            stopped = work.stopped
            if stopped is None and not record.in_place():
                stopped = GONE.format(root)
            if stopped is None:
                remove_leftovers(record, outputs)  # of another run in this folder, that was killed meanwhile
                _look_after(count, todo, record, root)
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
        stopped=stopped,
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


def _look_after(count: _Count, todo: Sequence[Job], record: Journal, root: Path) -> None:
    """Counts as failed what was made and is gone, or was changed, while the run went on."""
    for job in todo:
        last = record.last(job.output)
        if last is not None and last["status"] == "done" and not is_whole(root / job.output, last):
            count.done -= 1
            words = (
                f"{root / job.output}: was removed or changed while the run went on; the same command makes it again"
            )
            count.failed.append(Failure(job.content, job.styles, job.output, words))
