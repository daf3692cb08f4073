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
from jaxstyle.controls.controls import Controls, Fields
from jaxstyle.folders import dataset, dataset_plan
from jaxstyle.folders.dataset import DatasetReport
from jaxstyle.folders.kept import BatchError
from jaxstyle.painting.options import DEFAULT_WEIGHTS, PathLike, sort
from jaxstyle.runtime import cache
from jaxstyle.runtime.progress import Progress


def stylize_dataset(
    folder: PathLike,
    output: PathLike,
    styles: PathLike | Sequence[PathLike],
    controls: Controls | None = None,
    *,
    seed: int | None = None,
    shards: int = 16,
    cpus: float = 1,
    gpus: float = 0,
    styles_per_image: int = 1,
    copy_other: bool = False,
    keep_names: bool = False,
    format: str | None = None,
    weights_file: PathLike = DEFAULT_WEIGHTS,
    overwrite: bool = False,
    max_pixels: int = image.MAX_PIXELS,
    progress: Callable[[Progress], None] | None = None,
    **fields: Unpack[Fields],
) -> DatasetReport:
    """`jaxstyle.stylize_dataset` by the workers of a Ray cluster, several shards at a time.

    Ray is started on this machine if it is not connected to a cluster. Workers that die are replaced, and their shard
    goes on where it was. If all is stopped, the same call does what is missing, also with another number of shards.

    Args:
      folder, output, styles, controls, fields, seed, styles_per_image, copy_other, keep_names, format, weights_file,
        overwrite, max_pixels: see `jaxstyle.stylize_dataset`.
      shards: into how many parts the work is split: some for every worker, so that all end at about the same time.
      cpus, gpus: what a worker takes of the cluster; jax sees that many GPUs.
      progress: called as shards are done.

    Returns:
      A `DatasetReport` of all shards; its ``manifest`` is a pattern.

    Raises:
      ImportError: Ray is not installed.
      ValueError: as `jaxstyle.stylize_dataset`, or the number of shards is not positive.
    """
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
        [os.path.abspath(place) for place in places],
        _absolute(sort(controls, fields).controls),
        seed=seed,
        styles_per_image=styles_per_image,
        copy_other=copy_other,
        keep_names=keep_names,
        format=format,
        overwrite=overwrite,
    )
    file = os.path.abspath(weights_file) if os.path.exists(weights_file) else os.fspath(weights_file)
    options: dict[str, Any] = {"weights_file": file, "overwrite": overwrite, "max_pixels": max_pixels}
    rows = [
        {"number": number, "count": shards, "plan": pickle.dumps(whole.shard(number, shards))}
        for number in range(1, shards + 1)
    ]
    todo = ray.data.from_items(rows, override_num_blocks=shards)
    tell, total = progress or (lambda _: None), len(whole.jobs)
    tell(Progress(total, 0, 0, 0))
    reports: list[DatasetReport] = []
    for row in todo.map(_carried_out, fn_kwargs=options, num_cpus=cpus, num_gpus=gpus).iter_rows():
        if row["error"]:
            raise BatchError(row["error"])
        reports.append(pickle.loads(row["report"]))
        done, kept = sum(report.done for report in reports), sum(report.kept for report in reports)
        tell(Progress(total, kept, done, sum(len(report.failed) for report in reports)))
    return _together(reports, time.perf_counter() - start)


def _carried_out(row: dict[str, Any], **options: Any) -> dict[str, Any]:
    """A shard, in a worker: its report, or what is wrong with an argument."""
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # workers may share a GPU
    cache.enable()
    try:
        share, shard = pickle.loads(row["plan"]), (int(row["number"]), int(row["count"]))
        return {"report": pickle.dumps(dataset.carry_out(share, shard, **options)), "error": ""}
    except ValueError as error:
        return {"report": b"", "error": str(error)}


def _together(reports: Sequence[DatasetReport], seconds: float) -> DatasetReport:
    """One report of all shards."""
    tried = sum(report.done + len(report.failed) for report in reports)
    return dataclasses.replace(
        reports[0],
        manifest=os.path.join(reports[0].folder, f"jaxstyle-manifest-*-of-{len(reports)}.jsonl"),
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
