"""Attention over a style's positions with a gate (SAE and CGM of Dynamic Style Kernels, Eq. 1 to 5), in blocks.

The attention of all content positions to all style positions is never held in memory: of some content positions at a
time, head by head on a CPU, all similarities are there at once and stay in the cache. The gate needs a row's sum before
it may look at an entry; with whole rows that takes one product with the keys and one exponential, not two.

Style positions are rows here and content positions columns: sums over rows are sums of vectors.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxstyle.arrays import Array

SOFTNESS = 0.5
"""Width of the sigmoid in place of the gate's step in the backward pass, in units of a row's mean."""

_NONE = -1e30  # similarity of a position that is none
_LARGEST = 1e-4  # similarities so close to the largest one are it
_FEW = 256  # style positions, of which not looking at them is worth no program of its own


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


@jax.custom_jvp
def gate(weights: Array, threshold: Array) -> Array:
    """``1[A > T]`` (Eq. 5), whose gradient to T is that of a sigmoid, and which has none to A.

    Args:
      weights: A in units of 1 / N.
      threshold: T in the same units, of a shape that broadcasts to that of A.
    """
    return (weights > threshold).astype(jnp.float32)


@gate.defjvp
def _gate_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    weights, threshold = primals
    soft = jax.nn.sigmoid((weights - threshold) / SOFTNESS)
    return gate(weights, threshold), -soft * (1 - soft) / SOFTNESS * tangents[1]


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
      block: content positions at a time: memory is O(P block). Style positions are then looked at as far as there are
        any, in quarters of P. None: all at once.
      floor: of the deviation.
      dtype: of the products; sums are float32.

    Returns:
      Moments of the values under the weights; the gradient goes through all of them.
    """
    n, q, g, _ = query.shape
    p, v = style.keys.shape[1], style.values.shape[-1]
    scaled = (query * sharpness[:, None, :, None]).astype(dtype)
    values = style.values.astype(dtype)
    both = jnp.concatenate([values, jnp.square(values)], axis=-1)
    t = None if threshold is None else threshold.transpose(0, 2, 1).reshape(n * g, q)
    keys = style.keys.astype(dtype)
    heads = _Head(_columns(scaled), _columns(keys).swapaxes(1, 2), _columns(both), jnp.repeat(style.there, g), t)

    def first(size: int) -> tuple[Array, Array, Array]:
        cut = heads._replace(keys=heads.keys[:, :size], both=heads.both[:, :, :size])
        one = partial(_attend_head, block=block)
        return jax.vmap(one)(cut) if block is None or jax.default_backend() != "cpu" else lax.map(one, cut)

    if block is None or p < 4 * _FEW:
        seen, mass, kept = first(p)
    else:
        sizes = [-(-p * i // 4) for i in range(1, 5)]
        enough = sum((style.there.max() > size).astype(jnp.int32) for size in sizes[:-1])
        seen, mass, kept = lax.switch(enough, [partial(first, size) for size in sizes])
    mean, square = jnp.split(seen.reshape(n, g, 2 * v, q), 2, axis=2)
    variance = square - jnp.square(mean) + floor**2
    # rounding makes no difference to which side has a gradient
    deviation = jnp.sqrt(jnp.maximum(variance, floor**2 / 4))
    return Attended(
        *(x.transpose(0, 3, 1, 2) for x in (mean, deviation)),
        *(x.reshape(n, g, q).transpose(0, 2, 1) for x in (mass, kept)),
    )


class _Head(NamedTuple):
    """What one head compares: query ``(D, Q)``, keys ``(P, D)``, values and squares ``(2 V, P)``, T ``(Q,)``."""

    query: Array
    keys: Array
    both: Array
    there: Array
    threshold: Array | None


def _columns(x: Array) -> Array:
    """``(N, P, G, X)`` -> ``(N G, X, P)``."""
    n, p, g, size = x.shape
    return x.transpose(0, 2, 3, 1).reshape(n * g, size, p)


def _attend_head(head: _Head, *, block: int | None) -> tuple[Array, Array, Array]:
    """Means of values and squares ``(2 V, Q)``, mass and kept ``(Q,)``. Backwards, blocks are computed once more."""
    if block is None:
        return _attend_columns(head, head.query, head.threshold)
    q = head.query.shape[1]
    count = -(-q // block)

    def cut(x: Array) -> Array:
        """``(..., Q)`` -> ``(B, ..., block)``, zeros at the end."""
        x = jnp.pad(x, (*((0, 0),) * (x.ndim - 1), (0, count * block - q)))
        return jnp.moveaxis(x.reshape(*x.shape[:-1], count, block), -2, 0)

    def joined(x: Array) -> Array:
        return jnp.moveaxis(x, 0, -2).reshape(*x.shape[1:-1], count * block)[..., :q]

    some = jax.checkpoint(lambda part: _attend_columns(head, *part))
    found = lax.map(some, (cut(head.query), None if head.threshold is None else cut(head.threshold)))
    return joined(found[0]), joined(found[1]), joined(found[2])


def _attend_columns(head: _Head, query: Array, threshold: Array | None) -> tuple[Array, Array, Array]:
    """`_attend_head` of some of the content positions, ``query (D, B)``, all at once."""
    p, there = head.keys.shape[0], head.there
    s = jnp.matmul(head.keys, query, preferred_element_type=jnp.float32)
    s = jnp.where((jnp.arange(p, dtype=jnp.int32) < there)[:, None], s, _NONE)
    e = jnp.exp(s - lax.stop_gradient(s.max(0, keepdims=True)))
    total, kept = e.sum(0), jnp.ones(e.shape[1:], jnp.float32)
    if threshold is not None:
        through = jnp.where(e >= 1 - _LARGEST, 1.0, gate(e * (there / total)[None], threshold[None]))
        e = e * through
        absent = jnp.where(threshold < 0, p - there, 0)  # which an open gate lets through
        kept = (lax.stop_gradient(through).sum(0) - absent) / there
    e = e.astype(query.dtype)
    mass = e.astype(jnp.float32).sum(0)
    seen = jnp.matmul(head.both, e, preferred_element_type=jnp.float32)
    return seen / mass[None], mass / total, kept


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
