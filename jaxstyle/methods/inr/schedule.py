"""What a fit of INR-st consists of: stages, schedules, and the presets.

A `Schedule` is a sequence of stages. `Refine` is the paper's step: render the picture at a random degree of style,
compare it through VGG, follow the gradient. `Regress` teaches the network pixels at random points, without VGG: the
photo at alpha 0, a stylized picture at alpha 1, cross-faded between. Its steps cost a small part of the other's, and
the refinement then starts close to its end. `Enlarge` goes on from there: what a render shows beyond the pixels fitted
at. The presets but ``paper`` also have another network, a narrow one with learned grids
(`jaxstyle.methods.inr.grids`), and hold the pixels at alpha 0 while they refine.

Differs from the paper: only the preset ``paper`` is its optimisation, 20 000 steps of Adam at 256 x 256 pixels with a
learning rate of 1e-3 and betas of 0.5 and 0.99. `jaxstyle.inr` lists what differs in the objective.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jaxstyle.methods import inr
from jaxstyle.methods.inr import detail

SMALLEST = 16
"""Pixels that a side has at least, however long the other: VGG's shallow layers need 4, at half size."""
LARGEST = 13_377
"""Of a schedule's size: as many pixels as the largest picture that is read."""


@dataclass(frozen=True)
class Regress:
    """A stage of pixel regression at random points.

    Attributes:
      steps: how many.
      points: points of one step, each with its own degree of style.
      ends: share of the points at exactly alpha 0 or 1, half of them at either; the others' alphas are uniform.
      lr, lr_end: learning rate of the first and of the last step, geometric between; by default constant.
    """

    steps: int
    points: int = 8192
    ends: float = 0.7
    lr: float = 1e-3
    lr_end: float | None = None

    def __post_init__(self) -> None:
        """Raises ValueError naming the field that no stage can have."""
        _check_stage(self, "points")
        if not 0 <= self.ends <= 1:
            raise ValueError(f"ends: expected a share in [0, 1], got {self.ends}")


@dataclass(frozen=True)
class Refine:
    """A stage of the paper's optimisation; the defaults are the paper's.

    Attributes:
      steps: how many.
      shrink: how many times smaller the pictures are than the schedule's size.
      alphas: degrees of style rendered in one step; with an even number half of them mirror the other half.
      gradient_every: let the gradient go through one pixel of so many, drawn anew each step, see `inr.objective`.
      anchor: weight of the mean squared difference to the photo's pixels at alpha 0, at ``points`` random points. VGG
        sees colours but dimly: few steps of the paper's objective leave a tint at alpha 0, which this term forbids.
      points: of the anchor.
      lr, lr_end: see `Regress`.
    """

    steps: int
    shrink: float = 1.0
    alphas: int = 1
    gradient_every: int = 1
    anchor: float = 0.0
    points: int = 4096
    lr: float = 1e-3
    lr_end: float | None = None

    def __post_init__(self) -> None:
        """Raises ValueError naming the field that no stage can have."""
        _check_stage(self, "alphas", "gradient_every", "points")
        if not 0 <= self.anchor < math.inf:
            raise ValueError(f"anchor: expected a number of at least 0, got {self.anchor}")
        if not 1 <= self.shrink < math.inf:
            raise ValueError(f"shrink: expected a number of at least 1, got {self.shrink}")


