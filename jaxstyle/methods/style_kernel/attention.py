"""Attention over a style's positions with a gate (SAE and CGM of Dynamic Style Kernels, Eq. 1 to 5), in blocks.

The attention of all content positions to all style positions is never held in memory: a first pass over blocks of style
positions finds every row's maximum and sum, a second one, which then knows the weights A, gates and sums up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxstyle.arrays import Array

SOFTNESS = 0.5
"""Width of the sigmoid in place of the gate's step in the backward pass, in units of a row's mean."""

_NONE = -1e30  # similarity of a position that is none
_LARGEST = 1e-4  # similarities so close to the largest one are it


class Attended(NamedTuple):
    """What positions see of a style, by head.

    Attributes:
      mean: ``(N, Q, G, V)``, of the values, the gated weights normalised to 1.
      deviation: ``(N, Q, G, V)``, of the values around that mean, not less than the floor but by rounding.
      mass: ``(N, Q, G)``, sum of the gated weights: 1 where the gate is open.
      kept: ``(N, Q, G)``, share of the style's positions that the gate lets through.
    """

    mean: Array
    deviation: Array
    mass: Array
    kept: Array


def unit(x: Array, *, eps: float = 1e-6) -> Array:
    """Vectors of length 1 along the last axis, float32; the gradient at 0 is finite."""
    x = jnp.asarray(x, jnp.float32)
    return x * lax.rsqrt(jnp.square(x).sum(-1, keepdims=True) + eps)


def gate(weights: Array, threshold: Array) -> Array:
    """``1[A > T]`` (Eq. 5), whose gradient to T is that of a sigmoid, and which has none to A.

    Args:
      weights: A in units of 1 / N.
      threshold: T in the same units, of a shape that broadcasts.
    """
    distance = lax.stop_gradient(weights) - threshold
    soft = jax.nn.sigmoid(distance / SOFTNESS)
    return soft + lax.stop_gradient((distance > 0).astype(soft.dtype) - soft)


class Keys(NamedTuple):
    """The positions of a style.

    Attributes:
      keys: ``(N, P, G, D)``, vectors of length 1.
      values: ``(N, P, G, V)``, best with means of about 0: deviations are differences of means of squares.
      there: ``(N,)``, float32, how many of the P positions there are, the first ones; the others have no influence.
    """

    keys: Array
    values: Array
    there: Array


def attend(
    query: Array,
    style: Keys,
    sharpness: Array,
    threshold: Array | None = None,
    *,
    block: int | None = None,
    floor: float = 1e-2,
    dtype: Any = jnp.float32,
) -> Attended:
    """``A = softmax(a <q, k>)`` (Eq. 1), gated (Eq. 5), and what it makes of the values (Eq. 2).

    Args:
      query: ``(N, Q, G, D)``, vectors of length 1.
      style: what is looked at.
      sharpness: a, ``(N, G)``, positive.
      threshold: T, ``(N, Q, G)`` in units of 1 / count; None: no gate. A row that would be empty keeps its largest
        entry.
      block: style positions at a time: memory is O(Q block). Blocks without positions cost nothing. None: all at once.
      floor: of the deviation.
      dtype: of the products; sums are float32.

    Returns:
      Moments of the values under the weights; the gradient goes through all of them.
    """
    n, q, g, _ = query.shape
    p, v = style.keys.shape[1], style.values.shape[-1]
    scaled = (query * sharpness[:, None, :, None]).astype(dtype)
    size = p if block is None else min(block, p)

    def similarities(keys: Array, start: Array) -> Array:
        found = jnp.einsum("nqgd,npgd->ngqp", scaled, keys.astype(dtype), preferred_element_type=jnp.float32)
        there = (start + jnp.arange(size, dtype=jnp.int32))[None] < style.there[:, None]
        return jnp.where(there[:, None, None], found, _NONE)

    def normaliser(carry: tuple[Array, Array], part: tuple[Array, Array]) -> tuple[Array, Array]:
        largest, total = carry
        keys, start = part
        s = similarities(keys, start)
        now = lax.stop_gradient(jnp.maximum(largest, s.max(-1)))
        return now, total * jnp.exp(largest - now) + jnp.exp(s - now[..., None]).sum(-1)

    parts = tuple(_blocks(x, size) for x in (style.keys, style.values))
    starts = jnp.arange(parts[0].shape[0], dtype=jnp.int32) * size
    none = jnp.full((n, g, q), _NONE, jnp.float32)
    largest, total = _sum(normaliser, (none, jnp.zeros_like(none)), (parts[0], starts), style.there)
    count = style.there[:, None, None, None]
    t = None if threshold is None else threshold.transpose(0, 2, 1)[..., None]

    def moments(carry: tuple[Array, Array, Array], part: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        keys, values, start = part
        s = similarities(keys, start)
        a = jnp.exp(s - largest[..., None]) / total[..., None]
        kept = jnp.zeros_like(carry[2])
        if t is not None:
            through = jnp.where(s >= largest[..., None] - _LARGEST, 1.0, gate(a * count, t))
            a = a * through
            kept = (lax.stop_gradient(through) * (s > _NONE)).sum(-1)
        a, values = a.astype(dtype), values.astype(dtype)
        both = jnp.concatenate([values, jnp.square(values)], axis=-1)
        seen = jnp.einsum("ngqp,npgv->ngqv", a, both, preferred_element_type=jnp.float32)
        return carry[0] + seen, carry[1] + a.astype(jnp.float32).sum(-1), carry[2] + kept

    first = (jnp.zeros((n, g, q, 2 * v), jnp.float32), jnp.zeros_like(total), jnp.zeros_like(total))
    seen, mass, kept = _sum(moments, first, (*parts, starts), style.there)
    mean, square = jnp.split(seen / mass[..., None], 2, axis=-1)
    variance = square - jnp.square(mean) + floor**2
    deviation = jnp.sqrt(
        jnp.maximum(variance, floor**2 / 4)
    )  # rounding makes no difference to which side has a gradient
    kept = kept / count[..., 0] if t is not None else jnp.ones_like(kept)
    return Attended(
        *(x.transpose(0, 2, 1, 3) for x in (mean, deviation)), *(x.transpose(0, 2, 1) for x in (mass, kept))
    )


def weights(query: Array, style: Keys, sharpness: Array, threshold: Array | None = None) -> tuple[Array, Array]:
    """A of `attend` itself, all of it, for a few positions.

    Returns:
      ``(N, Q, G, P)``, with sums of 1, before the gate; and whether the gate lets it through, bool.
    """
    s = jnp.einsum("nqgd,npgd->nqgp", query * sharpness[:, None, :, None], style.keys)
    there = (jnp.arange(s.shape[-1], dtype=jnp.int32)[None] < style.there[:, None])[:, None, None]
    a = jax.nn.softmax(jnp.where(there, s, _NONE), axis=-1)
    if threshold is None:
        return a, jnp.broadcast_to(there, a.shape)
    through = a * style.there[:, None, None, None] > threshold[..., None]
    return a, there & (through | (a >= a.max(-1, keepdims=True)))


def _blocks(x: Array, size: int) -> Array:
    """``(N, P, ...)`` -> ``(B, N, size, ...)``, zeros at the end."""
    n, p = x.shape[:2]
    count = -(-p // size)
    x = jnp.pad(x, ((0, 0), (0, count * size - p), *((0, 0),) * (x.ndim - 2)))
    return jnp.moveaxis(x.reshape(n, count, size, *x.shape[2:]), 1, 0)


def _sum(add: Callable[[Any, Any], Any], carry: Any, parts: tuple[Array, ...], count: Array) -> Any:
    """``add`` of all parts one after the other but of those without positions; the last of ``parts``: where they begin.

    Nothing of a part but what it begins with is kept for the backward pass.
    """
    if parts[-1].shape[0] == 1:
        return add(carry, tuple(part[0] for part in parts))
    again = jax.checkpoint(add)

    def step(carry: Any, part: Any) -> tuple[Any, None]:
        there = part[-1] < count.max()
        return lax.cond(there, again, lambda same, _: same, carry, part), None

    return lax.scan(step, carry, parts)[0]
