"""The front door of fitting: two pictures in, a picture without resolution out.

`fit` reads the pictures, loads the weights, makes what a schedule needs beside them, and leaves the rest to
`jaxstyle.methods.inr.loop`.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import shlex
from collections.abc import Iterator
from typing import TypedDict, Unpack, cast

import jax
import numpy as np

from jaxstyle import image
from jaxstyle.arrays import Params
from jaxstyle.methods import inr
from jaxstyle.methods.generalizable_inr import Field
from jaxstyle.methods.inr import loop, step
from jaxstyle.methods.inr import schedule as inr_schedule
from jaxstyle.methods.inr.picture import Picture
from jaxstyle.painting import conditioned
from jaxstyle.painting.picture import repaint
from jaxstyle.painting.style_file import painting_of

DEFAULT = "fast"
"""The preset of fits that start afresh."""
ALPHAS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Degrees of style on a strip."""
LONG_SIDE = 1024
"""In pixels, of the picture that `render_command` makes."""


class Aids(TypedDict, total=False):
    """What a fit looks at beside the pair, as keyword arguments of `fit`."""

    vgg: str | os.PathLike[str]
    stylized: image.Source | None
    init: str | os.PathLike[str] | None


def fit(
    content: image.Source,
    style: image.Source,
    preset: str | inr_schedule.Schedule | None = None,
    *,
    size: int | None = None,
    steps: int | None = None,
    seed: int = 0,
    callback: loop.Callback | None = None,
    **aids: Unpack[Aids],
) -> inr.InrParams | Field:
    """Fits a coordinate network to a photo and a painting (INR-st, arXiv:2210.07762).

    After ``params = jaxstyle.fit(photo, painting)``, ``jaxstyle.render_image(params, (width, height), alpha)`` gives
    pictures of any size and any degree of style, `jaxstyle.render` any points, and `jaxstyle.inr.save` keeps it.

    Args:
      content, style: path, PIL image, bytes or array; see `jaxstyle.image.read`. Transparency is not looked at. The
        style may be the ``"@name"`` of a built-in one.
      preset: ``"fast"`` (the default), ``"zoom"``, ``"preview"`` or ``"paper"``, see
        `jaxstyle.methods.inr.schedule.PRESETS`, or a schedule of your own.
      size: both pictures are brought to about ``size * size`` pixels, their shapes kept; by default to the schedule's
        size, 256. It decides what detail is learned and how long that takes, not how large one may render.
      steps: in all; by default the schedule's.
      seed: of the network's first parameters, the latents and all that is drawn: the same seed, the same result.
      callback: called after every step with the steps done and the terms of the loss; a true result ends the fit.
      aids: ``vgg``, the name of shipped weights of VGG, by default ``"vgg16"``, or a file that ``jaxstyle convert-vgg``
        wrote. ``stylized``, for schedules that begin with regression: what the picture shall look like at alpha 1 after
        it; by default what the default model makes of the pair. ``init="generalizable"``: start from what
        `jaxstyle.condition` makes of the pair, and fit the style's part of that; or a file of weights of that method.
        It has steps of its own, few of them; ``preset`` may then be a schedule of stages `Refine`.

    Returns:
      The fitted picture; with ``init`` a `jaxstyle.generalizable_inr.Field`, at degree 0 as it was conditioned.

    Raises:
      ImageError: a picture cannot be read.
      WeightsError: weights are missing or damaged.
      ValueError: ``preset``, ``size``, ``steps`` or ``seed`` is out of range.
      ArithmeticError: a term of the loss became NaN or infinite.
    """
    if unknown := sorted(set(aids) - set(Aids.__annotations__)):
        raise TypeError(f"unexpected keyword argument {unknown[0]!r}")
    vgg, stylized, init = aids.get("vgg", "vgg16"), aids.get("stylized"), aids.get("init")
    schedule = schedule_of(preset, size, steps, init)
    key = key_of(seed)
    schedule, encoder = with_encoder(schedule, vgg)
    photo, painting = (image.read(source).pixels for source in (content, painting_of(style)))
    target = None if stylized is None else image.read(stylized).pixels
    if target is None and any(isinstance(stage, inr_schedule.Regress) for stage in schedule.stages):
        target = repainted(photo, painting, schedule.size)
    if init is None:
        return loop.fit(key, photo, painting, encoder, schedule, stylized=target, callback=callback)
    pictures = {
        name: loop.resized(pixels, name, schedule.size) for name, pixels in (("content", photo), ("style", painting))
    }
    state = step.started(conditioned.start(init, pictures), schedule)
    state = loop.run(jax.random.split(key)[1], state, encoder, schedule, pictures, callback)
    return cast(Field, state.params.picture)


