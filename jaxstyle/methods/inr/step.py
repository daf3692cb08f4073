"""Test-time training of INR-st: one step of it.

`fit_step` is pure and draws all its random numbers from ``fold_in(key, state.step)``: a run that is continued from a
saved `FitState` is the run that was never interrupted. `jaxstyle.methods.inr.loop` is the loop around it; a trainer may
write its own, with `jax.vmap` over pairs of one size or sharded over devices.

What the steps are is said in `jaxstyle.methods.inr.schedule`.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxstyle.arrays import Array, Image, Params
from jaxstyle.image import resize
from jaxstyle.methods import inr
from jaxstyle.methods.inr import detail, enlarge
from jaxstyle.methods.inr.schedule import SMALLEST, Enlarge, Refine, Regress, Schedule, Stage
from jaxstyle.nets import coords as places

if TYPE_CHECKING:
    import optax  # importing it takes a while: only `optimizer` does


@struct.dataclass
class FitState:
    """What a step changes: a pytree.

    Attributes:
      step: steps done, () int32.
      params: the picture so far: `inr.InrParams`, or for `Refine` another picture (`inr.picture.Picture`), whose
        ``network`` is what a step changes.
      opt: the optimiser's state.
      weight: of what `Enlarge` holds the picture by, relative to the stage's, () float32; None without such a stage.
    """

    step: Array
    params: Any
    opt: optax.OptState
    weight: Array | None = None


@struct.dataclass
class Pixels:
    """What `Regress` needs of a pair: a pytree.

    Attributes:
      photo: ``(H, W, 3)``, the picture at alpha 0.
      stylized: ``(H, W, 3)``, at alpha 1.
    """

    photo: Image
    stylized: Image


Data = Pixels | inr.Targets | enlarge.Scales
"""What a step compares with, by the kind of its stage."""


def optimizer(schedule: Schedule) -> optax.GradientTransformation:
    """Adam without its learning rate: that is the stage's."""
    import optax

    return optax.scale_by_adam(*schedule.betas)


def create_state(key: Array, schedule: Schedule, size: tuple[int, int] = (256, 256)) -> FitState:
    """The state before the first step.

    Args:
      key: decides the network's first parameters and the latents.
      schedule: the fit.
      size: (width, height) of the picture, kept in the parameters.
    """
    return started(inr.init(key, schedule.spec, size=size), schedule)


def started(params: Any, schedule: Schedule) -> FitState:
    """The state before the first step of a picture that is there already, see `FitState`; its arrays will be gone."""
    opt = optimizer(schedule).init(params.network)
    return FitState(jnp.zeros((), jnp.int32), params, opt, jnp.ones((), jnp.float32) if schedule.enlarges else None)


def stage_data(
    schedule: Schedule,
    stage: int,
    encoder: Params,
    content: np.ndarray,
    style: np.ndarray,
    stylized: np.ndarray | None = None,
    painting: np.ndarray | None = None,
    *,
    params: inr.InrParams | None = None,
) -> Data:
    """What `fit_step` compares with in a stage, computed once.

    Args:
      schedule: the fit.
      stage: number of the stage.
      encoder: VGG's parameters as trained, as deep as ``schedule.loss`` asks for.
      content, style: floating ``(H, W, 3)`` in [0, 1], at the schedule's size.
      stylized: the content in the style, of the content's shape; what `Regress` puts at alpha 1.
      painting: the style with its own pixels, for `Enlarge`; without it those of ``style``.
      params: the picture so far, for `Enlarge`.

    Returns:
      A pytree; those of several pairs of one size may be stacked.

    Raises:
      ValueError: ``stylized`` is needed and missing, or not of the content's shape; a picture is too small for VGG.
    """
    this = schedule.stages[stage]
    if isinstance(this, Regress):
        found = None if stylized is None else np.shape(stylized)
        if found != content.shape:
            wanted = f"the content stylized, {content.shape}, for a schedule with regression"
            raise ValueError(f"stylized: expected {wanted}, got {'none' if found is None else f'shape {found}'}")
        return Pixels(jnp.asarray(content, jnp.float32), jnp.asarray(stylized, jnp.float32))
    if isinstance(this, Enlarge):
        if params is None:
            raise ValueError("params: expected the picture so far, for a stage that enlarges it, got none")
        fitted = dataclasses.replace(params, size=(content.shape[1], content.shape[0]))
        own = style if painting is None or min(painting.shape[:2]) < SMALLEST else painting
        return enlarge.targets(fitted, encoder, own, schedule.loss, this)

    def shrunk(picture: np.ndarray) -> np.ndarray:
        height, width = (max(1, round(side / this.shrink)) for side in picture.shape[:2])
        return resize(picture, (height, width))

    return inr.targets(encoder, shrunk(content), shrunk(style), schedule.loss)


