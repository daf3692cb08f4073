"""Feature statistics: channel means and standard deviations, Gram matrices, AdaIN.

All of them are computed in float32 whatever the features' type, with the biased variance (divided by H*W)
and ``sqrt(var + eps)``, whose gradient is finite on flat images.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax

from jaxstyle.arrays import Array, Features

EPS = 1e-5


class Moments(NamedTuple):
    """Channel statistics of a feature map: what AdaIN knows of a style."""

    mean: Array  # (N, C)
    std: Array  # (N, C)


def moments(features: Features, *, eps: float = EPS) -> Moments:
    """Mean and standard deviation of every channel over all positions (Eq. 5-6 of arXiv:1703.06868).

    Args:
      features: ``(N, H, W, C)``.
      eps: added to the variance before the root.

    Returns:
      ``Moments(mean, std)``, each ``(N, C)`` float32.
    """
    x = features.astype(jnp.float32)
    mean = x.mean((1, 2))
    var = jnp.square(x - mean[:, None, None]).mean((1, 2))  # two passes: exact also where mean >> std
    return Moments(mean, jnp.sqrt(var + eps))


def adain(content: Features, style: Features | Moments, *, eps: float = EPS) -> Features:
    """Gives the content features the channel statistics of the style (Eq. 8 of arXiv:1703.06868).

    Args:
      content: ``(N, H, W, C)``.
      style: features ``(N, H', W', C)`` of any size, or their moments. A batch of 1 serves every content.
      eps: added to the variances; the paper leaves it out.

    Returns:
      ``(N, H, W, C)`` in the type of ``content``.
    """
    source = moments(content, eps=eps)
    target = style if isinstance(style, Moments) else moments(style, eps=eps)
    scale = target.std / source.std
    shift = target.mean - source.mean * scale
    x = content.astype(jnp.float32)
    return (x * scale[:, None, None] + shift[:, None, None]).astype(content.dtype)


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
