"""The front door of fitting a model to one painting, in memory and from files to a file.

`fit_style` teaches the decoder of a model for a minute what one painting asks of it (`jaxstyle.methods.fit_style`);
`fit_style_file` keeps that, in a file that is used as a style (`jaxstyle.painting.style_file`).
"""

from __future__ import annotations

import base64
import io
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, Unpack

import jax
import jax.numpy as jnp
import numpy as np

from jaxstyle import image, methods, styles
from jaxstyle.controls.controls import Controls
from jaxstyle.image.source import MAX_PIXELS, ImageError, label_of
from jaxstyle.methods import fit_style as steps_of
from jaxstyle.methods.fit_style import Fixed
from jaxstyle.methods.interface import Loaded
from jaxstyle.methods.refine import Judging
from jaxstyle.painting.fit import key_of
from jaxstyle.painting.options import DEFAULT_WEIGHTS, PathLike
from jaxstyle.painting.picture import default_model, encode_styles, load_model
from jaxstyle.painting.style_file import PAINTING, SUFFIX

STEPS, MOST_STEPS = 60, 10_000
"""Of a fit where nothing else is said, and at most."""
MOST_PHOTOS = 64
"""So many photos are looked at; of more, evenly spaced ones."""
PHOTOS = Path(__file__).parent / "photos"
"""Photos for those who give none; SOURCES.md says whose they are."""
_SIDE, _CROP, _COUNT = 256, 192, 3  # pixels of photos and crops; crops a step
_KEPT = 512  # short side of the painting in the file: what styles are looked at at most

Progress = Callable[[int, int], None]


class FitStyleOptions(TypedDict, total=False):
    """The keyword arguments of `fit_style`."""

    model: Any
    steps: int
    seed: int
    max_pixels: int


def fit_style(
    style: image.Source,
    photos: Sequence[image.Source] | None = None,
    *,
    progress: Progress | None = None,
    **options: Unpack[FitStyleOptions],
) -> Loaded:
    """Fits a model to one painting: what is lost of it at every photo is learned once.

    After ``fitted = jaxstyle.fit_style(painting)``, ``jaxstyle.stylize(photo, painting, model=fitted)`` has more of the
    painting, in the same time. Photos like those that are to be painted are the best ones to fit with.

    Args:
      style: see `jaxstyle.image.read`; or the ``"@name"`` of a built-in one.
      photos: at least one; by default five that are shipped.
      progress: called with the number of steps done and their total.
      options: ``model``: the model to begin with, by default the shipped one. ``steps``: of optimisation, each of three
        crops of 192 x 192 pixels; by default 60. ``seed``: of all that is drawn. ``max_pixels``: the largest picture
        that is read.

    Returns:
      The fitted model.

    Raises:
      ImageError: a picture cannot be read.
      TypeError: there is no such option, or ``model`` is none.
      ValueError: ``steps`` or ``seed`` is out of range, there are no photos, or a model of this method cannot be
        fitted.
      ArithmeticError: the loss became NaN or infinite.
    """
    if unknown := sorted(set(options) - FitStyleOptions.__optional_keys__):
        raise TypeError(f"unexpected keyword argument {unknown[0]!r}")
    most = options.get("max_pixels", MAX_PIXELS)
    look = image.read(styles.path_of(style), max_pixels=most)
    return _fitted(look.pixels, _photos(photos, most), options, progress)[0]


def _fitted(
    pixels: np.ndarray, photos: np.ndarray, options: FitStyleOptions, progress: Progress | None
) -> tuple[Loaded, list[float]]:
    """The model, and the objective before every step."""
    count = options.get("steps", STEPS)
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MOST_STEPS:
        raise ValueError(f"steps: expected a whole number from 1 to {MOST_STEPS}, got {count!r}")
    key = key_of(options.get("seed", 0))
    loaded = default_model() if options.get("model") is None else methods.loaded(options["model"])
    method = loaded.method
    state = steps_of.begin(method, loaded.model)
    assert method.objective is not None and method.adaptable is not None
    judging = Judging(method.objective, loaded.needs.stride, loaded.needs.smallest)
    aimed = encode_styles([image.Picture(pixels)], Controls(refine=1), loaded, _SIDE)  # style and its statistics
    fixed = Fixed(loaded.model, aimed.style, aimed.aim, jnp.asarray(photos))
    curve = []
    for number in range(count):
        state, terms = _descend(key, method, judging, state, fixed, (count, _COUNT, _CROP))
        curve.append(float(terms["loss"]))
        if not np.isfinite(curve[-1]):
            raise ArithmeticError(f"the loss became {curve[-1]} at step {number + 1} of {count}")
        if progress is not None:
            progress(number + 1, count)
    return Loaded(method, method.adaptable.replaced(loaded.model, state.part)), curve


_descend = jax.jit(steps_of.descend, static_argnums=(1, 2, 5))