def fit_step(
    key: Array, state: FitState, data: Data, encoder: Params, *, schedule: Schedule, stage: int
) -> tuple[FitState, dict[str, Array]]:
    """One step of a stage; pure, to be compiled with ``schedule`` and ``stage`` static.

    Args:
      key: the run's, always the same; the step folds its own number into it.
      state: from `create_state` or the step before.
      data: from `stage_data`.
      encoder: VGG's parameters.
      schedule, stage: the fit, and which of its stages.

    Returns:
      ``(state, terms)``: float32 scalars, ``loss`` and what it consists of: ``content`` and ``style`` while refining,
      and ``anchor`` if there is one; ``pixels`` while regressing; ``style``, ``vectors`` and ``coarse`` while
      enlarging, which changes nothing but detail.
    """
    this, done = schedule.stages[stage], state.step - schedule.starts()[stage]
    key = jax.random.fold_in(key, state.step)
    if isinstance(this, Enlarge):
        state = _enlarging(state, cast(enlarge.Scales, data), schedule, done)

    def loss_of(network: Params) -> tuple[Array, dict[str, Array]]:
        params = dataclasses.replace(state.params, network=network)
        if isinstance(this, Regress):
            return _regression(key, params, cast(Pixels, data), this, jnp.dtype(schedule.loss.dtype))
        if isinstance(this, Enlarge):
            scales, weight = cast(enlarge.Scales, data), this.coarse * cast(Array, state.weight)
            return enlarge.objective(key, params, encoder, scales, schedule.loss, this, weight)
        return _refinement(key, params, encoder, cast(inr.Targets, data), this, schedule.loss)

    (loss, terms), gradients = jax.value_and_grad(loss_of, has_aux=True)(state.params.network)
    with jax.numpy_dtype_promotion("standard"):  # optax's Adam multiplies floats with its count of steps
        updates, opt = optimizer(schedule).update(gradients, state.opt)
    lr = _learning_rate(this, done)
    network, weight = jax.tree.map(lambda p, u: p - lr * u, state.params.network, updates), state.weight
    if isinstance(this, Enlarge):
        weight = enlarge.followed(cast(Array, weight), terms["coarse"], this)
        network = state.params.network | {name: network[name] for name in detail.NAMES}
    params = dataclasses.replace(state.params, network=network)
    return FitState(state.step + 1, params, opt, weight), {"loss": loss, **terms}


def _enlarging(state: FitState, data: enlarge.Scales, schedule: Schedule, done: Array) -> FitState:
    """The state with the strokes' directions of the coarse picture and, in the stage's first step, a new optimiser and
    the stage's own weight."""
    params = dataclasses.replace(state.params, network=state.params.network | {detail.FLOW: {"points": data.flow}})
    fresh = optimizer(schedule).init(params.network)
    opt = jax.tree.map(lambda new, old: jnp.where(done == 0, new, old), fresh, state.opt)
    return FitState(state.step, params, opt, jnp.where(done == 0, 1.0, cast(Array, state.weight)))


def _learning_rate(stage: Stage, done: Array) -> Array | float:
    if stage.lr_end is None:
        return stage.lr
    return stage.lr * jnp.power(stage.lr_end / stage.lr, done.astype(jnp.float32) / max(1, stage.steps - 1))


def _regression(
    key: Array, params: inr.InrParams, data: Pixels, stage: Regress, dtype: Any
) -> tuple[Array, dict[str, Array]]:
    """Mean squared difference at random pixels, each with a degree of style of its own."""
    height, width = data.photo.shape[:2]
    k_places, k_ends, k_between = jax.random.split(key, 3)
    index = jax.random.randint(k_places, (stage.points,), 0, height * width, jnp.int32)
    x, y = (jnp.asarray(places.axis(size), jnp.float32) for size in (width, height))
    coords = jnp.stack([x[index % width], y[index // width]], axis=-1)
    end, between = (jax.random.uniform(k, (stage.points,), jnp.float32) for k in (k_ends, k_between))
    alpha = jnp.where(end < stage.ends, jnp.where(end < stage.ends / 2, 0.0, 1.0), between)
    photo, stylized = (picture.reshape(-1, 3)[index] for picture in (data.photo, data.stylized))
    wanted = (1 - alpha[:, None]) * photo + alpha[:, None] * stylized
    loss = jnp.square(inr.evaluate(params, coords, alpha, dtype=dtype) - wanted).mean()
    return loss, {"pixels": loss}


def _refinement(
    key: Array, params: inr.InrParams, encoder: Params, data: inr.Targets, stage: Refine, loss: inr.Loss
) -> tuple[Array, dict[str, Array]]:
    """`inr.objective`, the mean over the step's degrees of style, and the anchor at alpha 0."""
    k_alpha, k_places, k_anchor = jax.random.split(key, 3)
    alphas = inr.sample_alpha(k_alpha, loss, stage.alphas)
    some = None
    if stage.gradient_every > 1:  # one pixel of every few that follow each other; the shift gives all the same chance
        count = data.photo.shape[0] * data.photo.shape[1]
        k_within, k_shift = jax.random.split(k_places)
        first = jnp.arange(0, count - stage.gradient_every + 1, stage.gradient_every, jnp.int32)
        within = jax.random.randint(k_within, first.shape, 0, stage.gradient_every, jnp.int32)
        some = (first + within + jax.random.randint(k_shift, (), 0, count, jnp.int32)) % count

    def one(alpha: Array) -> tuple[Array, dict[str, Array]]:
        return inr.objective(params, encoder, data, alpha, loss, gradient_at=some)

    if stage.alphas == 1:
        total, terms = one(alphas[0])
    else:
        total, terms = jax.tree.map(lambda values: values.mean(0), jax.vmap(one)(alphas))
    if stage.anchor:
        height, width = data.photo.shape[:2]
        index = jax.random.randint(k_anchor, (stage.points,), 0, height * width, jnp.int32)
        x, y = (jnp.asarray(places.axis(size), jnp.float32) for size in (width, height))
        found = inr.evaluate_sparse(params, x, y, jnp.zeros((), jnp.float32), index, dtype=jnp.dtype(loss.dtype))
        terms["anchor"] = jnp.square(found - data.photo.reshape(-1, 3)[index]).mean()
        total += stage.anchor * terms["anchor"]
    return total, terms