def fitting(
    content: np.ndarray,
    style: np.ndarray,
    preset: str | inr_schedule.Schedule = "fast",
    *,
    size: int | None = None,
    steps: int | None = None,
    seed: int = 0,
) -> Iterator[tuple[int, int, inr.InrParams]]:
    """`fit` step by step, for who looks at the picture while it is fitted.

    Args:
      content, style: ``(H, W, 3)`` in [0, 1].
      preset, size, steps, seed: see `fit`.

    Returns:
      After every step its number, from 1, the number of all, and the picture so far, which is gone with the next step.

    Raises:
      WeightsError, ValueError, ArithmeticError: as `fit`.
    """
    schedule, encoder = with_encoder(schedule_of(preset, size, steps), "vgg16")
    pictures = {
        "content": loop.resized(content, "content", schedule.size),
        "style": loop.resized(style, "style", schedule.size),
    }
    check_sizes(schedule, encoder, **pictures)
    height, width = pictures["content"].shape[:2]
    first, key = jax.random.split(key_of(seed))
    state = step.create_state(first, schedule, (width, height))
    if any(isinstance(stage, inr_schedule.Regress) for stage in schedule.stages):
        pictures["stylized"] = repainted(content, style, schedule.size)
    for done, after, _ in loop.steps(key, state, encoder, schedule, pictures):
        yield done, schedule.steps, after.params


def schedule_of(
    preset: str | inr_schedule.Schedule | None, size: int | None, steps: int | None, init: object = None
) -> inr_schedule.Schedule:
    """A preset by its name, or a schedule, with another size or number of steps where they are given.

    Raises:
      ValueError: there is no such preset, or none that goes with ``init``; ``size`` or ``steps`` is out of range.
    """
    if init is not None:
        return conditioned.schedule_of(preset, size, steps)
    preset = DEFAULT if preset is None else preset
    if not isinstance(preset, inr_schedule.Schedule):
        return inr_schedule.preset(preset, size=size, steps=steps)
    schedule = preset if size is None else dataclasses.replace(preset, size=size)
    return schedule if steps is None else schedule.with_steps(steps)


def key_of(seed: int) -> jax.Array:
    """The key of a seed; raises ValueError unless that is a whole number of 32 bits."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise ValueError(f"seed: expected a whole number from 0 to {2**32 - 1}, got {seed!r}")
    return jax.random.key(seed)


def with_encoder(schedule: inr_schedule.Schedule, vgg: str | os.PathLike[str]) -> tuple[inr_schedule.Schedule, Params]:
    """A schedule with the architecture of a file of VGG, and VGG's parameters, as deep as the schedule asks for.

    Raises:
      WeightsError: weights are missing or damaged.
    """
    encoder, arch = inr.load_encoder(os.fspath(vgg), schedule.loss)
    return dataclasses.replace(schedule, loss=dataclasses.replace(schedule.loss, arch=arch)), encoder


def check_sizes(schedule: inr_schedule.Schedule, encoder: Params, content: np.ndarray, style: np.ndarray) -> None:
    """Checks, before anything is computed, that VGG can look at pictures ``(H, W, 3)`` of the schedule's size.

    Raises:
      ValueError: one is too small in some stage.
    """
    for number, _ in schedule.left():
        if isinstance(schedule.stages[number], inr_schedule.Refine):
            make = functools.partial(step.stage_data, schedule, number, content=content, style=style)
            jax.eval_shape(lambda encoder, make=make: make(encoder), encoder)


def repainted(photo: np.ndarray, painting: np.ndarray, size: int) -> np.ndarray:
    """The pair in one forward pass, at the size of the fit, where strokes are as large as the fit's losses see them."""
    sides = [inr_schedule.fitted_size(pixels.shape, size) for pixels in (photo, painting)]
    return repaint(image.resize(photo, sides[0]), image.resize(painting, sides[1]))


def renders(params: Picture) -> list[np.ndarray]:
    """The picture that was fitted, at each of `ALPHAS`."""
    return [np.asarray(inr.render_image(params, None, alpha)) for alpha in ALPHAS]


def fidelity(rendered: np.ndarray, photo: np.ndarray) -> float:
    """PSNR in dB of a fitted picture, rendered at alpha 0, to the photo, both ``(H, W, 3)``."""
    return float(-10 * np.log10(np.square(rendered - photo, dtype=np.float64).mean()))


def render_command(file: str | os.PathLike[str], size: tuple[int, int]) -> str:
    """The command line that renders a fitted picture, in the shape of its (width, height)."""
    width, height = (round(side * LONG_SIDE / max(size)) for side in size)
    return f"jaxstyle render {shlex.quote(os.fspath(file))} -o out.png --size {width}x{height} --alpha 0.5"
