"""How many steps of test-time training a conditioned start saves, for one pair."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any, cast

import jax
import jax.numpy as jnp

from jaxstyle.arrays import Array, Params
from jaxstyle.methods import generalizable_inr as ginr
from jaxstyle.methods import inr
from jaxstyle.methods.generalizable_inr import fitted
from jaxstyle.methods.inr import loop, step
from jaxstyle.methods.inr.schedule import CONDITIONED, PRESETS
from jaxstyle.painting.fit import fit
from train.evaluate.results import Row, rounded
from train.pairs import Pair

ALPHAS = (0.125, 0.375, 0.625, 0.875)
"""Degrees of style at which the objective is compared: the middles of four parts of [0, 1]."""
PRESET = "fast"
"""The fit that starts afresh."""


@partial(jax.jit, static_argnames=("loss",))
def _objective(params: Any, encoder: Params, data: inr.Targets, loss: inr.Loss) -> Array:
    def one(alpha: Array) -> Array:
        return inr.objective(params, encoder, data, alpha, loss)[0]

    return jax.lax.map(one, jnp.asarray(ALPHAS, jnp.float32)).mean()


def saving(model: ginr.Model, pair: Pair, counts: tuple[int, ...]) -> Row:
    """The objective of INR-st that a fit which starts from `condition` comes to, by its steps, and that of `PRESET`.

    Each number of steps is a fit of its own, with the schedule of ``jaxstyle fit --init generalizable --steps N``.

    Args:
      model: what conditions.
      pair: two squares of one size.
      counts: numbers of steps, ascending.

    Returns:
      ``fresh`` and ``steps``, the objective of `PRESET` and its steps; ``condition``, the objective by steps from 0 on;
      ``needed``, the first of ``counts`` after which it is not above ``fresh``, or None.
    """
    schedule = dataclasses.replace(CONDITIONED, size=max(pair.size))
    encoder = jax.device_put(inr.load_encoder("vgg16", schedule.loss)[0])
    data = cast(inr.Targets, step.stage_data(schedule, 0, encoder, pair.content, pair.style))

    def reached(params: Any) -> float:
        return float(_objective(params, encoder, data, schedule.loss))

    pictures = {"content": pair.content, "style": pair.style}
    field = cast(ginr.Field, ginr.condition(model, pair.content, pair.style))
    fresh, curve = reached(fit(pair.content, pair.style, PRESET, size=schedule.size)), {0: reached(field)}
    for count in counts:
        chosen = schedule.with_steps(count)
        state = step.started(fitted.start(field), chosen)
        for _, after, _ in loop.steps(jax.random.key(0), state, encoder, chosen, pictures):
            state = after
        curve[count] = reached(state.params)
    return {
        "steps": PRESETS[PRESET].steps,
        "fresh": rounded(fresh),
        "condition": {str(count): rounded(value) for count, value in curve.items()},
        "needed": next((count for count in counts if curve[count] <= fresh), None),
    }