@dataclass(frozen=True)
class Enlarge:
    """A stage that learns what enlarged renders show, see `jaxstyle.methods.inr.enlarge`; the coarse picture stays.

    Attributes:
      steps: how many.
      windows: looked at in one step, all at one zoom.
      side: of a window, in pixels.
      zooms: the lowest and the highest one; their logarithm is uniform.
      each: weight of every window's own Gram distance (squared) beside that of all together.
      near, vectors: weight of the relaxed earth mover's distance, and how many vectors of a window it looks at.
      coarse: weight of the mean squared difference to the coarse picture, of the first step.
      psnr, pace: in dB, how near windows are to be to the coarse picture, and how fast the weight of that follows:
        after a step it is up to ``exp(pace)`` times larger where they were further from it, or smaller. 0: never.
      lr, lr_end: see `Regress`.
    """

    steps: int
    windows: int = 4
    side: int = 112
    zooms: tuple[float, float] = (1.5, 8.0)
    each: float = 1.0
    near: float = 1.0
    vectors: int = 512
    coarse: float = 1000.0
    psnr: float = 30.5
    pace: float = 0.1
    lr: float = 1e-2
    lr_end: float | None = 5e-4

    def __post_init__(self) -> None:
        """Raises ValueError naming the field that no stage can have."""
        _check_stage(self, "windows", "side", "vectors")
        if len(self.zooms) != 2 or not 1 < self.zooms[0] <= self.zooms[1] < math.inf:
            raise ValueError(f"zooms: expected two numbers above 1, the lower one first, got {self.zooms}")
        for name in ("each", "near", "coarse", "psnr", "pace"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name}: expected a number of at least 0, got {getattr(self, name)}")


Stage = Regress | Refine | Enlarge


def _check_stage(stage: Any, *counts: str) -> None:
    for name in ("steps", *counts):
        value, least = getattr(stage, name), 0 if name == "steps" else 1
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"{name}: expected a whole number of at least {least}, got {value!r}")
    for name in ("lr", "lr_end"):
        value = getattr(stage, name)
        if value is not None and not 0 < value < math.inf:
            raise ValueError(f"{name}: expected a positive number, got {value}")


@dataclass(frozen=True)
class Schedule:
    """Everything that decides a fit but the pictures and the key.

    Attributes:
      stages: one after the other.
      spec: the network.
      loss: what `Refine` minimises.
      size: pictures are brought to about ``size * size`` pixels, their shape kept; see `fitted_size`.
      betas: of Adam, in all stages.
    """

    stages: tuple[Stage, ...]
    spec: inr.Spec = field(default_factory=inr.Spec)
    loss: inr.Loss = field(default_factory=inr.Loss)
    size: int = 256
    betas: tuple[float, float] = (0.5, 0.99)

    def __post_init__(self) -> None:
        """Raises ValueError naming the field that no schedule can have."""
        if not self.stages or not self.steps:
            raise ValueError("stages: expected at least one, with at least one step")
        if isinstance(self.size, bool) or not isinstance(self.size, int) or self.size < SMALLEST:
            raise ValueError(f"size: expected a whole number of at least {SMALLEST}, got {self.size!r}")
        if self.size > LARGEST:
            raise ValueError(f"size: expected at most {LARGEST}, got {self.size}")
        if self.enlarges and not self.spec.detail:
            raise ValueError("spec: expected detail of at least 1 cell, for a stage that enlarges, got 0")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas: expected numbers in [0, 1), got {self.betas}")

    @property
    def enlarges(self) -> bool:
        """Whether a stage looks at the painting's own pixels."""
        return any(isinstance(stage, Enlarge) for stage in self.stages)

    @property
    def steps(self) -> int:
        """Steps of all stages together."""
        return sum(stage.steps for stage in self.stages)

    def starts(self) -> tuple[int, ...]:
        """Steps done before each stage."""
        return tuple(sum(stage.steps for stage in self.stages[:i]) for i in range(len(self.stages)))

    def left(self, done: int = 0) -> Iterator[tuple[int, range]]:
        """Number of each stage that has steps left after ``done`` of all, with these steps, counted from 1."""
        for number, (start, stage) in enumerate(zip(self.starts(), self.stages, strict=True)):
            if steps := range(max(start, done) + 1, start + stage.steps + 1):
                yield number, steps

    def stage_at(self, step: int) -> int:
        """Number of the stage that does the step after ``step`` of them; the last one's when all are done."""
        return max(i for i, start in enumerate(self.starts()) if start <= step and self.stages[i].steps)

    def with_steps(self, steps: int) -> Schedule:
        """The same with so many steps in all, every stage with its share of them.

        Raises:
          ValueError: ``steps`` is no whole number of at least 1.
        """
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
            raise ValueError(f"steps: expected a whole number of at least 1, got {steps!r}")
        starts = [round(steps * start / self.steps) for start in (*self.starts(), self.steps)]
        counts = np.diff(starts).tolist()
        stages = (dataclasses.replace(stage, steps=n) for stage, n in zip(self.stages, counts, strict=True))
        return dataclasses.replace(self, stages=tuple(stages))


