"""Paintings refined: the loop over the steps of `jaxstyle.methods.refine`, of pictures as a whole and in windows.

A picture whose gradient fits in memory is one window, and a step is one program. Of a larger one every step looks twice
at overlapping windows: first for the sums of the whole picture, then for the gradient of each window's pixels, which
are added up where windows overlap. That is the gradient of the picture as a whole, so there are no seams; it takes half
as long again, and what the overlaps add. The picture itself with its momentum and the features of the photo are in
memory, 100 bytes a pixel.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxstyle.arrays import Array
from jaxstyle.methods import refine
from jaxstyle.methods.interface import Loaded, Objective, Style
from jaxstyle.methods.refine import Aim, Judging, Sums
from jaxstyle.painting.paint import Canvas, Job
from jaxstyle.painting.plan import Place, chosen_tile, mirrored, plan_tiles, plan_whole

Progress = Callable[[int, int], None]


class Aimed(NamedTuple):
    """Encoded styles of a painting that is to be refined.

    Attributes:
      style: the method's.
      aim: their statistics, see `jaxstyle.methods.refine.aim`.
    """

    style: Style
    aim: Aim


class Refined(NamedTuple):
    """What `refined` found.

    Attributes:
      pixels: float32 ``(H, W, 3)`` in [0, 1].
      curve: ``loss``, ``content`` and ``style`` before each step.
    """

    pixels: np.ndarray
    curve: dict[str, np.ndarray]


def check(loaded: Loaded) -> None:
    """Raises ValueError unless paintings of this model can be refined."""
    if loaded.method.objective is None:
        raise ValueError(f"refine: {loaded.method.kind} has no objective by which its paintings could be refined")


def aim(loaded: Loaded, pictures: np.ndarray, extents: np.ndarray) -> Aim:
    """The statistics of K styles; arguments as those of `jaxstyle.methods.interface.Method.encode_style`."""
    objective, found = _objective(loaded), []
    for picture, extent in zip(pictures, extents, strict=True):
        size = np.maximum(np.asarray(extent, np.int32), loaded.needs.smallest)
        found.append(_aim(objective, loaded.model, picture[None], size))
    return found[0] if len(found) == 1 else jax.tree.map(lambda *leaves: np.concatenate(leaves), *found)


def refined(
    loaded: Loaded,
    job: Job,
    aim: Aim,
    painted: np.ndarray,
    steps: int,
    *,
    tile: int | None = None,
    progress: Progress | None = None,
) -> Refined:
    """A painting, improved.

    Args:
      loaded: the model.
      job: what was painted; of its plan only the extent is looked at.
      aim: the statistics of its styles.
      painted: float32 ``(H, W, 3)`` in [0, 1].
      steps: at least 1.
      tile: side of windows; None: as the memory asks.
      progress: called with the number of steps done and their total.

    Raises:
      ValueError: the method has no objective.
      TileError: the method cannot be looked at in such tiles.
    """
    objective, needs = _objective(loaded), loaded.needs
    height, width = job.plan.extent
    # what is looked at are features of VGG, in windows also where the method itself wants whole pictures
    outer = needs._replace(windowed=True, margins=(0, needs.margins[0]), bytes_per_pixel=objective.bytes_per_pixel)
    side = chosen_tile(height, width, outer, tile)
    plan = plan_whole(height, width, outer) if side is None else plan_tiles(height, width, outer, side)
    if plan.paint_size == plan.reach:  # windows as large as the picture: one is enough
        plan = plan_tiles(height, width, outer, max(plan.reach))
    work = _Work(loaded, objective, job._replace(plan=plan), aim)
    rows, columns = (mirrored(size, length) for size, length in zip((height, width), plan.canvas, strict=True))
    state = _begin(painted[np.ix_(rows, columns)][None])
    curve = []
    for step in range(steps):
        state, terms = work.step(state, np.float32(step), np.float32(refine.rate(step, steps)))
        curve.append(terms)
        if progress is not None:
            jax.block_until_ready(state)
            progress(step + 1, steps)
    pixels = np.clip(np.asarray(_drawn(state.levels, *plan.canvas))[0, :height, :width], 0, 1)
    return Refined(pixels, {name: np.asarray([terms[name] for terms in curve]) for name in curve[0]} if curve else {})


def _objective(loaded: Loaded) -> Objective:
    check(loaded)
    assert loaded.method.objective is not None
    return loaded.method.objective


class _Work:
    """What is the same in every step: the windows of the photo and what is held."""

    def __init__(self, loaded: Loaded, objective: Objective, job: Job, aim: Aim) -> None:
        self._plan, self._model, self._canvas = job.plan, loaded.model, Canvas(job)
        self._judging = Judging(objective, loaded.needs.stride, loaded.needs.smallest)
        self._places = [place for row in job.plan.paint for place in row]
        held = _hold(aim)
        sums, self._photos = None, []
        for place in self._places:
            photo, found = _look(self._judging, self._model, self._window(place), held)
            sums = _added(sums, found)
            self._photos.append(photo if job.plan.whole else np.asarray(photo))
        self._held = _held(held, _single(sums), self._window(self._places[0]).shares, objective.content)

    def _window(self, place: Place) -> Any:
        return self._canvas.window(place, self._plan.paint_size)

    def step(self, state: refine.State, step: np.float32, size: np.float32) -> tuple[refine.State, dict[str, Any]]:
        """The next state, and the terms before it."""
        if self._plan.whole:
            (place,), (photo,) = self._places, self._photos
            return _descend(self._judging, self._model, state, self._window(place), photo, self._held, step, size)
        pixels = np.asarray(_drawn(state.levels, *self._plan.reach))
        sums = None
        for place, photo in zip(self._places, self._photos, strict=True):
            sums = _added(
                sums,
                _measure(self._judging, self._model, self._cut(pixels, place), self._window(place), photo, self._held),
            )
        slopes, terms = _slope(self._judging.objective, _single(sums), self._held)
        gradient = np.zeros_like(pixels)
        for place, photo in zip(self._places, self._photos, strict=True):
            own = self._cut(pixels, place)
            found = _pull(self._judging, self._model, own, self._window(place), photo, self._held, slopes)
            self._cut(gradient, place)[...] += np.asarray(found)
        area = np.float32(self._plan.reach[0] * self._plan.reach[1])
        return _descend_pixels(state, gradient, step, size, area), terms

    def _cut(self, picture: np.ndarray, place: Place) -> np.ndarray:
        tall, wide = self._plan.paint_size
        return picture[:, place.top : place.top + tall, place.left : place.left + wide]


def _added(total: Sums | None, more: Sums) -> Sums:
    """Sums in float64, on the host."""
    found = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), jax.device_get(more))
    return found if total is None else jax.tree.map(np.add, total, found)


def _single(sums: Sums | None) -> Sums:
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float32), sums)


# ---- programs ----------------------------------------------------------------------------------------------

_aim = jax.jit(refine.aim, static_argnums=0)
_hold, _begin = jax.jit(refine.hold), jax.jit(refine.begin)
_held = jax.jit(refine.held, static_argnums=3)
_look = jax.jit(refine.look, static_argnums=0)
_measure = jax.jit(refine.measure, static_argnums=0)
_slope = jax.jit(refine.slope, static_argnums=0)
_pull = jax.jit(refine.pull, static_argnums=0)
_descend = jax.jit(refine.descend, static_argnums=0)
_descend_pixels = jax.jit(refine.descend_pixels)


@functools.partial(jax.jit, static_argnums=(1, 2))
def _drawn(levels: list[Array], height: int, width: int) -> Array:
    return refine.drawn(levels, height, width)
