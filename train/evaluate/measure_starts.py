"""How many steps of test-time training a conditioned start saves, for one pair."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import partial
from typing import cast

import jax
import jax.numpy as jnp

from jaxstyle.arrays import Array, Params
from jaxstyle.methods import generalizable_inr as ginr
from jaxstyle.methods import inr
from jaxstyle.methods.generalizable_inr import fitted
from jaxstyle.methods.inr import loop, step
from jaxstyle.methods.inr.schedule import CONDITIONED, Refine, Schedule
from train.evaluate.results import Row, rounded
from train.pairs import Pair

ALPHAS = (0.125, 0.375, 0.625, 0.875)
"""Degrees of style at which the objective is compared: the middles of four parts of [0, 1]."""
EVERY = 5
"""Steps between looks at the objective."""


@partial(jax.jit, static_argnames=("loss",))
def _objective(params: fitted.Fitted, encoder: Params, data: inr.Targets, loss: inr.Loss) -> Array:
    def one(alpha: Array) -> Array:
        return inr.objective(params, encoder, data, alpha, loss)[0]  # type: ignore[arg-type]

    return jax.lax.map(one, jnp.asarray(ALPHAS, jnp.float32)).mean()


def _looks(
    field: ginr.Field, pair: Pair, encoder: Params, schedule: Schedule, every: int
) -> Iterator[tuple[int, float]]:
    """Steps done and the objective, from 0 steps on."""
    pictures = {"content": pair.content, "style": pair.style}
    data = cast(inr.Targets, step.stage_data(schedule, 0, encoder, pair.content, pair.style))
    state = step.started(fitted.start(field), schedule)
    yield 0, float(_objective(state.params, encoder, data, schedule.loss))
    for done, after, _ in loop.steps(jax.random.key(0), state, encoder, schedule, pictures):
        if done % every == 0:
            yield done, float(_objective(after.params, encoder, data, schedule.loss))


def saving(model: ginr.Model, pair: Pair, goals: tuple[int, ...]) -> Row:
    """Steps from `condition` until the objective is that which a start without the style has after ``goals`` steps.

    That start is the photo in both parts of the picture. Both take the steps of `CONDITIONED`, at its first learning
    rate throughout: what is compared does not depend on how many steps there will be.

    Args:
      model: what conditions.
      pair: of about the same sizes.
      goals: numbers of steps.

    Returns:
      ``photo`` and ``condition``, the objective by steps done; ``needed``, the steps by goal, None where they were not
      enough; a multiple of `EVERY`.
    """
    schedule = dataclasses.replace(CONDITIONED, size=max(pair.size))
    first = cast(Refine, schedule.stages[0])
    schedule = dataclasses.replace(schedule, stages=(dataclasses.replace(first, steps=max(goals), lr_end=None),))
    encoder = jax.device_put(inr.load_encoder("vgg16", schedule.loss)[0])
    field = cast(ginr.Field, ginr.condition(model, pair.content, pair.style))
    photo = dataclasses.replace(field, styled=ginr.as_painted(pair.content), target=field.own)
    uninformed = dict(_looks(photo, pair, encoder, schedule, min(goals)))
    curve: dict[int, float] = {}
    for done, value in _looks(field, pair, encoder, schedule, EVERY):
        curve[done] = value
        if value <= min(uninformed[goal] for goal in goals):
            break
    needed = {
        str(goal): next((done for done, value in curve.items() if value <= uninformed[goal]), None) for goal in goals
    }
    curves = {"photo": uninformed, "condition": curve}
    return {"needed": needed} | {name: {str(k): rounded(v) for k, v in c.items()} for name, c in curves.items()}
