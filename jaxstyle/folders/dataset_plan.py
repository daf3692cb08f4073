"""What is to be done for a data set: which pictures get which styles, and how the work is divided.

Names only: folders are listed, no picture is opened.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jaxstyle.controls.controls import Controls
from jaxstyle.folders import find, manifest, pairing
from jaxstyle.folders.find import Found, PairError
from jaxstyle.folders.kept import BatchError
from jaxstyle.folders.pairing import Job
from jaxstyle.painting.options import Output, PathLike


@dataclass(frozen=True)
class Recipe:
    """What a data set is made into.

    Attributes:
      seed: of the draw.
      styles_per_image, copy_other, keep_names: see `jaxstyle.stylize_dataset`.
    """

    seed: int | None = None
    styles_per_image: int = 1
    copy_other: bool = False
    keep_names: bool = False


@dataclass(frozen=True)
class Plan:
    """What is to be done for a data set, or for a shard of it.

    Attributes:
      folder, output: the data set, and where the results go.
      jobs: the results.
      others: the files to be copied.
      ignored: how many files are neither pictures nor copied.
      seed: by which the styles were drawn.
      styles_per_image: how many each picture has.
      remarks: sentences for the user about the folders.
    """

    folder: str
    output: str
    jobs: tuple[Job, ...]
    others: tuple[Found, ...]
    ignored: int
    seed: int
    styles_per_image: int
    remarks: tuple[str, ...] = ()

    def shard(self, number: int, count: int) -> Plan:
        """The part of the ``number``-th of ``count`` shards; all results of a picture are in one.

        Raises:
          ValueError: there is no such shard.
        """
        if not 1 <= number <= count:
            raise ValueError(f"shard: expected (i, n) with i from 1 to n, got ({number}, {count})")
        jobs = tuple(
            job for job in self.jobs if shard_of(Path(job.content).relative_to(self.folder).as_posix(), count) == number
        )
        others = tuple(other for other in self.others if shard_of(other.name, count) == number)
        return dataclasses.replace(self, jobs=jobs, others=others)


def shard_of(name: str, count: int) -> int:
    """Which of ``count`` shards a file belongs to, from 1, by a hash of its name in the data set and nothing else."""
    return 1 + int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()) % count


def plan(
    folder: PathLike,
    output: PathLike,
    styles: PathLike | Sequence[PathLike],
    controls: Controls,
    recipe: Recipe,
    written: Output,
) -> Plan:
    """Lists a data set and draws the styles.

    Args:
      folder, output, styles, controls: see `jaxstyle.stylize_dataset`; so are the errors.
      recipe: what it is made into.
      written: ``format`` of the results; without ``overwrite``, those of another draw are refused.
    """
    root, target = os.fspath(folder), os.fspath(output)
    if not os.path.isdir(root):
        raise PairError(f"{root}: {'is no' if os.path.lexists(root) else 'no such'} folder")
    if Path(os.path.realpath(target)).is_relative_to(os.path.realpath(root)):
        raise BatchError(f"{target}: lies in {root}, results would be among its pictures; choose a folder beside it")
    contents = find.find([root], "folder", recursive=True)
    looks = find.find(
        [styles] if isinstance(styles, str | os.PathLike) else styles, "styles", recursive=True, style=True
    )
    most, k = len(looks.pictures), recipe.styles_per_image
    if not 1 <= k <= most:
        raise ValueError(f"styles_per_image: expected 1 to {most}, as many as there are styles, got {k}")
    if recipe.keep_names and k > 1:
        raise ValueError(f"keep_names: {k} results of a picture cannot all have its name")
    seed = pairing.checked_seed(recipe.seed)
    jobs = pairing.make_jobs(
        contents,
        looks,
        controls,
        pair="random",
        seed=seed,
        k=k,
        format=written.format,
        keep_names=recipe.keep_names,
    )
    if not written.overwrite:
        _refuse_mixture(jobs, target)
    others = tuple(o for o in contents.others if os.path.isfile(o.path) and not manifest.is_manifest(Path(o.name).name))
    copied = others if recipe.copy_other else ()
    remarks = (*contents.notices, *looks.notices)
    return Plan(root, target, tuple(jobs), copied, contents.ignored - len(copied), seed, k, remarks)


def _refuse_mixture(jobs: Sequence[Job], output: str) -> None:
    """Raises BatchError if there are results of the same pictures that would not be made now."""
    planned, sources = {job.output for job in jobs}, {os.path.abspath(job.content) for job in jobs}
    for record in manifest.records(output):
        name = record["output"]
        if record["status"] == "done" and name not in planned and record.get("source") in sources:
            path = os.path.join(output, *name.split("/"))
            if os.path.lexists(path):
                how = f"seed {record.get('seed')}, other styles, more of them, or other names"
                raise BatchError(f"{path}: was made by another draw ({how}); choose another folder, or remove it")
