"""The networks' layers as Flax modules, and VGG made of them.

Whoever uses a model by functions of its parameters, such as `jaxstyle.vgg.features`, gets them from here when something
is traced: a picture that is painted by a program which was compiled before needs no Flax.
"""

from __future__ import annotations

import jax.numpy as jnp
from flax import linen as nn

from jaxstyle.arrays import Array, Features, Image
from jaxstyle.nets import vgg
from jaxstyle.nets.convolutions import (
    Padding,
    avg_pool2x2,
    conv3x3,
    inner,
    max_pool2x2,
    mirror,
    ring,
    ring_upsample_conv3x3,
)


class Conv3x3(nn.Module):
    """`conv3x3`, or if ``upsample`` `ring_upsample_conv3x3`, after `mirror`; parameters ``kernel`` and ``bias``.

    Attributes:
      features: number of output channels.
      upsample: double the resolution first (nearest neighbour).
      dtype: type of the computation; the parameters are float32.
    """

    features: int
    upsample: bool = False
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Array, size: Array | None = None) -> Array:
        """With ring in, with ring out; ``size``: of the picture, see `mirror`."""
        shape = (3, 3, x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.he_normal(), shape, jnp.float32).astype(self.dtype)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32).astype(self.dtype)
        x = mirror(x.astype(self.dtype), size, repeat=self.upsample)
        return ring_upsample_conv3x3(x, kernel, bias) if self.upsample else conv3x3(x, kernel, bias, padding="zero")


class VGG(nn.Module):
    """VGG up to the deepest tap.

    Attributes:
      arch: ``"vgg16"`` or ``"vgg19"``.
      taps: names of the wanted activations: ``relu4_1`` after, ``conv4_1`` before the ReLU.
      padding: ``"zero"`` (as trained) or ``"reflect"`` (AdaIN, Sec. 6 of arXiv:1703.06868).
      pool: ``"max"`` (as trained) or ``"avg"`` (Gatys et al. 2016; INR-st).
      dtype: type of the convolutions.
    """

    arch: vgg.Arch = "vgg16"
    taps: tuple[str, ...] = ("relu4_1",)
    padding: Padding = "zero"
    pool: vgg.Pool = "max"
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, images: Image, size: Array | None = None) -> dict[str, Features]:
        """Returns ``{tap: (N, H', W', C)}`` for images ``(N, H, W, 3)`` in [0, 1]; ``size`` as in `vgg.features`."""
        names = vgg.conv_names(self.arch)
        vgg.check(images.shape, self.taps, self.arch, self.padding, self.pool)
        shrink = max_pool2x2 if self.pool == "max" else avg_pool2x2
        mean, std = (jnp.asarray(v, jnp.float32).reshape(1, 1, 1, 3) for v in (vgg.IMAGENET_MEAN, vgg.IMAGENET_STD))
        x = ((images - mean) / std).astype(self.dtype)
        reflect = self.padding == "reflect"
        x = ring(x) if reflect else x
        found: dict[str, Features] = {}
        for name in names:
            if name.endswith("_1") and name != "conv1_1":
                x = ring(shrink(inner(x))) if reflect else shrink(x)
                size = None if size is None else size // 2
            kernel, bias = (
                p.astype(self.dtype)
                for p in _Weights(vgg.kernel_shape(name), name=name)()  # type: ignore[misc]
            )
            x = conv3x3(mirror(x, size) if reflect else x, kernel, bias, padding="zero")
            tap = name.replace("conv", "relu")
            if name in self.taps:
                found[name] = inner(x) if reflect else x
            x = nn.relu(x)
            if tap in self.taps:
                found[tap] = inner(x) if reflect else x
            if len(found) == len(set(self.taps)):
                break
        return found


class _Weights(nn.Module):
    """The parameters of one convolution, so that a parameter tree reads ``{name: {kernel, bias}}``."""

    shape: tuple[int, int, int, int]

    @nn.compact
    def __call__(self) -> tuple[Array, Array]:
        kernel = self.param("kernel", nn.initializers.he_normal(), self.shape, jnp.float32)
        return kernel, self.param("bias", nn.initializers.zeros, (self.shape[-1],), jnp.float32)
