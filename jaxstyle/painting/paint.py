"""The one loop that paints: windows of a picture through a method, whole pictures and tiles alike.

Two passes do, since a method knows of the picture as a whole only what its `survey` says: the first encodes the windows
and adds up their surveys; the second paints, band by band. Windows overlap by what the method sees beyond them, and
borders are mirrored only where the picture ends: the result is that of the picture as a whole, without seams. Where one
window holds the picture both passes are one compiled program.
"""

from __future__ import annotations

import collections
import contextlib
import functools
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxstyle.arrays import Array
from jaxstyle.image.windows import Source
from jaxstyle.methods import METHODS
from jaxstyle.methods.interface import Features, Loaded, Method, Model, Style, Survey, Window
from jaxstyle.painting.plan import Place, Plan, mirrored
from jaxstyle.painting.shares import Shares
from jaxstyle.runtime import programs
from jaxstyle.runtime.scratch import Scratch


class Job(NamedTuple):
    """What is painted.

    Attributes:
      source: the content, ``(H, W, 3)``.
      style: K encoded styles.
      shares: what part each of them has at every place.
      plan: where the windows lie.
    """

    source: Source
    style: Style
    shares: Shares
    plan: Plan


class Begun(NamedTuple):
    """A picture that an earlier run may have begun.

    Attributes:
      bands: the numbers of the bands that are missing, in their order.
      survey: what the earlier run noted, or None.
      note: told the survey of the whole picture once it is known, as JSON takes it: its leaves as lists.
    """

    bands: Sequence[int]
    survey: list[Any] | None
    note: Callable[[list[Any]], None]


def paint(
    loaded: Loaded,
    job: Job,
    *,
    scratch: str | os.PathLike[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
    begun: Begun | None = None,
) -> Generator[np.ndarray, None, None]:
    """Paints a picture in memory that does not grow with its height.

    Args:
      loaded: the model.
      job: what is painted.
      scratch: a folder for nameless temporary files with the features (of AdaIN 32 bytes a pixel, half with bfloat16),
        which saves encoding twice. Where they do not fit, everything is encoded twice after all.
      progress: called with the number of windows done and their total, where there are several.
      begun: of a picture in tiles, what is missing; what painting that must see is encoded, and nothing surveyed again.

    Returns:
      Bands of rows from top to bottom, float32 ``(h, W, 3)`` in [0, 1], together of the content's size, or those that
      are missing; the numbers of `Plan.bands` say which rows they are.

    Raises:
      ValueError: the content is no picture, or there are not as many shares as styles, or more styles than one for a
        model that cannot mix them.
    """
    _check(loaded, job)
    return _bands(loaded, job, scratch, progress, begun)


def _check(loaded: Loaded, job: Job) -> None:
    shape, styles = job.source.shape, jax.tree.leaves(job.style)[0].shape[0]
    if len(shape) != 3 or shape[2] != 3:
        raise ValueError(f"source: expected a picture (H, W, 3), got shape {shape}")
    if styles > 1 and not loaded.needs.mixes:
        raise ValueError(f"style: this model takes one style, got {styles}")
    if job.shares.count != styles:
        raise ValueError(f"shares: expected {styles}, one per style, got {job.shares.count}")


def _bands(
    loaded: Loaded,
    job: Job,
    scratch: str | os.PathLike[str] | None,
    progress: Callable[[int, int], None] | None,
    begun: Begun | None,
) -> Generator[np.ndarray, None, None]:
    plan, canvas = job.plan, Canvas(job)
    height, width = plan.extent
    if plan.whole:
        (place,) = plan.encode
        window, method = canvas.window(place, plan.encode_size), loaded.method
        if loaded.steady is not None:
            yield np.asarray(_steadily(loaded, job.style, window, plan.extent))[:height, :width]
            return
        kind = f"whole-{method.kind}" if METHODS.get(method.kind) is method else ""  # of another one nothing is known
        pixels = programs.run(kind, _whole, loaded.model, job.style, window, static=(method,))
        yield np.asarray(pixels)[:height, :width]
        return
    rows = plan.bands
    missing = range(len(rows)) if begun is None else begun.bands
    known = None if begun is None or begun.survey is None else _from_lists(loaded, job, canvas, begun.survey)
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, plan.windows)

    with _Store(loaded, canvas, scratch) as store:
        places = plan.encode if known is None else _seen(plan, missing) if store.usable else []
        done = plan.windows - len(places) - sum(len(plan.paint[number]) for number in missing)
        survey = _measure(loaded, job, canvas, store, places, known, step)
        if loaded.steady is not None and known is None:
            survey = loaded.steady(plan.extent, survey)
        if begun is not None and known is None:
            begun.note([leaf.tolist() for leaf in jax.tree.leaves(survey)])
        for number in missing:
            top, bottom = rows[number]
            band = np.empty((bottom - top, plan.reach[1], 3), np.float32)
            for place, pixels in _ahead(_painted(loaded, job, canvas, store, survey, plan.paint[number])):
                _, _, left, right = place.core
                found = np.asarray(pixels)[top - place.top : bottom - place.top, left - place.left : right - place.left]
                band[:, left:right] = found
                step()
            yield band[:, :width]


