"""The columns of a comparison: which ways there are from a photo and a painting to a picture, and each in one process.

Every method of `jaxstyle.methods.METHODS` of which weights are shipped, refined too where it is asked for; INR-st, a
network fitted to the pair; and the pixels optimised, which is slow and the yardstick.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from jaxstyle import image, methods
from jaxstyle.controls.controls import Controls
from jaxstyle.controls.degree import Maps
from jaxstyle.image.encode import quantise
from jaxstyle.methods import gatys, inr
from jaxstyle.metrics import metrics
from jaxstyle.painting.fit import fit
from jaxstyle.painting.picture import load_model, render, style_pixels, style_side
from jaxstyle.painting.style_file import read_style
from jaxstyle.runtime import cache, memory

PRESET = "preview"
"""Of the fits of INR-st."""
FIT_SIZE = 256
"""About so many pixels squared the pair has that a network is fitted to, if it has as many."""
STEPS = 50
"""Of the optimisation."""


class Column(NamedTuple):
    """A way to a picture.

    Attributes:
      name: above the column, different from the others'.
      method: as ``--methods`` names it.
      detail: the shipped weights, the preset or the steps.
      refine: steps of refinement, see `Controls.refine`.
    """

    name: str
    method: str
    detail: str
    refine: int = 0


class Made(NamedTuple):
    """What a column made of a pair.

    Attributes:
      pixels: uint8 (H, W, 3).
      seconds: from the decoded pictures to the result: loading, compiling and fitting are in the first pair's.
      processor_seconds: of all cores together.
    """

    pixels: np.ndarray
    seconds: float
    processor_seconds: float


class Pair(NamedTuple):
    """A photo and a painting: paths."""

    photo: str
    painting: str


def columns(chosen: Sequence[str] | None = None, refine: int = 0) -> tuple[Column, ...]:
    """The columns of a comparison.

    Args:
      chosen: the methods, by their names; None: all.
      refine: where it is not 0, every method that can be refined has a second column with so many steps.

    Raises:
      ValueError: there is no such method, one is named twice, none of its weights are shipped, or ``refine`` is out of
        range or nothing can be refined.
    """
    Controls(refine=refine)
    shipped = {kind: methods.shipped(kind) for kind in methods.METHODS}
    names = [kind for kind, found in shipped.items() if found] + list(_OTHERS)
    wanted = names if chosen is None else list(chosen)
    for name in wanted:
        if name in shipped and not shipped[name]:
            raise ValueError(f"methods: no weights of {name} are shipped")
        if name not in names:
            raise ValueError(f"methods: expected some of {', '.join(names)}, got {name!r}")
    if len(set(wanted)) < len(wanted) or not wanted:
        raise ValueError(f"methods: expected each once, and at least one, got {','.join(wanted) or 'none'}")
    found = []
    for name in wanted:
        if name not in shipped:
            found.append(_OTHERS[name])
            continue
        weights = shipped[name][0]
        found.append(Column(name, name, weights))
        if refine and methods.METHODS[name].objective is not None:
            found.append(Column(f"{name}, refined", name, weights, refine))
    if refine and not any(column.refine for column in found):
        raise ValueError(f"refine: none of {', '.join(wanted)} can be refined")
    return tuple(found)


_OTHERS = {
    "inr": Column("INR-st", "inr", PRESET),
    "gatys": Column("optimisation", "gatys", f"{STEPS} steps"),
}
"""What is no entry of `METHODS`: made for one pair, not by a trained network."""


def prepared(pair: Pair, size: int, max_pixels: int = image.MAX_PIXELS) -> tuple[np.ndarray, np.ndarray]:
    """A pair as all columns see it: the photo with a short side of at most ``size``, the painting as it is looked at.

    Args:
      pair: the files.
      size: in pixels.
      max_pixels: the largest picture that is read.

    Returns:
      Photo and painting, float32 (H, W, 3) and (H', W', 3) in [0, 1]. Transparency is not looked at.

    Raises:
      ImageError: a picture cannot be read.
      MetricsError: one is too small.
    """
    photo = image.read(pair.photo, max_pixels=max_pixels, short_side=size).pixels
    photo = image.resize_short_side(photo, min(size, *photo.shape[:2]))
    side = style_side(Controls(), photo.shape)
    painting = read_style(pair.painting, max_pixels=max_pixels, short_side=side).pixels
    painting = style_pixels(painting, Controls(), side)
    for file, pixels in zip(pair, (photo, painting), strict=True):
        if min(pixels.shape[:2]) < 2 * metrics.SMALLEST:
            found = f"{pixels.shape[1]} x {pixels.shape[0]} pixels"
            raise metrics.MetricsError(f"{file}: {found}; expected sides of at least {2 * metrics.SMALLEST}")
    return photo, painting


def make(column: Column, pairs: Sequence[Pair], size: int, max_pixels: int) -> Iterator[Made | int | None]:
    """Makes a column's pictures of pairs of files; `jaxstyle.runtime.isolated` runs it.

    Args:
      column: the way.
      pairs, size, max_pixels: see `prepared`.

    Returns:
      What was made of every pair, and at last the peak memory of this process in bytes, None if unknown.

    Raises:
      ValueError, ArithmeticError, MemoryError: a picture cannot be made.
    """
    cache.enable()
    run = _MAKERS.get(column.method, _painted)
    for pair in pairs:
        photo, painting = prepared(pair, size, max_pixels)
        start, busy = time.perf_counter(), time.process_time()
        pixels = quantise(np.asarray(run(column, photo, painting)), np.dtype(np.uint8))
        yield Made(pixels, time.perf_counter() - start, time.process_time() - busy)
    yield memory.peak_bytes()


def _painted(column: Column, photo: np.ndarray, painting: np.ndarray) -> np.ndarray:
    chosen = Controls(refine=column.refine)
    loaded = load_model(column.detail)
    return render(image.Picture(photo, None), [image.Picture(painting, None)], chosen, Maps(), loaded).pixels


def _fitted(column: Column, photo: np.ndarray, painting: np.ndarray) -> np.ndarray:
    height, width = photo.shape[:2]
    params = fit(photo, painting, column.detail, size=min(FIT_SIZE, round((height * width) ** 0.5)))
    return np.asarray(inr.render_image(params, (width, height), 1.0))


def _optimised(column: Column, photo: np.ndarray, painting: np.ndarray) -> np.ndarray:
    return np.asarray(gatys.optimise(metrics.load_networks(), photo, painting, steps=STEPS).picture)


_MAKERS: dict[str, Callable[[Column, np.ndarray, np.ndarray], np.ndarray]] = {"inr": _fitted, "gatys": _optimised}
