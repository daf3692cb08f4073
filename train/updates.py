"""What trainers' steps share: learning rates, the running average, updates that must be finite, identity pairs."""

from __future__ import annotations

from typing import Any, Literal, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxstyle.arrays import Array

T = TypeVar("T")
Schedule = Literal["constant", "inverse", "cosine"]


def rate(schedule: Schedule, lr: float, steps: int) -> optax.Schedule:
    """The learning rate after so many updates: ``lr``, ``lr / (1 + 5e-5 t)``, or a cosine to 1 % of it in ``steps``."""
    if schedule == "cosine":
        return optax.cosine_decay_schedule(lr, steps, alpha=0.01)
    return (lambda t: lr / (1 + 5e-5 * t)) if schedule == "inverse" else optax.constant_schedule(lr)


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


def norm(tree: Any) -> Array:
    """Euclidean norm of all numbers of a tree of arrays, float32."""
    squares = (jnp.square(leaf.astype(jnp.float32)).sum() for leaf in jax.tree.leaves(tree))
    return jnp.sqrt(sum(squares, jnp.zeros((), jnp.float32)))


def all_finite(loss: Array, norm: Array) -> Array:
    """Whether a loss and the norm of its gradients are finite."""
    return jnp.isfinite(loss) & jnp.isfinite(norm)


def mark_identity(batch: dict[str, np.ndarray], rows: np.ndarray, share: float) -> dict[str, np.ndarray]:
    """Gives a share of the pairs their content as style.

    They are an even share of the rows of all global batches, so that every division of a batch among devices or
    processes agrees on them.

    Args:
      batch: ``content`` and ``style``.
      rows: ``(N,)``, places of its rows in the sequence of the rows of all batches.
      share: of the rows.

    Returns:
      The batch, with ``identity`` ``(N,)`` float32, 1 for these pairs.
    """
    mask = np.ceil((rows + 1) * share) > np.ceil(rows * share)
    style = np.where(mask[:, None, None, None], batch["content"], batch["style"])
    return {"content": batch["content"], "style": style, "identity": mask.astype(np.float32)}