class Canvas:
    """A picture mirrored at the bottom and right, and its windows."""

    def __init__(self, job: Job) -> None:
        self._read, self._shares, self.plan = job.source.read, job.shares, job.plan
        self._rows, self._columns = (
            mirrored(size, length) for size, length in zip(self.plan.extent, self.plan.canvas, strict=True)
        )

    def window(self, place: Place, size: tuple[int, int]) -> Window:
        """The window at a place, with its pixels."""
        ys, xs = self._rows[place.top : place.top + size[0]], self._columns[place.left : place.left + size[1]]
        (top, bottom), (left, right) = ((int(at.min()), int(at.max()) + 1) for at in (ys, xs))
        pixels = self._read(top, bottom, left, right)
        if (bottom - top, right - left) != size:  # some of it is mirrored
            pixels = pixels[np.ix_(ys - top, xs - left)]
        where = np.asarray([place.top, place.left], np.int32)
        shares = self._shares.window(place.top, place.left, *size)
        core, extent = np.asarray(place.core, np.int32), np.asarray(self.plan.extent, np.int32)
        return Window(pixels[None], where, core, extent, shares[None])  # type: ignore[arg-type]


def _measure(
    loaded: Loaded,
    job: Job,
    canvas: Canvas,
    store: _Store,
    places: list[Place],
    known: Survey,
    step: Callable[[], None],
) -> Survey:
    """The first pass: the survey of the whole picture, if not known, and the features, which go into the store."""

    def encoded() -> Iterator[tuple[Place, Features, Survey]]:
        for place in places:
            window = canvas.window(place, job.plan.encode_size)
            features = _encode(loaded.method, loaded.model, window)
            survey = None if known is not None else _survey(loaded.method, loaded.model, features, job.style, window)
            yield place, features, survey

    found: Survey = None
    for place, features, survey in _ahead(encoded()):
        survey = jax.device_get(survey)
        found = survey if found is None else loaded.method.merge(found, survey)
        store.write(place, features)
        step()
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float32), found) if known is None else known


def _seen(plan: Plan, bands: Sequence[int]) -> list[Place]:
    """The windows of the first pass whose features are needed to paint some bands."""
    tall = plan.paint_size[0]
    tops = [plan.paint[number][0].top for number in bands]
    return [p for p in plan.encode if any(p.core[0] < top + tall and top < p.core[1] for top in tops)]


def _from_lists(loaded: Loaded, job: Job, canvas: Canvas, leaves: list[Any]) -> Survey:
    """The survey with these leaves."""
    method, window = loaded.method, canvas.window(job.plan.encode[0], job.plan.encode_size)
    features = jax.eval_shape(method.encode, loaded.model, window)
    structure = jax.tree.structure(jax.eval_shape(method.survey, loaded.model, features, job.style, window))
    return jax.tree.unflatten(structure, [np.asarray(leaf, np.float32) for leaf in leaves])


def _painted(
    loaded: Loaded, job: Job, canvas: Canvas, store: _Store, survey: Survey, places: list[Place]
) -> Iterator[tuple[Place, Array]]:
    """The second pass: one row of windows."""
    plan = job.plan
    for place in places:
        window = canvas.window(place, plan.paint_size)
        features, corner = store.read(place), (0, 0)
        if features is None:
            top, left = (
                min(max(start - plan.margin, 0), n - size)
                for start, n, size in zip((place.top, place.left), plan.reach, plan.encode_size, strict=True)
            )
            features = _encode(
                loaded.method, loaded.model, canvas.window(Place(top, left, place.core), plan.encode_size)
            )
            corner = (place.top - top, place.left - left)
        rest = (np.asarray(corner, np.int32), job.style, survey, window)
        yield place, _paint(loaded.method, store.scales, loaded.model, features, *rest)


T = TypeVar("T")


def _ahead(results: Iterator[T]) -> Iterator[T]:
    """Keeps an accelerator busy while the host looks at an earlier result; on a CPU that would cost memory only."""
    depth = 0 if jax.default_backend() == "cpu" else 2
    waiting: collections.deque[T] = collections.deque()
    for result in results:
        waiting.append(result)
        if len(waiting) > depth:
            yield waiting.popleft()
    yield from waiting


