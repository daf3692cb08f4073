"""What a decoder should aim at for a style: moments of its deepest features, learned from those of all its layers."""

from __future__ import annotations

from collections.abc import Mapping

import jax.numpy as jnp
from flax import linen as nn

from jaxstyle.nets.stats import Moments

_FLOOR = 0.05  # of the scale 1 of normalised features; channels below it are off


class Aim(nn.Module):
    """Moments of a style's features at several layers -> the moments that its deepest features should get.

    The deepest moments do not say what the shallow layers, which the style is judged by as well, look like; and a
    decoder trained on many styles answers some of them with a bias. A correction is added that is learned from all of
    them: two dense layers, the last one zero at the start. It is a function of the style alone, computed once a style.

    Attributes:
      hidden: width of the hidden layer.
    """

    hidden: int = 256

    @nn.compact
    def __call__(self, found: Mapping[str, Moments]) -> Moments:
        """Moments by layer, each ``(N, C)`` of normalised features, the deepest last -> ``(N, C)`` of the deepest."""
        *_, deepest = found.values()
        seen = jnp.concatenate([part for each in found.values() for part in each], axis=-1)
        x = nn.gelu(nn.Dense(self.hidden, name="seen")(jnp.log(jnp.maximum(seen, 0) + _FLOOR)))
        change = nn.Dense(2 * deepest.mean.shape[-1], kernel_init=nn.initializers.zeros, name="change")(x)
        mean, std = jnp.split(change, 2, axis=-1)
        return Moments(deepest.mean + mean, deepest.std + std)