def _photos(photos: Sequence[image.Source] | None, most: int) -> np.ndarray:
    """Squares from the middle of photos, ``(N, 256, 256, 3)``."""
    given = sorted(PHOTOS.glob("*.jpg")) if photos is None else list(photos)
    if not given:
        raise ValueError("photos: expected at least one picture, got none")
    some = [given[i * len(given) // min(len(given), MOST_PHOTOS)] for i in range(min(len(given), MOST_PHOTOS))]
    found = []
    for photo in some:
        pixels = image.resize_short_side(image.read(photo, max_pixels=most, short_side=_SIDE).pixels, _SIDE)
        top, left = ((side - _SIDE) // 2 for side in pixels.shape[:2])
        found.append(pixels[top : top + _SIDE, left : left + _SIDE])
    return np.stack(found)


# ---- from file to file -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FittedStyle:
    """What `fit_style_file` did.

    Attributes:
      output: the file written.
      style: the painting.
      photos: how many photos it was fitted with.
      weights_file: the model that it began with.
      steps: of optimisation.
      loss: the objective, means of the first and of the last tenth of the steps.
      seconds: from reading the pictures to the written file.
      notices: sentences about what was left out of the painting.
    """

    output: str
    style: str
    photos: int
    weights_file: str
    steps: int
    loss: tuple[float, float]
    seconds: float
    notices: tuple[str, ...] = ()


class FitStyleFileOptions(TypedDict, total=False):
    """The keyword arguments of `fit_style_file`."""

    weights_file: PathLike
    steps: int
    seed: int
    overwrite: bool
    max_pixels: int


def fit_style_file(
    style: PathLike,
    output: PathLike,
    photos: Sequence[PathLike] | None = None,
    *,
    progress: Progress | None = None,
    **options: Unpack[FitStyleFileOptions],
) -> FittedStyle:
    """Like `fit_style`, from files to a file that is used as a style.

    Args:
      style, photos: see `fit_style`; a style ``"-"`` is standard input.
      output: the file to write; it ends in ``.safetensors``.
      progress: called with the number of steps done and their total.
      options: ``steps``, ``seed`` and ``max_pixels`` as of `fit_style`; ``weights_file``: the model to begin with, name
        of shipped weights or the path of a file, another fitted style among them. ``overwrite``: replace ``output`` if
        it is there. The files that are read are never replaced.

    Returns:
      A `FittedStyle`.

    Raises:
      ImageError: a picture cannot be read, or ``output`` cannot be written.
      WeightsError: ``weights_file`` cannot be used.
      TypeError: there is no such option.
      ValueError, ArithmeticError: as `fit_style`.
    """
    start = time.perf_counter()
    if unknown := sorted(set(options) - FitStyleFileOptions.__optional_keys__):
        raise TypeError(f"unexpected keyword argument {unknown[0]!r}")
    if not os.fspath(output).lower().endswith(SUFFIX):
        raise ImageError(label_of(output), f"expected a name that ends in {SUFFIX}, for the fitted style")
    weights_file = os.fspath(options.get("weights_file", DEFAULT_WEIGHTS))
    painting = styles.path_of(style)
    read = [path for path in (painting, *(photos or ())) if not image.is_standard(path)]
    keep = (*read, *((weights_file,) if os.path.exists(weights_file) else ()))
    image.check_target(output, format="png", overwrite=options.get("overwrite", False), keep=keep)  # for the path
    most = options.get("max_pixels", MAX_PIXELS)
    look = image.read(image.source_of(painting), max_pixels=most)
    pixels, pool = image.resize_short_side(look.pixels, min(_KEPT, *look.pixels.shape[:2])), _photos(photos, most)
    own: FitStyleOptions = {name: options[name] for name in ("steps", "seed") if name in options}  # type: ignore[literal-required, assignment, misc]
    fitted, curve = _fitted(pixels, pool, {**own, "model": load_model(weights_file)}, progress)
    facts = {"licence": "your own", "from": Path(weights_file).name, PAINTING: _png(pixels)}
    fitted.method.save(os.fspath(output), fitted.model, **facts)
    tenth = max(1, len(curve) // 10)
    return FittedStyle(
        output=os.fspath(output),
        style=os.fspath(style),
        photos=len(pool),
        weights_file=weights_file,
        steps=len(curve),
        loss=(round(float(np.mean(curve[:tenth])), 4), round(float(np.mean(curve[-tenth:])), 4)),
        seconds=round(time.perf_counter() - start, 3),
        notices=tuple(f"{style}: {notice}" for notice in look.notices),
    )


def _png(pixels: np.ndarray) -> str:
    """A picture as a PNG file, base64."""
    file = io.BytesIO()
    image.write(file, pixels, format="png")
    return base64.b64encode(file.getvalue()).decode("ascii")