class _Store:
    """The features of a whole picture on disk, if there is a folder with room for them; a context manager.

    Attributes:
      scales: of every leaf of the features, how many pixels a position is.
    """

    def __init__(self, loaded: Loaded, canvas: Canvas, folder: str | os.PathLike[str] | None) -> None:
        plan, self._stack = canvas.plan, contextlib.ExitStack()
        first = canvas.window(plan.encode[0], plan.encode_size)
        shapes = jax.eval_shape(loaded.method.encode, loaded.model, first)
        leaves, self._structure = jax.tree.flatten(shapes)
        self._size = plan.paint_size
        self.scales = tuple(plan.encode_size[0] // leaf.shape[1] for leaf in leaves)
        self._files = [
            Scratch(folder, (plan.reach[0] // s, plan.reach[1] // s, leaf.shape[3]), np.dtype(leaf.dtype))
            for leaf, s in zip(leaves, self.scales, strict=True)
        ]

    def __enter__(self) -> _Store:
        for file in self._files:
            self._stack.enter_context(file)
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    @property
    def usable(self) -> bool:
        """Whether it holds what was written."""
        return all(file.usable for file in self._files)

    def write(self, place: Place, features: Features) -> None:
        """Puts the core of a window's features away."""
        top, bottom, left, right = place.core
        for leaf, s, file in zip(jax.tree.leaves(features), self.scales, self._files, strict=True):
            if self.usable:
                rows = slice((top - place.top) // s, (bottom - place.top) // s)
                columns = slice((left - place.left) // s, (right - place.left) // s)
                file.write(top // s, left // s, np.asarray(leaf)[0, rows, columns])

    def read(self, place: Place) -> Features | None:
        """The features of a window to be painted, or None."""
        if not self.usable:
            return None
        leaves = [
            file.read(place.top // s, place.left // s, *(n // s for n in self._size))[None]
            for s, file in zip(self.scales, self._files, strict=True)
        ]
        return jax.tree.unflatten(self._structure, leaves)


# ---- programs ----------------------------------------------------------------------------------------------


def _steadily(loaded: Loaded, style: Style, window: Window, extent: tuple[int, int]) -> Array:
    """A window that holds the picture, painted with what `Loaded.steady` makes of its survey: (h, w, 3)."""
    assert loaded.steady is not None
    features, survey = _looked_at(loaded.method, loaded.model, style, window)
    survey = loaded.steady(extent, jax.device_get(survey))
    scales = tuple(window.pixels.shape[1] // leaf.shape[1] for leaf in jax.tree.leaves(features))
    return _paint(loaded.method, scales, loaded.model, features, np.zeros(2, np.int32), style, survey, window)  # type: ignore[arg-type]


@functools.partial(jax.jit, static_argnums=0)
def _looked_at(method: Method, model: Model, style: Style, window: Window) -> tuple[Features, Survey]:
    features = method.encode(model, window)
    return features, method.survey(model, features, style, window)


@functools.partial(jax.jit, static_argnums=0)
def _whole(method: Method, model: Model, style: Style, window: Window) -> Array:
    """All of a method on a window that holds the picture: (h, w, 3)."""
    features = method.encode(model, window)
    survey = method.survey(model, features, style, window)
    return jnp.clip(method.paint(model, features, style, survey, window)[0], 0.0, 1.0)


@functools.partial(jax.jit, static_argnums=0)
def _encode(method: Method, model: Model, window: Window) -> Features:
    return method.encode(model, window)


@functools.partial(jax.jit, static_argnums=0)
def _survey(method: Method, model: Model, features: Features, style: Style, window: Window) -> Survey:
    return method.survey(model, features, style, window)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _paint(
    method: Method, scales: tuple[int, ...], model: Model, features: Features, corner: Array, *rest: Any
) -> Array:
    """Cuts what is of the window out of features that exceed it, from ``corner`` on, and paints it: (h, w, 3)."""
    window: Window = rest[-1]
    leaves, structure = jax.tree.flatten(features)
    cut = []
    for leaf, scale in zip(leaves, scales, strict=True):
        height, width = (side // scale for side in window.pixels.shape[1:3])
        if leaf.shape[1:3] != (height, width):
            y, x = corner // scale
            zero = jnp.zeros_like(y)
            leaf = lax.dynamic_slice(leaf, (zero, y, x, zero), (1, height, width, leaf.shape[3]))
        cut.append(leaf)
    painted = method.paint(model, jax.tree.unflatten(structure, cut), *rest)
    return jnp.clip(painted[0], 0.0, 1.0)
