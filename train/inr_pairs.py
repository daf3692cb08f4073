"""Pairs that are fitted at once: their pictures, and how one program computes several of them on several devices.

Pairs whose photos have one size are rows of the same arrays. The rows are shared out among devices, and what a device
has is one `jax.vmap`; a network that all pairs share, such as VGG, then sees a batch. Pairs do not know of each other:
every one is drawn from the run's key, and what it becomes differs from a fit on its own by rounding only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxstyle import image
from jaxstyle.arrays import Array, Params
from jaxstyle.methods.inr import loop, step
from jaxstyle.methods.inr.schedule import Schedule
from jaxstyle.painting import fit
from jaxstyle.painting.picture import repaint
from train import pairs
from train.devices import AXIS, make_mesh
from train.pairs import Pair, PairsError

T = TypeVar("T")


def read_picture(file: str, size: int) -> np.ndarray:
    """Reads a picture, brought to about ``size * size`` pixels, its shape kept: float32 (H, W, 3) in [0, 1].

    Raises:
      PairsError: it cannot be read.
    """
    return loop.resized(read_own(file), file, size)


def read_own(file: str) -> np.ndarray:
    """Reads a picture as it is: float32 (H, W, 3) in [0, 1].

    Raises:
      PairsError: it cannot be read.
    """
    try:
        return image.read(file).pixels
    except image.ImageError as error:
        raise PairsError(str(error)) from None


def read_pair(content: str, style: str, size: int, *, own: bool = False) -> Pair:
    """The one pair of a run, see `read_picture`; ``own``: with the painting's own pixels beside."""
    return Pair("", read_picture(content, size), read_picture(style, size), read_own(style) if own else None)


def read_file(file: str, size: int, *, own: bool = False) -> list[Pair]:
    """The pairs of a text file, see `train.pairs.from_file`; each has a folder. ``own``: see `read_pair`."""
    return pairs.from_file(file, partial(read_picture, size=size), own=read_own if own else None, folders=True)


def check_sizes(chosen: Sequence[Pair], encoder: Params, schedule: Schedule) -> None:
    """Raises PairsError where the smallest of the pictures is too small for VGG in some stage; the pair is named."""
    smallest = min(chosen, key=lambda pair: min(*pair.content.shape[:2], *pair.style.shape[:2]))
    try:
        fit.check_sizes(schedule, encoder, smallest.content, smallest.style)
    except ValueError as error:
        raise PairsError(f"{smallest.name}: {error}" if smallest.name else str(error)) from None


# ---- rows of arrays, devices -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Group:
    """Pairs that are computed by one program.

    Attributes:
      members: their places among the run's pairs.
      mesh: the devices that share them, one axis.
    """

    members: tuple[int, ...]
    mesh: Mesh

    @property
    def each(self) -> int:
        """Pairs of one device; where they do not go up evenly, the last pair is computed more than once."""
        return -(-len(self.members) // self.mesh.size)

    @property
    def sharding(self) -> NamedSharding:
        """Of arrays that have a row for each pair."""
        return NamedSharding(self.mesh, PartitionSpec(AXIS))


def group(sizes: Sequence[tuple[int, int]], devices: Sequence[jax.Device], at_once: int) -> list[Group]:
    """Shares out pairs: those of one size together, at most ``at_once`` of them on a device, all devices in turn.

    Args:
      sizes: of each pair's photo.
      devices: where to compute.
      at_once: pairs that a device computes side by side; more are computed one group after the other.
    """
    alike: dict[tuple[int, int], list[int]] = {}
    for number, size in enumerate(sizes):
        alike.setdefault(size, []).append(number)
    found: list[Group] = []
    used = 0
    for numbers in alike.values():
        most = at_once * len(devices)
        for first in range(0, len(numbers), most):
            members = numbers[first : first + most]
            each = -(-len(members) // len(devices))
            count = -(-len(members) // each)
            mesh = make_mesh([devices[(used + i) % len(devices)] for i in range(count)])
            found.append(Group(tuple(members), mesh))
            used += count
    return found


def spread(tree: T, group: Group) -> T:
    """Arrays with a row for each member -> the group's devices."""
    rows = np.minimum(np.arange(group.each * group.mesh.size), len(group.members) - 1)
    return jax.device_put(jax.tree.map(lambda leaf: np.asarray(leaf)[rows], tree), group.sharding)


def members_of(tree: T, group: Group) -> T:
    """Arrays with a row for each of the run's pairs -> a row for each member."""
    return jax.tree.map(lambda leaf: np.asarray(leaf)[list(group.members)], tree)


def collect(trees: Sequence[Any], groups: Sequence[Group]) -> Any:
    """What the groups' devices hold -> NumPy arrays with a row for each of the run's pairs."""
    order = np.argsort(np.concatenate([group.members for group in groups]))

    def join(*leaves: Array) -> np.ndarray:
        rows = [np.asarray(leaf)[: len(group.members)] for leaf, group in zip(leaves, groups, strict=True)]
        return np.concatenate(rows)[order]

    return jax.tree.map(join, *trees)


# ---- what is computed --------------------------------------------------------------------------------------


def stylized(pair: Pair) -> np.ndarray:
    """What AdaIN makes of a pair, the target of `Regress` at alpha 1, as `jaxstyle.fit` does it."""
    return repaint(pair.content, pair.style)


def stage_data(
    chosen: Sequence[Pair],
    targets: Sequence[np.ndarray | None],
    group: Group,
    encoder: Params,
    schedule: Schedule,
    stage: int,
    state: step.FitState,
) -> Any:
    """`jaxstyle.methods.inr.step.stage_data` of a group's members, on its devices.

    Args:
      chosen: all pairs of the run.
      targets: of each, from `stylized`, for stages of regression.
      group: whose data.
      encoder, schedule, stage: see `jaxstyle.methods.inr.step.stage_data`.
      state: the group's, a row for each member.
    """
    each = []
    for row, i in enumerate(group.members):
        pair, params = chosen[i], jax.tree.map(lambda leaf, row=row: np.asarray(leaf[row]), state.params)
        pictures = pair.content, pair.style, targets[i], pair.painting
        each.append(step.stage_data(schedule, stage, encoder, *pictures, params=params))
    return spread(jax.tree.map(lambda *leaves: np.stack([np.asarray(leaf) for leaf in leaves]), *each), group)
