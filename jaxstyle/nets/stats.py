"""Feature statistics: channel means and standard deviations, Gram matrices.

All of them are computed in float32 whatever the features' type, with the biased variance (divided by H*W)
and ``sqrt(var + eps)``, whose gradient is finite on flat images.
"""

from __future__ import annotations

from typing import NamedTuple

from jax import lax
from jax import numpy as jnp  # `import jax.numpy` may see half of it, if a thread is importing jax

from jaxstyle.arrays import Array, Features

EPS = 1e-5


class Moments(NamedTuple):
    """Channel statistics of a feature map: what there is to know of a style."""

    mean: Array  # (N, C)
    std: Array  # (N, C)


def moments(features: Features, *, eps: float = EPS, size: Array | None = None) -> Moments:
    """Mean and standard deviation of every channel over all positions (Eq. 5-6 of arXiv:1703.06868).

    Args:
      features: ``(N, H, W, C)``.
      eps: added to the variance before the root.
      size: (2,), how many rows and columns count, from the top left; by default all. May be traced.

    Returns:
      ``Moments(mean, std)``, each ``(N, C)`` float32.
    """
    x = jnp.asarray(features, jnp.float32)
    where = None if size is None else inside(x.shape, size)
    mean = x.mean((1, 2), where=where)
    var = jnp.square(x - mean[:, None, None]).mean((1, 2), where=where)  # two passes: exact also where mean >> std
    return Moments(mean, jnp.sqrt(var + eps))


def inside(shape: tuple[int, ...], size: Array) -> Array:
    """Which positions of ``(N, H, W, C)`` lie within the first ``size`` rows and columns: bool ``(1, H, W, 1)``."""
    rows, columns = (jnp.arange(n, dtype=jnp.int32) < end for n, end in zip(shape[1:3], size, strict=True))
    return (rows[:, None] & columns[None, :])[None, :, :, None]


def with_moments(
    content: Features, style: Features | Moments, *, eps: float = EPS, source: Moments | None = None
) -> Features:
    """Gives features the channel statistics of others: adaptive instance normalization (Eq. 8 of arXiv:1703.06868).

    Args:
      content: ``(N, H, W, C)``.
      style: features ``(N, H', W', C)`` of any size, or their moments. A batch of 1 serves every content.
      eps: added to the variances; the paper leaves it out.
      source: the content's moments ``(N, C)``, where ``content`` is not just it; by default its own.

    Returns:
      ``(N, H, W, C)`` in the type of ``content``.
    """
    own = moments(content, eps=eps) if source is None else source
    target = style if isinstance(style, Moments) else moments(style, eps=eps)
    scale = target.std / own.std
    shift = target.mean - own.mean * scale
    x = content.astype(jnp.float32)
    return (x * scale[:, None, None] + shift[:, None, None]).astype(content.dtype)


def standardise(features: Features, *, eps: float = EPS) -> Features:
    """Gives every channel mean 0 and standard deviation 1 over all positions (instance normalisation).

    Args:
      features: ``(N, H, W, C)``.
      eps: added to the variance before the root.

    Returns:
      ``(N, H, W, C)`` float32.
    """
    own = moments(features, eps=eps)
    return (features.astype(jnp.float32) - own.mean[:, None, None]) / own.std[:, None, None]


def gram(features: Features) -> Array:
    """Gram matrices divided by C*H*W (Gatys et al. 2016, with Johnson et al.'s normalisation).

    Args:
      features: ``(N, H, W, C)``.

    Returns:
      ``(N, C, C)`` float32.
    """
    n, h, w, c = features.shape
    x = features.astype(jnp.float32).reshape(n, h * w, c)
    return jnp.einsum("npc,npd->ncd", x, x, precision=lax.Precision.HIGHEST) / (c * h * w)
