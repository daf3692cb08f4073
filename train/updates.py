"""What trainers' steps share: optimisers, the running average, updates that must be finite, identity pairs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct

from jaxstyle.arrays import Array, Params

T = TypeVar("T")
S = TypeVar("S", bound="State")
Schedule = Literal["constant", "inverse", "cosine"]

MANY = 20
"""So many steps in a row that are not finite end the run."""


@struct.dataclass
class State:
    """What a step changes, where steps that are not finite are skipped: a pytree."""

    step: Array  # () int32, steps done
    params: Params  # the networks' parameters, by part
    average: Params  # running average of the parts that are trained: what is validated and exported
    opt: optax.OptState
    skipped: Array  # () int32, steps that were not finite
    in_row: Array  # () int32, of these, the last ones


def rate(schedule: Schedule, lr: float, steps: int) -> optax.Schedule:
    """The learning rate after so many updates: ``lr``, ``lr / (1 + 5e-5 t)``, or a cosine to 1 % of it in ``steps``."""
    if schedule == "cosine":
        return optax.cosine_decay_schedule(lr, steps, alpha=0.01)
    return (lambda t: lr / (1 + 5e-5 * t)) if schedule == "inverse" else optax.constant_schedule(lr)


def clipped_adam(
    clip: float, scale: Callable[[Params, Params | None], Params], rate: optax.Schedule
) -> optax.GradientTransformation:
    """Adam on gradients that are brought to the norm ``clip``; ``scale(change, None)`` has a rate for every part."""
    return optax.chain(
        optax.clip_by_global_norm(clip),
        optax.scale_by_adam(),
        optax.stateless(scale),  # type: ignore[arg-type]
        optax.scale_by_learning_rate(rate),
    )


def follow(average: T, params: T, done: Array, decay: float) -> T:
    """The running average after one more step.

    Args:
      average: before it.
      params: the parameters after it, of the same structure.
      done: () int, steps done before: young averages forget faster.
      decay: of the old average, in the long run.
    """
    count = done.astype(jnp.float32)
    kept = jnp.minimum(decay, (1 + count) / (10 + count))
    return jax.tree.map(lambda a, p: a * kept + p * (1 - kept), average, params)


def update_if(
    finite: Array, tx: optax.GradientTransformation, grads: T, opt: optax.OptState, params: T
) -> tuple[T, optax.OptState]:
    """``(params, opt)`` after one update, or as they were where it is not to be made.

    Args:
      finite: () bool, whether to make it, such as `all_finite` of the loss and its gradients.
      tx: the optimiser.
      grads: of the parameters.
      opt: the optimiser's state.
      params: the parameters.
    """
    with jax.numpy_dtype_promotion("standard"):  # optax's Adam multiplies floats with its count of steps
        updates, after = tx.update(grads, opt, params)  # type: ignore[arg-type]
    moved = optax.apply_updates(params, updates)  # type: ignore[arg-type]
    return jax.tree.map(lambda new, old: jnp.where(finite, new, old), (moved, after), (params, opt))


def advance(
    state: S,
    trained: Params,
    grads: Params,
    terms: dict[str, Array],
    *,
    tx: optax.GradientTransformation,
    decay: float,
) -> tuple[S, dict[str, Array]]:
    """The state after one more step: an update, or nothing but a count where loss or gradients are not finite.

    Args:
      state: before it.
      trained: the parts of its parameters that are trained.
      grads: of these.
      terms: of the loss, with ``loss``.
      tx: the optimiser.
      decay: of the running average.

    Returns:
      ``(state, terms)``: terms with ``norm`` of the gradients, ``skipped`` and ``in_row`` of the state.
    """
    length = norm(grads)
    finite = all_finite(terms["loss"], length)
    trained, opt = update_if(finite, tx, grads, state.opt, trained)
    average = jax.tree.map(partial(jnp.where, finite), follow(state.average, trained, state.step, decay), state.average)
    failed = 1 - finite.astype(jnp.int32)
    skipped, in_row = state.skipped + failed, failed * (state.in_row + 1)
    params = {**state.params, **trained}
    after = dataclasses.replace(
        state, step=state.step + 1, params=params, average=average, opt=opt, skipped=skipped, in_row=in_row
    )
    counts = {"skipped": skipped.astype(jnp.float32), "in_row": in_row.astype(jnp.float32)}
    return after, terms | {"norm": length} | counts


def norm(tree: Any) -> Array:
    """Euclidean norm of all numbers of a tree of arrays, float32."""
    squares = (jnp.square(leaf.astype(jnp.float32)).sum() for leaf in jax.tree.leaves(tree))
    return jnp.sqrt(sum(squares, jnp.zeros((), jnp.float32)))


def all_finite(loss: Array, norm: Array) -> Array:
    """Whether a loss and the norm of its gradients are finite."""
    return jnp.isfinite(loss) & jnp.isfinite(norm)


def mark_identity(batch: dict[str, np.ndarray], first: int, share: float) -> dict[str, np.ndarray]:
    """Gives a share of the pairs their content as style.

    They are an even share of the rows of all global batches, so that every division of a batch among devices or
    processes agrees on them.

    Args:
      batch: ``content`` and ``style``.
      first: place of its first row in the sequence of the rows of all batches.
      share: of the rows.

    Returns:
      The batch, with ``identity`` ``(N,)`` float32, 1 for these pairs.
    """
    rows = first + np.arange(len(batch["content"]))
    mask = np.ceil((rows + 1) * share) > np.ceil(rows * share)
    style = np.where(mask[:, None, None, None], batch["content"], batch["style"])
    return {"content": batch["content"], "style": style, "identity": mask.astype(np.float32)}
