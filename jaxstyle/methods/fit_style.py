"""A model fitted to one painting: its decoder, taught for a minute what this painting asks of it.

A network knows styles in general. What it makes of one painting differs from what the painting asks for, and much of
that is the same for every photo: it can be learned once and kept. So the part of a model that makes pixels of features
(`jaxstyle.methods.interface.Adaptable`) goes down the method's own objective (`Objective`) on crops of some photos, by
Adam (Kingma & Ba 2015, arXiv:1412.6980), with half a cosine for its rate. Everything is a function of a key, photos and
a style; photos that the fit did not see gain most of what those gain that it saw.

Differs from the papers: neither AdaIN nor style kernels are fitted to a painting there.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxstyle.arrays import Array, ArrayLike, Params
from jaxstyle.methods import refine
from jaxstyle.methods.interface import Method, Model, Style, Window
from jaxstyle.methods.refine import Aim, Judging

RATE = 7e-4
"""The first step of Adam."""
_LEAST = 0.1  # of the rate, at the end
_KEEP, _REMEMBER = 0.8, 0.95  # of the momentum, and of the mean of squares
_STILL = 1e-8
_RANGE = 0.2  # how far beyond black and white pixels may be: what is farther out has no gradient


class State(NamedTuple):
    """What changes in a fit.

    Attributes:
      part: the parameters that are fitted.
      momentum, power: of the same shapes: running means of the gradient and of its square.
      step: (), how many steps were done.
    """

    part: Params
    momentum: Params
    power: Params
    step: Array


class Fixed(NamedTuple):
    """What stays as it is.

    Attributes:
      model: that is fitted, as it was.
      style: the painting, encoded.
      aim: its statistics, see `jaxstyle.methods.refine.aim`.
      photos: ``(N, h, w, 3)``, sRGB in [0, 1], at least as large as the crops.
    """

    model: Model
    style: Style
    aim: Aim
    photos: Array


def begin(method: Method, model: Model) -> State:
    """The state before the first step.

    Raises:
      ValueError: models of the method cannot be fitted to a painting.
    """
    if method.adaptable is None or method.objective is None:
        raise ValueError(f"model: one of {method.kind} cannot be fitted to a painting")
    part = method.adaptable.part(model)
    none = jax.tree.map(jnp.zeros_like, part)
    return State(part, none, none, jnp.zeros((), jnp.int32))


def crops(key: Array, photos: ArrayLike, count: int, side: int) -> Array:
    """Random squares of random photos, half of them mirrored: ``(count, side, side, 3)``."""
    found = jnp.asarray(photos)
    tall, wide = (size - side + 1 for size in found.shape[1:3])

    def one(key: Array) -> Array:
        which, row, column, turn = jax.random.split(key, 4)
        at = jax.random.randint(which, (), 0, found.shape[0])
        place = (at, jax.random.randint(row, (), 0, tall), jax.random.randint(column, (), 0, wide), 0)
        cut = lax.dynamic_slice(found, place, (1, side, side, 3))[0]
        return jnp.where(jax.random.bernoulli(turn), cut[:, ::-1], cut)

    return jax.vmap(one)(jax.random.split(key, count))


def loss(method: Method, judging: Judging, part: Params, fixed: Fixed, photo: Array) -> tuple[Array, dict[str, Array]]:
    """The objective of a photo ``(h, w, 3)`` painted at full degree of style.

    Returns:
      ``(loss, terms)``: a scalar, and the unweighted ``content`` and ``style``.
    """
    assert method.adaptable is not None
    model = method.adaptable.replaced(fixed.model, part)
    size = jnp.asarray(photo.shape[:2], jnp.int32)
    core = jnp.stack([jnp.zeros_like(size), size], 1).reshape(-1)
    window = Window(photo[None], jnp.zeros_like(size), core, size, jnp.ones((1, 1, 1, 1), jnp.float32))
    features = method.encode(model, window)
    survey = method.survey(model, features, fixed.style, window)
    painted = method.paint(model, features, fixed.style, survey, window)
    before = refine.hold(fixed.aim)
    seen, sums = refine.look(judging, model, window, before)
    held = refine.held(before, sums, jnp.asarray(window.shares), judging.objective.content)
    painted = jnp.clip(painted, -_RANGE, 1 + _RANGE)
    found = refine.measure(judging, model, painted, window, seen, held)
    return refine.value(judging.objective, found, held)


def descend(
    key: Array, method: Method, judging: Judging, state: State, fixed: Fixed, plan: tuple[int, int, int]
) -> tuple[State, dict[str, Array]]:
    """One step.

    Args:
      key: of the whole fit; what is random in a step depends on its number.
      method, judging: static.
      state: before.
      fixed: what stays.
      plan: static: the number of steps in all, crops a step, and their side in pixels.

    Returns:
      The state after it, and the mean ``loss``, ``content`` and ``style`` before it.
    """
    steps, count, side = plan
    slope = jax.value_and_grad(lambda part, photo: loss(method, judging, part, fixed, photo), has_aux=True)

    def add(sums: Any, photo: Array) -> tuple[Any, None]:
        (total, terms), gradient = slope(state.part, photo)
        return jax.tree.map(lambda a, b: a + b / count, sums, (gradient, {"loss": total, **terms})), None

    none = {name: jnp.zeros((), jnp.float32) for name in ("loss", "content", "style")}
    start = (jax.tree.map(jnp.zeros_like, state.part), none)
    photos = crops(jax.random.fold_in(key, state.step), fixed.photos, count, side)
    (gradient, terms), _ = lax.scan(add, start, photos)
    return _moved(state, gradient, steps), terms


def _moved(state: State, gradient: Params, steps: int) -> State:
    """One step of Adam."""
    done = (state.step + 1).astype(jnp.float32)
    rate = RATE * (_LEAST + (1 - _LEAST) / 2 * (1 + jnp.cos(jnp.pi * state.step / steps)))
    momentum = jax.tree.map(lambda m, g: _KEEP * m + (1 - _KEEP) * g, state.momentum, gradient)
    power = jax.tree.map(lambda p, g: _REMEMBER * p + (1 - _REMEMBER) * jnp.square(g), state.power, gradient)

    def move(value: Array, m: Array, p: Array) -> Array:
        root = jnp.sqrt(p / (1 - _REMEMBER**done)) + _STILL
        return value - rate * m / (1 - _KEEP**done) / root

    return State(jax.tree.map(move, state.part, momentum, power), momentum, power, state.step + 1)
