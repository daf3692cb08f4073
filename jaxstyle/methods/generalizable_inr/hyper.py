"""The networks that look at pictures, as Flax modules: the transformer with weight tokens, and the painter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from flax import linen as nn

from jaxstyle.arrays import Array, Features, Image
from jaxstyle.methods import adain
from jaxstyle.methods.adain import network
from jaxstyle.nets import vgg
from jaxstyle.nets.convolutions import inner, ring
from jaxstyle.nets.layers import Conv3x3

_zeros = nn.initializers.zeros


class Transformer(nn.Module):
    """A ViT over tokens of a picture and *weight tokens*, which are learned and stand for no place.

    "The outputs at the weight tokens, mapped linearly, are instance-specific vectors" (the paper, after TransINR,
    arXiv:2208.02801).

    Attributes:
      width, depth, heads: of the blocks.
      weight_tokens: how many.
      vector: length of an instance-specific vector.
      context: channels of what comes out at the picture's tokens; 0: nothing does.
    """

    width: int
    depth: int
    heads: int
    weight_tokens: int
    vector: int
    context: int = 0

    @nn.compact
    def __call__(self, tokens: Array) -> tuple[Array, Array]:
        """``(N, T, C)`` -> vectors ``(N, weight_tokens, vector)``, zero at the start, and ``(N, T, context)``."""
        count, small = tokens.shape[1], nn.initializers.normal(0.02)
        places = self.param("places", small, (count, self.width), jnp.float32)
        weights = self.param("weights", nn.initializers.normal(1.0), (self.weight_tokens, self.width), jnp.float32)
        x = nn.Dense(self.width, name="entry")(nn.LayerNorm(name="entry_norm")(tokens)) + places[None]
        x = jnp.concatenate([jnp.broadcast_to(weights[None], (len(x), *weights.shape)), x], axis=1)
        for i in range(self.depth):
            y = nn.LayerNorm(name=f"norm{i}_0")(x)
            x = x + nn.MultiHeadDotProductAttention(self.heads, name=f"attention{i}")(y)
            y = nn.LayerNorm(name=f"norm{i}_1")(x)
            x = x + nn.Dense(self.width, name=f"out{i}")(nn.gelu(nn.Dense(3 * self.width, name=f"in{i}")(y)))
        x = nn.LayerNorm(name="norm")(x)
        vectors = nn.Dense(self.vector, kernel_init=_zeros, name="vectors")(x[:, : self.weight_tokens])
        if not self.context:
            return vectors, jnp.zeros((len(x), count, 0), jnp.float32)
        return vectors, nn.Dense(self.context, name="context")(x[:, self.weight_tokens :])


class Painter(nn.Module):
    """Restyled features -> the stylized picture of which the style's latent grids are made.

    It is AdaIN's decoder, which sees the shallower layers as well, each where it has their resolution: what AdaIN made
    of them is added, by a matrix that is zero at the start.

    Attributes:
      arch: the encoder it mirrors.
      dtype: type of the convolutions.
    """

    arch: vgg.Arch = "vgg16"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, restyled: Mapping[str, Features], size: Array | None = None) -> Image:
        """Features by tap, those of `adain.STYLE_TAPS`, after AdaIN -> ``(N, H, W, 3)``, about [0, 1], not clipped.

        ``size``: (2,), rows and columns of ``relu4_1`` that are the picture's.
        """
        *beside, deepest = (restyled[tap] for tap in adain.STYLE_TAPS)
        plan = network.plan(self.arch)
        x = ring(deepest)
        for i, (width, upsample) in enumerate(plan):
            x = nn.relu(Conv3x3(width, upsample=upsample, dtype=self.dtype, name=f"conv{i}")(x, size))
            if upsample:
                size = None if size is None else 2 * size
                seen = beside.pop().astype(self.dtype)
                x = x + ring(
                    nn.Dense(width, use_bias=False, kernel_init=_zeros, dtype=self.dtype, name=f"beside{i}")(seen)
                )
        return inner(Conv3x3(3, dtype=self.dtype, name=f"conv{len(plan)}")(x, size)).astype(jnp.float32)
