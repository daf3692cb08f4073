"""The keyword arguments of folders and data sets: those of a single picture, and more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jaxstyle.controls.controls import Controls
from jaxstyle.painting import options as picture
from jaxstyle.painting.options import Options, Sorted


class FolderOptions(Options, total=False):
    """Those of `jaxstyle.stylize_folder`."""

    seed: int | None


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


def sort(kind: Any, controls: Controls | None, options: Mapping[str, Any]) -> Sorted:
    """Makes groups of keyword arguments.

    Args:
      kind: the `TypedDict` that they are of.
      controls: see `jaxstyle.painting.options.sort`.
      options: the keyword arguments.

    Returns:
      A `Sorted`; what ``kind`` has beside `Options` is its ``rest``.

    Raises:
      TypeError: there is no such option.
      ValueError: a control is out of range.
    """
    if unknown := sorted(set(options) - kind.__optional_keys__):
        raise TypeError(f"unexpected keyword argument {unknown[0]!r}")
    more = kind.__optional_keys__ - Options.__optional_keys__
    found = picture.sort(controls, {name: value for name, value in options.items() if name not in more})
    return found._replace(rest={name: value for name, value in options.items() if name in more})
