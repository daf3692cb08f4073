"""Kernels of every position's own (SKG of Dynamic Style Kernels, Eq. 6), and grouped shuffling (Eq. 10)."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxstyle.arrays import Array, Features

GROUPS = 8  # of channels, in grouped shuffling


def separable(x: Features, column: Array, row: Array, *, size: Array | None = None) -> Features:
    """``x * (d + F1) * (d + F2)`` (Eq. 6), d the kernel that changes nothing: depth-wise, another one at each position.

    Sums of products with shifted copies: memory is O(H W C k), never O(H W C k^2). Around the picture it is mirrored.

    Args:
      x: ``(N, H, W, C)``.
      column: F1, ``(N, H, W, k, C)``, k odd: the k x 1 kernel that acts first.
      row: F2, ``(N, H, W, k, C)``: the 1 x k kernel.
      size: (2,), height and width of the picture where ``x`` is larger; by default all. May be traced.

    Returns:
      ``(N, H, W, C)``.
    """
    for axis, kernel in ((1, column), (2, row)):
        x = x + _along(x, kernel, axis, None if size is None else size[axis - 1])
    return x


def _along(x: Array, kernel: Array, axis: int, length: Array | None) -> Array:
    """Sum over i of ``kernel[i](u) x(u + i - k // 2)`` along an axis."""
    far = kernel.shape[3] // 2
    sides = x.shape[axis]
    if far:
        x = jnp.take(x, _mirrored(sides, far, sides if length is None else length), axis=axis)
    shifted = (jax.lax.slice_in_dim(x, i, i + sides, axis=axis) for i in range(2 * far + 1))
    return sum(part * kernel[:, :, :, i] for i, part in enumerate(shifted))  # type: ignore[return-value]


def _mirrored(sides: int, far: int, length: int | Array) -> Array:
    """Where -far .. sides + far - 1 are in a line whose first ``length`` are mirrored without repeating the edge."""
    at = jnp.arange(-far, sides + far, dtype=jnp.int32)
    period = jnp.maximum(2 * (length - 1), 1)
    back = at % period
    near = jnp.minimum(back, period - back)
    return jnp.where((at >= length + far), jnp.clip(at, 0, sides - 1), jnp.minimum(near, length - 1))


def shuffle(key: Array, x: Features) -> Features:
    """The channels in `GROUPS` groups whose order is drawn at random (Eq. 10), one for the whole batch.

    Args:
      key: PRNG key.
      x: ``(N, H, W, C)``.
    """
    order = jax.random.permutation(key, GROUPS)
    groups = x.reshape(*x.shape[:-1], GROUPS, x.shape[-1] // GROUPS)
    return jnp.take(groups, order, axis=-2).reshape(x.shape)
