"""Test-time training of INR-st: the loop that makes one picture without resolution of two with one (Algorithm 1)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

import jax
import numpy as np

from jaxstyle.arrays import Array, ArrayLike, Params, as_images
from jaxstyle.image import resize
from jaxstyle.methods import inr
from jaxstyle.methods.inr.schedule import Schedule, fitted_size
from jaxstyle.methods.inr.step import FitState, create_state, fit_step, stage_data

Callback = Callable[[int, Mapping[str, Array]], object]
"""Called after every step with the steps done and the terms (device scalars); a true result ends the fit."""

_CHECK_EVERY = 20  # steps between looks at whether the terms are finite: a look waits for the device


def fit(
    key: Array,
    content: ArrayLike,
    style: ArrayLike,
    encoder: Params,
    schedule: Schedule,
    *,
    stylized: ArrayLike | None = None,
    callback: Callback | None = None,
) -> inr.InrParams:
    """Fits a network to a pair of pictures (Algorithm 1); `jaxstyle.fit` is the same for pictures of any kind.

    Bit for bit the same result for the same arguments on the same kind of device.

    Args:
      key: decides everything random.
      content: ``(H, W, 3)``, in [0, 1] or unsigned integers; brought to the schedule's size.
      style: the same, of another shape.
      encoder: VGG's parameters as trained, as deep as ``schedule.loss`` asks for.
      schedule: from `preset`, or your own.
      stylized: the content in the style, of the content's shape or any other, for schedules with regression.
      callback: see `Callback`.

    Returns:
      The fitted picture, after all steps or those before ``callback`` ended the fit.

    Raises:
      ValueError: a picture is none, is missing or too small, or ``encoder`` is not deep enough.
      ArithmeticError: a term of the loss became NaN or infinite; the message names it and the step.
    """
    pictures = {
        "content": resized(content, "content", schedule.size),
        "style": resized(style, "style", schedule.size),
    }
    height, width = pictures["content"].shape[:2]
    if schedule.enlarges:
        pictures["painting"] = own_pixels(style, "style")
    if stylized is not None:
        pictures["stylized"] = resize(own_pixels(stylized, "stylized"), (height, width))
    k_state, k_steps = jax.random.split(key)
    state = create_state(k_state, schedule, (width, height))
    fitted: inr.InrParams = run(k_steps, state, encoder, schedule, pictures, callback).params
    return fitted


def run(
    key: Array,
    state: FitState,
    encoder: Params,
    schedule: Schedule,
    pictures: Mapping[str, np.ndarray],
    callback: Callback | None = None,
) -> FitState:
    """The state after all `steps` that are left, or those before ``callback`` ended them.

    Args:
      key, state, encoder, schedule, pictures: see `steps`.
      callback: see `Callback`.

    Raises:
      ValueError, ArithmeticError: as `steps`.
    """
    for step, after, terms in steps(key, state, encoder, schedule, pictures):
        state = after
        if callback is not None and callback(step, terms):
            break
    return state


def steps(
    key: Array, state: FitState, encoder: Params, schedule: Schedule, pictures: Mapping[str, np.ndarray]
) -> Iterator[tuple[int, FitState, dict[str, Array]]]:
    """The steps of a fit that are left after those that a state has behind it, one after the other.

    Args:
      key: the second of two that the fit's is split into; the first one made the first state.
      state: from `create_state`, or the one after some step.
      encoder: VGG's parameters.
      schedule: the fit.
      pictures: ``content``, ``style`` and, where such stages are left, ``stylized`` and ``painting``, see `stage_data`.

    Returns:
      After each step its number from 1, the state, which is gone with the next step, and the terms.

    Raises:
      ValueError: as `stage_data`.
      ArithmeticError: a term became NaN or infinite; it is looked at every few steps, and after the last one.
    """
    encoder = jax.device_put(encoder)
    for stage, numbers in schedule.left(int(state.step)):
        data = stage_data(schedule, stage, encoder, **pictures, params=state.params)
        for step in numbers:
            state, terms = _step(key, state, data, encoder, schedule=schedule, stage=stage)
            if step % _CHECK_EVERY == 0 or step == schedule.steps:
                check_finite(terms, step)
            yield step, state, terms


_step = jax.jit(fit_step, static_argnames=("schedule", "stage"), donate_argnames=("state",))


def check_finite(terms: Mapping[str, Array], step: int) -> None:
    """Raises ArithmeticError where a term is NaN or infinite, with its name and the step; waits for the device."""
    bad = ", ".join(f"{name} = {float(value)}" for name, value in terms.items() if not math.isfinite(float(value)))
    if bad:
        raise ArithmeticError(f"step {step}: {bad}; a lower learning rate may help")


def own_pixels(picture: ArrayLike, name: str) -> np.ndarray:
    """A picture as it is, float32 ``(H, W, 3)`` in [0, 1]; raises ValueError if it is none."""
    batch, single = as_images(picture, name)
    if not single:
        raise ValueError(f"{name}: expected one picture (H, W, 3), got shape {np.shape(picture)}")
    return np.asarray(batch[0])


def resized(picture: ArrayLike, name: str, size: int) -> np.ndarray:
    """A picture as it is fitted: about ``size * size`` pixels, see `fitted_size`.

    Args:
      picture: ``(H, W, 3)``, in [0, 1] or unsigned integers.
      name: what messages call it.
      size: the schedule's.

    Returns:
      float32 ``(height, width, 3)`` in [0, 1].

    Raises:
      ValueError: it is no such picture.
    """
    pixels = own_pixels(picture, name)
    return resize(pixels, fitted_size(pixels.shape, size))
