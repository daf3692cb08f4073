"""Pairs that are fitted at once: their pictures, and how one program computes several of them on several devices.

Pairs whose photos have one size are rows of the same arrays. The rows are shared out among devices, and what a device
has is one `jax.vmap`; a network that all pairs share, such as VGG, then sees a batch. Pairs do not know of each other:
every one is drawn from the run's key, and what it becomes differs from a fit on its own by rounding only.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxstyle import image
from jaxstyle.arrays import Array, Params
from jaxstyle.methods.inr import step
from jaxstyle.methods.inr.schedule import Refine, Schedule
from jaxstyle.methods.inr.step import FitState
from jaxstyle.painting.picture import repaint
from train import pairs
from train.devices import AXIS, make_mesh
from train.pairs import PairsError

T = TypeVar("T")
Step = Callable[[Array, FitState, Any, Params], tuple[FitState, dict[str, Array]]]


class Pair(NamedTuple):
    """A photo and a painting at the size of the fit, float32 ``(H, W, 3)`` in [0, 1]."""

    name: str  # of the pair's folder in the run's; "" where the run has one pair
    content: np.ndarray
    style: np.ndarray

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the photo."""
        return self.content.shape[1], self.content.shape[0]

    @property
    def fingerprint(self) -> str:
        """A digest of the pixels."""
        parts = [hashlib.sha256(pixels.tobytes()).digest() for pixels in (self.content, self.style)]
        return hashlib.sha256(b"".join(parts)).hexdigest()[:12]

    def tag(self, term: str) -> str:
        """What a term of this pair is called beside those of others."""
        return f"{self.name}/{term}" if self.name else term


def read_pair(content: str, style: str, size: int, name: str = "") -> Pair:
    """Reads two pictures, brought to about ``size * size`` pixels, their shapes kept.

    Raises:
      PairsError: one of them cannot be read.
    """
    try:
        found = [step.resized(image.read(file).pixels, file, size) for file in (content, style)]
    except image.ImageError as error:
        raise PairsError(str(error)) from None
    return Pair(name, found[0], found[1])


def read_file(file: str, size: int) -> list[Pair]:
    """The pairs of a text file with lines of PHOTO tab PAINTING, named ``<photo>_<painting>`` without endings.

    Raises:
      PairsError: the file cannot be read or holds no pairs, or a line is wrong: it is named.
    """
    found: list[Pair] = []
    seen: dict[str, int] = {}
    for number, content, style in pairs.lines(file):
        name = f"{Path(content).stem}_{Path(style).stem}"
        first = seen.setdefault(name.casefold(), number)  # folders of some systems do not tell A from a
        if first != number:
            raise PairsError(f"{file}: line {number}: results would go to {name}, like those of line {first}")
        try:
            found.append(read_pair(content, style, size, name))
        except PairsError as error:
            raise PairsError(f"{file}: line {number}: {error}") from None
    if not found:
        raise PairsError(f"{file}: holds no pairs")
    return found


def check_sizes(chosen: Sequence[Pair], encoder: Params, schedule: Schedule) -> None:
    """Raises PairsError where the smallest of the pictures is too small for VGG in some stage; the pair is named."""
    smallest = min(chosen, key=lambda pair: min(*pair.content.shape[:2], *pair.style.shape[:2]))
    for number, stage in enumerate(schedule.stages):
        if isinstance(stage, Refine) and stage.steps:
            make = partial(step.stage_data, schedule, number, content=smallest.content, style=smallest.style)
            try:
                jax.eval_shape(lambda encoder, make=make: make(encoder), encoder)
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


def create_state(key: Array, schedule: Schedule, count: int) -> FitState:
    """The state before the first step of so many pairs, NumPy arrays with a row for each; all rows are alike.

    The parameters are without the size of a picture, which the pairs need not share; see `fitted`.
    """
    state = step.create_state(key, schedule, (0, 0))
    return jax.tree.map(lambda leaf: np.repeat(np.asarray(leaf)[None], count, axis=0), state)


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
) -> Any:
    """`jaxstyle.methods.inr.step.stage_data` of a group's members, on its devices.

    Args:
      chosen: all pairs of the run.
      targets: of each, from `stylized`, for stages of regression.
      group: whose data.
      encoder, schedule, stage: see `jaxstyle.methods.inr.step.stage_data`.
    """
    each = [
        step.stage_data(schedule, stage, encoder, chosen[i].content, chosen[i].style, targets[i]) for i in group.members
    ]
    return spread(jax.tree.map(lambda *leaves: np.stack([np.asarray(leaf) for leaf in leaves]), *each), group)


@functools.cache
def compile_step(mesh: Mesh, each: int, schedule: Schedule, stage: int) -> Step:
    """`jaxstyle.methods.inr.step.fit_step` for the pairs of a group.

    Args:
      mesh, each: of the group.
      schedule, stage: the fit, and which of its stages.

    Returns:
      ``step(key, state, data, encoder) -> (state, terms)``, all but the key and the encoder with a row for each pair.
      The state is donated: do not use it again.
    """
    one = partial(step.fit_step, schedule=schedule, stage=stage)

    def rows(key: Array, state: FitState, data: Any, encoder: Params) -> tuple[FitState, dict[str, Array]]:
        if each > 1:
            return jax.vmap(one, in_axes=(None, 0, 0, None))(key, state, data, encoder)
        state, data = jax.tree.map(lambda leaf: leaf[0], (state, data))
        return jax.tree.map(lambda leaf: leaf[None], one(key, state, data, encoder))

    some, whole = PartitionSpec(AXIS), PartitionSpec()
    shared = jax.shard_map(rows, mesh=mesh, in_specs=(whole, some, some, whole), out_specs=some)
    return jax.jit(shared, donate_argnums=1)
