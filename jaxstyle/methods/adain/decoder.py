"""AdaIN's decoder g (arXiv:1703.06868, Eq. 10) as a Flax module."""

from __future__ import annotations

import jax.numpy as jnp
from flax import linen as nn

from jaxstyle.arrays import Array, Features, Image
from jaxstyle.methods.adain import network
from jaxstyle.nets import vgg
from jaxstyle.nets.convolutions import inner, ring
from jaxstyle.nets.layers import Conv3x3
from jaxstyle.nets.stats import inside


class Decoder(nn.Module):
    """The decoder g of Eq. 10: the mirror of VGG up to ``relu4_1``; reflect padding, nearest up-sampling.

    Attributes:
      arch: the encoder it mirrors; VGG-19 has one 256>256 convolution more.
      norm: ``"none"`` (the paper's choice), ``"batch"`` or ``"instance"`` (its Sec. 7.2).
      dtype: type of the convolutions.
    """

    arch: vgg.Arch = "vgg16"
    norm: network.DecoderNorm = "none"
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, t: Features, *, train: bool = False, size: Array | None = None) -> Image:
        """Features ``(N, H, W, C)`` -> images ``(N, 8 H, 8 W, 3)``, about [0, 1], not clipped.

        ``train`` makes batch normalisation use the batch's statistics and update the running ones. ``size``: (2,), what
        lies beyond so many rows and columns of ``t`` has no influence on what lies inside.
        """
        if self.norm not in ("none", "batch", "instance"):
            raise ValueError(f"norm: expected 'none', 'batch' or 'instance', got {self.norm!r}")
        plan = network.plan(self.arch)
        x = ring(t)
        for i, (width, upsample) in enumerate(plan):
            x = Conv3x3(width, upsample=upsample, dtype=self.dtype, name=f"conv{i}")(x, size)
            size = 2 * size if upsample and size is not None else size
            if self.norm == "batch":
                x = ring(nn.BatchNorm(use_running_average=not train, momentum=0.99, name=f"norm{i}")(inner(x)))
            elif self.norm == "instance":
                x = inner(x)
                x = ring(nn.InstanceNorm(name=f"norm{i}")(x, mask=None if size is None else inside(x.shape, size)))
            x = nn.relu(x)
        return inner(Conv3x3(3, dtype=self.dtype, name=f"conv{len(plan)}")(x, size)).astype(jnp.float32)
