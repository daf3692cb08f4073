"""The networks of Dynamic Style Kernels as Flax modules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from flax import linen as nn

from jaxstyle.arrays import Array, Features, Image
from jaxstyle.methods.adain.decoder import Decoder
from jaxstyle.methods.style_kernel.network import CHANNELS, Config
from jaxstyle.nets import vgg
from jaxstyle.nets.aim import Aim
from jaxstyle.nets.convolutions import conv3x3, inner, mirror, ring, upsample2x
from jaxstyle.nets.layers import Conv3x3


class Block(nn.Module):
    """A convolution of 3x3, reflect padding, or 1x1.

    Attributes:
      features: number of output channels.
      near: 3x3, else 1x1.
      fresh: initialiser of the kernel.
      bias: initialiser of the bias.
      dtype: of the computation.
    """

    features: int
    near: bool = True
    fresh: nn.initializers.Initializer = nn.initializers.he_normal()
    bias: nn.initializers.Initializer = nn.initializers.zeros
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Features, size: Array | None = None) -> Features:
        """``(N, H, W, C)`` -> ``(N, H, W, features)``; ``size``: (2,), of the picture, see `convolutions.mirror`."""
        side = 3 if self.near else 1
        kernel = self.param("kernel", self.fresh, (side, side, x.shape[-1], self.features), jnp.float32)
        bias = self.param("bias", self.bias, (self.features,), jnp.float32)
        kernel, bias, x = (part.astype(self.dtype) for part in (kernel, bias, x))
        if self.near:
            return inner(conv3x3(mirror(ring(x), size), kernel, bias, padding="zero"))
        return jnp.einsum("nhwc,cd->nhwd", x, kernel[0, 0]) + bias[None, None, None]


def _delta(key: Array, shape: Sequence[int], dtype: Any = jnp.float32) -> Array:
    """The kernel that changes nothing, (k, k, C, C)."""
    del key
    kernel = jnp.zeros(shape, dtype)
    return kernel.at[shape[0] // 2, shape[1] // 2].set(jnp.eye(shape[2], shape[3], dtype=dtype))


class Psi(nn.Module):
    """psi: what the gate of every position and head is like: ``(N, H, W, C)`` -> T ``(N, H, W, G)``.

    ``T = 2 sigmoid(gamma) + tanh(beta) / 2`` in units of a row's mean, which is 1 over the number of positions. At the
    start it is below 0: the gate is open.

    Differs from the paper: there ``T = gamma A_r + beta`` without bounds, so that beta would mean something else at
    each size of the style; gamma and beta beyond these bounds open or close everything, and then have no gradient.
    """

    config: Config
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Features, size: Array | None = None) -> Array:
        """``size``: (2,), of the picture."""
        config = self.config
        for i in range(2):
            x = nn.relu(Block(config.watch, i < config.far, dtype=self.dtype, name=f"block{i}")(x, size))
        zeros = nn.initializers.zeros
        found = Block(2 * config.heads, config.far > 2, zeros, zeros, self.dtype, name="block2")(x, size)
        gamma, beta = jnp.split(found.astype(jnp.float32), 2, axis=-1)
        return 2 * nn.sigmoid(gamma - 2) + jnp.tanh(beta - 1) / 2


class Phi(nn.Module):
    """phi: from the aligned style to a k x 1 and a 1 x k kernel and a bias for every position and channel.

    All are differences to what changes nothing, and zero at the start.
    """

    config: Config
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Features, size: Array | None = None) -> tuple[Array, Array, Array]:
        """``(N, H, W, C')`` -> F1 and F2 ``(N, H, W, k, C)``, B ``(N, H, W, C)``, float32."""
        config = self.config
        fresh = _delta if x.shape[-1] == config.hidden else nn.initializers.he_normal()
        x = nn.relu(Block(config.hidden, fresh=fresh, dtype=self.dtype, name="block0")(x, size))
        k, zeros = config.kernels, nn.initializers.zeros
        found = Block((2 * k + 1) * CHANNELS, config.wide, zeros, zeros, self.dtype, name="block1")(x, size)
        found = found.astype(jnp.float32).reshape(*x.shape[:3], 2 * k + 1, CHANNELS)
        return found[..., :k, :], found[..., k : 2 * k, :], found[..., 2 * k, :]


class ResidualDecoder(nn.Module):
    """The decoder of Table 4: residual blocks that halve the channels, nearest up-sampling, tanh.

    Differs from the paper: the sum's other side, whose channels are twice as many, is a 1x1 convolution; tanh is mapped
    to [0, 1]. Convolutions are those of VGG's mirror, with reflect padding.
    """

    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Features, *, size: Array | None = None) -> Image:
        """``(N, H, W, C)`` -> ``(N, 8 H, 8 W, 3)`` in [0, 1]; ``size``: (2,), of the picture in ``x``."""
        x = x.astype(self.dtype)
        for i in range(3):
            width = CHANNELS >> (i + 1)
            beside = Block(width, False, dtype=self.dtype, name=f"beside{i}")(x)
            y = Conv3x3(width, upsample=i > 0, dtype=self.dtype, name=f"conv{2 * i}")(ring(nn.relu(x)), size)
            if i > 0:
                beside, size = upsample2x(beside), None if size is None else 2 * size
            x = beside + inner(Conv3x3(width, dtype=self.dtype, name=f"conv{2 * i + 1}")(nn.relu(y), size))
        found = inner(Conv3x3(3, upsample=True, dtype=self.dtype, name="conv6")(ring(nn.relu(x)), size))
        return (jnp.tanh(found.astype(jnp.float32)) + 1) / 2


def parts(config: Config, arch: vgg.Arch = "vgg16", dtype: Any = jnp.float32) -> dict[str, nn.Module]:
    """The networks of a configuration, by the names of their parameters."""
    project = Block(CHANNELS, config.near, _delta, dtype=dtype)
    found: dict[str, nn.Module] = {"query": project, "key": project}
    if config.values:
        found["value"] = Block(CHANNELS, True, _delta, dtype=dtype)
    if config.gated:
        found["psi"] = Psi(config, dtype)
    if config.kernels:
        found["phi"] = Phi(config, dtype)
    if config.aim:
        found["aim"] = Aim()
    mirror_of_vgg = Decoder(arch, dtype=dtype)
    found["decoder"] = mirror_of_vgg if config.decoder == "mirror" else ResidualDecoder(dtype)
    return found