def grids(size: int) -> tuple[int, ...]:
    """Cells of the learned grids for pictures of about ``size * size`` pixels: doubling from 8 up to one a pixel."""
    return (*(8 << k for k in range(size.bit_length()) if 8 << k < size), size)


_GRIDS = inr.Spec(octaves=4, omega=math.pi, grids=grids(256), width=64, depth=3, skip=0, bottleneck=16)
PRESETS = {
    "paper": Schedule((Refine(20_000),)),
    "fast": Schedule(
        (
            Regress(300, lr=1e-2, lr_end=2e-3),
            Refine(150, shrink=2, alphas=2, anchor=300, lr=2e-3, lr_end=1e-3),
            Refine(120, alphas=2, anchor=300, lr=1e-3, lr_end=3e-4),
        ),
        spec=_GRIDS,
    ),
    "zoom": Schedule(
        (
            Regress(300, lr=1e-2, lr_end=2e-3),
            Refine(150, shrink=2, alphas=2, anchor=300, lr=2e-3, lr_end=1e-3),
            Refine(120, alphas=2, anchor=300, lr=1e-3, lr_end=3e-4),
            Enlarge(480),
        ),
        spec=dataclasses.replace(_GRIDS, detail=detail.cells(256)),
    ),
    "preview": Schedule(
        (
            Regress(300, lr=1e-2, lr_end=2e-3),
            Refine(60, shrink=2, alphas=2, anchor=300, lr=2e-3, lr_end=1e-3),
        ),
        spec=_GRIDS,
    ),
}
"""``paper``: the paper's optimisation. ``fast``: pixels first, then its objective, coarse to fine. ``zoom``: that, and
then detail for enlargements. ``preview``: a first look."""


CONDITIONED = Schedule((Refine(60, alphas=2, lr=3e-2, lr_end=2e-3),))
"""Of a fit that starts from a conditioned picture, which is close to its end (`jaxstyle.painting.conditioned`)."""


def preset(name: str, *, size: int | None = None, steps: int | None = None) -> Schedule:
    """One of `PRESETS`, with another size (and grids as fine as that) or number of steps where they are given.

    Raises:
      ValueError: there is none of that name, or ``size`` or ``steps`` is out of range.
    """
    if name not in PRESETS:
        raise ValueError(f"preset: expected one of {', '.join(PRESETS)}, got {name!r}")
    schedule = PRESETS[name]
    if size is not None and size != schedule.size:
        schedule = dataclasses.replace(schedule, size=size)
        if schedule.spec.grids:
            flow = detail.cells(size) if schedule.spec.detail else 0
            spec = dataclasses.replace(schedule.spec, grids=grids(size), detail=flow)
            schedule = dataclasses.replace(schedule, spec=spec)
    return schedule if steps is None else schedule.with_steps(steps)


def fitted_size(shape: tuple[int, ...], size: int) -> tuple[int, int]:
    """(height, width) of about ``size * size`` pixels, for a picture of ``shape``, which begins with height and width.

    The picture keeps its shape, and a fit takes as long whatever that is. No side gets shorter than `SMALLEST`.
    """
    height, width = shape[:2]
    ratio = math.sqrt(width / height)
    return max(SMALLEST, round(size / ratio)), max(SMALLEST, round(size * ratio))
