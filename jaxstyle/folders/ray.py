"""A data set on a cluster: the shards of `jaxstyle.folders.dataset` as rows of a Ray Data set.

For data sets too large for one machine, where Ray (https://docs.ray.io, ``pip install 'jaxstyle[ray]'``) is running
already. All machines see the same folders by the same paths, on a shared file system. The results and the manifests
are those of the command ``jaxstyle stylize-dataset --shard``, which may do the rest, and the other way round.
"""

from __future__ import annotations

import dataclasses
import os
import pickle
import time
from collections.abc import Callable, Sequence
from typing import Any, Unpack

from jaxstyle import image
from jaxstyle.controls.controls import Controls
from jaxstyle.folders import dataset, dataset_plan, manifest
from jaxstyle.folders.dataset import DatasetReport
from jaxstyle.folders.dataset_plan import Recipe
from jaxstyle.folders.kept import BatchError
from jaxstyle.folders.options import RayOptions
from jaxstyle.painting.options import PathLike, sort
from jaxstyle.runtime import cache
from jaxstyle.runtime.progress import Progress
from jaxstyle.styles import absolute


def stylize_dataset(
    folder: PathLike,
    output: PathLike,
    styles: PathLike | Sequence[PathLike],
    controls: Controls | None = None,
    *,
    progress: Callable[[Progress], None] | None = None,
    **options: Unpack[RayOptions],
) -> DatasetReport:
    """`jaxstyle.stylize_dataset` by the workers of a Ray cluster, several shards at a time.

    Ray is started on this machine if it is not connected to a cluster. Workers that die are replaced, and their shard
    goes on where it was. If all is stopped, the same call does what is missing, also with another number of shards.

    Args:
      folder, output, styles, controls: see `jaxstyle.stylize_dataset`.
      progress: called as shards are done.
      options: those of `jaxstyle.stylize_dataset` but ``shard`` and ``devices``, and

        * ``shards``: into how many parts the work is split, by default 16: some for every worker, so that all end at
          about the same time.
        * ``cpus``, ``gpus``: what a worker takes of the cluster, by default one CPU; jax sees that many GPUs.

    Returns:
      A `DatasetReport` of all shards; its ``manifest`` is a pattern.

    Raises:
      ImportError: Ray is not installed.
      ValueError: as `jaxstyle.stylize_dataset`, or the number of shards is not positive.
      TypeError: there is no such option.
    """
    if "devices" in options:
        raise TypeError("unexpected keyword argument 'devices'")
    given = sort(RayOptions, controls, options)
    shards, cpus, gpus = (given.rest.pop(name, usual) for name, usual in (("shards", 16), ("cpus", 1), ("gpus", 0)))
    if shards < 1:
        raise ValueError(f"shards: expected at least 1, got {shards}")
    try:
        import ray.data
    except ImportError as error:
        raise ImportError("on_ray needs Ray Data: pip install 'jaxstyle[ray]'") from error
    start = time.perf_counter()
    places = [styles] if isinstance(styles, str | os.PathLike) else styles
    whole = dataset_plan.plan(
        os.path.abspath(folder),
        os.path.abspath(output),
        [absolute(place) for place in places],
        _absolute(given.controls),
        Recipe(**given.rest),
        given.output,
    )
    file, scratch = given.weights_file, given.limits.scratch
    how = {
        "limits": dataclasses.replace(given.limits, scratch=None if scratch is None else os.path.abspath(scratch)),
        "output": given.output,
        "weights_file": os.path.abspath(file) if file is not None and os.path.exists(file) else file,
    }
    rows = [
        {"number": number, "count": shards, "plan": pickle.dumps(whole.shard(number, shards))}
        for number in range(1, shards + 1)
    ]
    todo = ray.data.from_items(rows, override_num_blocks=shards)
    tell, total = progress or (lambda _: None), len(whole.jobs)
    tell(Progress(total, 0, 0, 0))
    reports: list[DatasetReport] = []
    for row in todo.map(_carried_out, fn_kwargs=how, num_cpus=cpus, num_gpus=gpus).iter_rows():
        if row["error"]:
            raise BatchError(row["error"])
        reports.append(pickle.loads(row["report"]))
        done, kept = sum(report.done for report in reports), sum(report.kept for report in reports)
        tell(Progress(total, kept, done, sum(len(report.failed) for report in reports)))
    return _together(reports, time.perf_counter() - start)


def _carried_out(row: dict[str, Any], **how: Any) -> dict[str, Any]:
    """A shard, in a worker: its report, or what is wrong with an argument."""
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # workers may share a GPU
    cache.enable()
    try:
        share, shard = pickle.loads(row["plan"]), (int(row["number"]), int(row["count"]))
        return {"report": pickle.dumps(dataset.carry_out(share, shard, **how)), "error": ""}
    except ValueError as error:
        return {"report": b"", "error": str(error)}


def _together(reports: Sequence[DatasetReport], seconds: float) -> DatasetReport:
    """One report of all shards."""
    tried = sum(report.done + len(report.failed) for report in reports)
    return dataclasses.replace(
        reports[0],
        manifest=os.path.join(reports[0].folder, manifest.name_of(("*", len(reports)))),
        pictures=sum(report.pictures for report in reports),
        done=sum(report.done for report in reports),
        kept=sum(report.kept for report in reports),
        failed=tuple(failure for report in reports for failure in report.failed),
        stopped=next((report.stopped for report in reports if report.stopped is not None), None),
        notices=sum(report.notices for report in reports),
        seconds=round(seconds, 3),
        pictures_per_second=round(tried / seconds, 3),
        shard=None,
        copied=sum(report.copied for report in reports),
    )


def _absolute(controls: Controls) -> Controls:
    """Controls whose files any process finds."""

    def place(source: image.Source) -> image.Source:
        return os.path.abspath(source) if isinstance(source, str | os.PathLike) else source

    return dataclasses.replace(
        controls,
        alpha_map=None if controls.alpha_map is None else place(controls.alpha_map),
        mask=None if controls.mask is None else tuple(place(source) for source in controls.mask),
    )
