"""Options that travel together: what limits the work, and how results are written.

The front doors take them as keyword arguments beside the controls, `Options`; `sort` makes groups of them, which is
what everything behind the front doors is given.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax

from jaxstyle import image
from jaxstyle.controls.controls import Controls, Fields
from jaxstyle.runtime import platforms

PathLike = str | os.PathLike[str]

DEFAULT_WEIGHTS = "adain_vgg16"
"""The model where none is named."""


@dataclass(frozen=True)
class Limits:
    """What a run may use; none of it changes a result.

    Attributes:
      max_pixels: the largest picture that is read.
      tile: largest side of a tile in pixels, a multiple of the method's stride; painted in tiles also if it would fit
        as a whole. None: as the memory asks.
      scratch: folder for temporary files of pictures in tiles; by default that of the result.
      devices: by default all of this process.
    """

    max_pixels: int = image.MAX_PIXELS
    tile: int | None = None
    scratch: PathLike | None = None
    devices: Sequence[jax.Device] | None = None

    def __post_init__(self) -> None:
        """Brings lists to tuples; raises ValueError where ``devices`` are none."""
        object.__setattr__(self, "devices", platforms.checked_devices(self.devices))


@dataclass(frozen=True)
class Output:
    """How a result is written.

    Attributes:
      format: instead of the suffix, as in `jaxstyle.image.write`.
      overwrite: replace what is there. Files that are read are never replaced.
      keep: more files that are never replaced.
      bits: of the samples, 8 or 16; None: as the content, or 8.
    """

    format: str | None = None
    overwrite: bool = False
    keep: tuple[PathLike, ...] = ()
    bits: int | None = None


class Options(Fields, total=False):
    """The keyword arguments of the front doors: fields of `Controls`, `Limits` and `Output`, and the model."""

    weights_file: PathLike
    max_pixels: int
    tile: int | None
    scratch: PathLike | None
    format: str | None
    overwrite: bool


class Sorted(NamedTuple):
    """What `sort` made of keyword arguments.

    Attributes:
      controls, limits, output: the groups.
      weights_file: the model's name or path; None where none was given.
      rest: those of no group.
    """

    controls: Controls
    limits: Limits
    output: Output
    weights_file: str | None
    rest: dict[str, Any]


def sort(kind: Any, controls: Controls | None, options: Mapping[str, Any]) -> Sorted:
    """Makes groups of the keyword arguments of a front door.

    Args:
      kind: the `TypedDict` that they are of, such as `Options`.
      controls: whose fields hold where ``options`` has none of that name; by default ``Controls()``.
      options: the keyword arguments.

    Returns:
      A `Sorted`; what is of no group is its ``rest``.

    Raises:
      TypeError: there is no such option, or ``weights_file`` is no name and no path.
      ValueError: a control is out of range.
    """
    if unknown := sorted(set(options) - kind.__optional_keys__):
        raise TypeError(f"unexpected keyword argument {unknown[0]!r}")
    left = dict(options)

    def take(group: Any) -> dict[str, Any]:
        return {field.name: left.pop(field.name) for field in dataclasses.fields(group) if field.name in left}

    chosen = dataclasses.replace(controls or Controls(), **take(Controls))
    limits, output = Limits(**take(Limits)), Output(**take(Output))
    weights_file = left.pop("weights_file", None)
    if not isinstance(weights_file, str | os.PathLike | None):
        raise TypeError(f"weights_file: expected a name or a path, got {weights_file!r}")
    return Sorted(chosen, limits, output, None if weights_file is None else os.fspath(weights_file), left)
