"""Whole data sets: a tree of class folders in, the same tree stylized out.

The styles of a picture depend on a seed and on its name alone, neither on the order nor on who makes it. So the work
may be split into shards, by a hash of the names, that several processes or machines do at the same time into one
folder. Each has a manifest of its own and all know what the others made (`jaxstyle.folders.manifest.History`): a run
may be taken up again with another number of shards, or with none.
"""

from __future__ import annotations

import contextlib
import dataclasses
import filecmp
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

from jaxstyle.controls.controls import Controls
from jaxstyle.folders import folder as batch
from jaxstyle.folders import manifest, workers
from jaxstyle.folders.dataset_plan import Plan, Recipe, plan
from jaxstyle.folders.find import Found
from jaxstyle.folders.folder import BatchReport
from jaxstyle.folders.kept import BatchError
from jaxstyle.folders.options import DatasetOptions
from jaxstyle.folders.workers import Failure
from jaxstyle.image.source import os_problem
from jaxstyle.painting import names
from jaxstyle.painting.options import Limits, Output, PathLike, sort
from jaxstyle.runtime import files
from jaxstyle.runtime.progress import Progress


@dataclass(frozen=True)
class DatasetReport(BatchReport):
    """What `stylize_dataset` did: what a `BatchReport` says, of the shard if it was one, and

    Attributes:
      seed: by which the styles were drawn.
      styles_per_image: how many each picture has.
      shard: such as ``"1/4"``; None for the whole.
      copied: how many files that are no pictures were copied now.
    """

    seed: int
    styles_per_image: int
    shard: str | None
    copied: int


def stylize_dataset(
    folder: PathLike,
    output: PathLike,
    styles: PathLike | Sequence[PathLike],
    controls: Controls | None = None,
    *,
    progress: Callable[[Progress], None] | None = None,
    **options: Unpack[DatasetOptions],
) -> DatasetReport:
    """Repaints the pictures of a folder and all folders in it, each in styles drawn for it.

    Args:
      folder: of the data set.
      output: folder of the results, made if missing, with the same sub-folders; not inside ``folder``.
      styles: folders, searched recursively, patterns or files.
      controls: see `jaxstyle.stylize`.
      progress: called as pictures are done.
      options: those of `jaxstyle.stylize_folder`, and

        * ``seed``: of the draw, by default 0.
        * ``styles_per_image``: how many different styles each picture gets, one result for each; by default 1. Those of
          a smaller number are among those of a larger one.
        * ``shard``: ``(i, n)`` does the i-th of n shares, i from 1. The shares of all i make the whole.
        * ``copy_other``: copy the files that are no pictures, such as labels; hidden ones are left.
        * ``keep_names``: give the results the names of the pictures, but for a suffix that cannot be written, so that
          labels that name them still do. By default they are called ``<picture>_stylized_<style>``.

    Returns:
      A `DatasetReport`.

    Raises:
      PairError: there are no such pictures.
      BatchError: ``output`` cannot be used, or holds what was made otherwise, by another draw for instance.
      ImageError, ValueError: as `jaxstyle.folders.folder.run`, or an argument is out of range.
      TypeError: there is no such option.
    """
    given = sort(DatasetOptions, controls, options)
    shard = given.rest.pop("shard", None)
    whole = plan(folder, output, styles, given.controls, Recipe(**given.rest), given.output)
    share = whole if shard is None else whole.shard(*shard)
    return carry_out(
        share, shard, limits=given.limits, output=given.output, weights_file=given.weights_file, progress=progress
    )


# ---- doing it ----------------------------------------------------------------------------------------------


def carry_out(
    share: Plan,
    shard: tuple[int, int] | None,
    *,
    limits: Limits = Limits(),  # noqa: B008 (it is frozen)
    output: Output = Output(),  # noqa: B008
    weights_file: PathLike | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> DatasetReport:
    """Does what is missing of a plan.

    Args:
      share: from `jaxstyle.folders.dataset_plan.plan`, or the part of a shard.
      shard: which, for the name of the manifest.
      limits, output, weights_file, progress: see `jaxstyle.folders.folder.run`.

    Returns:
      A `DatasetReport`.

    Raises:
      ValueError: as `jaxstyle.folders.folder.run`, or a file to be copied is there already and is another.
    """
    root = Path(share.output)
    waiting = _missing(share.others, root, output.overwrite)
    report = batch.run(
        share.jobs,
        root,
        limits=limits,
        output=output,
        weights_file=weights_file,
        seed=share.seed,
        progress=progress,
        name=manifest.name_of(shard),
    )
    copied, failed, stopped = _copy(waiting) if report.stopped is None else (0, [], report.stopped)
    done = {field.name: getattr(report, field.name) for field in dataclasses.fields(report)}
    more = {"ignored": share.ignored, "remarks": share.remarks, "failed": (*report.failed, *failed), "stopped": stopped}
    return DatasetReport(
        **{**done, **more},
        seed=share.seed,
        styles_per_image=share.styles_per_image,
        shard=None if shard is None else "{}/{}".format(*shard),
        copied=copied,
    )


def _missing(others: Iterable[Found], root: Path, overwrite: bool) -> list[tuple[Found, Path]]:
    """The files that are not copied yet, and where they go: beside the results of the pictures beside them.

    Raises:
      BatchError: there is another file of that name, and it may not be replaced.
    """
    todo = []
    for other in others:
        target = root / names.result_name(other.name, []).rpartition("/")[0] / Path(other.name).name
        if os.path.lexists(target):
            with contextlib.suppress(OSError):  # the copying will tell
                if filecmp.cmp(other.path, target):
                    continue
            if not overwrite:
                raise BatchError(
                    f"{target}: is there already and differs from {other.path}; give overwrite=True to replace it"
                )
        todo.append((other, target))
    return todo


def _copy(todo: Iterable[tuple[Found, Path]]) -> tuple[int, list[Failure], str | None]:
    """How many files were copied, which could not be, and why there was no use in going on, if so."""
    count, failed = 0, list[Failure]()
    for other, target in todo:
        # the same name each time: what a killed run leaves, the next one takes
        part = target.with_name(f".jaxstyle-{hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16]}.part")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                shutil.copy2(other.path, part)
                files.replace(part, target)
            finally:
                part.unlink(missing_ok=True)
            count += 1
        except OSError as error:
            words = f"{target}: cannot be copied: {os_problem(error)}"
            if error.errno in workers.FULL:
                return count, failed, words
            failed.append(Failure(other.path, (), other.name, words))
    return count, failed, None
