"""The keyword arguments of folders and data sets: those of a single picture, and more."""

from __future__ import annotations

from collections.abc import Sequence

import jax

from jaxstyle.painting.options import Options


class FolderOptions(Options, total=False):
    """Those of `jaxstyle.stylize_folder`."""

    seed: int | None
    devices: Sequence[jax.Device] | None


class _DatasetOptions(FolderOptions, total=False):
    styles_per_image: int
    copy_other: bool
    keep_names: bool


class DatasetOptions(_DatasetOptions, total=False):
    """Those of `jaxstyle.stylize_dataset`."""

    shard: tuple[int, int] | None


class RayOptions(_DatasetOptions, total=False):
    """Those of `jaxstyle.on_ray.stylize_dataset`, which refuses ``devices``: every worker has its own."""

    shards: int
    cpus: float
    gpus: float
