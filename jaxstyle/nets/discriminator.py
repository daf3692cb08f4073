"""A multi-scale patch discriminator (pix2pixHD, arXiv:1711.11585, Sec. 3.2), trained by least squares.

Every scale is a PatchGAN of its own: 4x4 convolutions with leaky ReLUs, of which all but the first and the last are
instance-normalised, and a map of scores, one a patch. The first scale sees the pictures, each further one half of what
the one before it saw.

Differs from the paper: two scales, as in the authors' code, where the paper has three; and it is told no condition: it
judges whether a picture is a painting, not which photo it belongs to.

XLA's CPU back end takes ten times as long for strided 4x4 convolutions and their gradients as for the multiplication of
matrices that they are, so there the patches are gathered first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import lax

from jaxstyle.arrays import Array, Image, Params
from jaxstyle.nets.stats import standardise

_SIDE = 4  # of the kernels
_PADDING = 2  # zeros on every side
_SLOPE = 0.2  # of the leaky ReLUs
_DEVIATION = 0.02  # of fresh kernels


class Discriminator(nn.Module):
    """Scores of pictures at several scales, about 1 for paintings and 0 for what a network made.

    Attributes:
      scales: how many.
      width: channels of the first layer; each further one has twice as many, at most eight times these.
      layers: of these, how many halve the resolution.
      dtype: type of the convolutions; parameters, normalisation and scores are float32.
    """

    scales: int = 2
    width: int = 64
    layers: int = 3
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, images: Image) -> list[Array]:
        """Images ``(N, H, W, 3)`` in [0, 1] -> maps ``(N, h, w)`` of scores, one a scale; any H and W from 8 up."""
        x, found = 2 * images - 1, []
        for scale in range(self.scales):
            x = half(x) if scale else x
            found.append(_Patches(self.width, self.layers, self.dtype, name=f"scale{scale}")(x))
        return found


class _Patches(nn.Module):
    """The network of one scale."""

    width: int
    layers: int
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x: Array) -> Array:
        for i in range(self.layers + 1):
            stride = 2 if i < self.layers else 1
            x = _Conv(self.width * min(2**i, 8), stride, self.dtype, name=f"conv{i}")(x)
            x = nn.leaky_relu(standardise(x) if i else x, _SLOPE)
        return _Conv(1, 1, self.dtype, name=f"conv{self.layers + 1}")(x)[..., 0]


class _Conv(nn.Module):
    """`conv4x4` with a bias, which is added in float32."""

    features: int
    stride: int
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x: Array) -> Array:
        shape = (_SIDE, _SIDE, x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.normal(_DEVIATION), shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        y = conv4x4(x.astype(self.dtype), kernel.astype(self.dtype), stride=self.stride)
        return y.astype(jnp.float32) + bias.reshape(1, 1, 1, -1)


def conv4x4(x: Array, kernel: Array, *, stride: int = 1) -> Array:
    """4x4 convolution (cross-correlation) with two rows and columns of zeros around.

    Args:
      x: ``(N, H, W, Cin)``.
      kernel: ``(4, 4, Cin, Cout)``.
      stride: 1 or 2.

    Returns:
      ``(N, H // stride + 1, W // stride + 1, Cout)``.

    Raises:
      ValueError: another stride.
    """
    if stride not in (1, 2):
        raise ValueError(f"stride: expected 1 or 2, got {stride}")
    around = (_PADDING, _PADDING)
    if jax.default_backend() != "cpu":
        numbers = ("NHWC", "HWIO", "NHWC")
        return lax.conv_general_dilated(x, kernel, (stride, stride), (around, around), dimension_numbers=numbers)
    n, height, width, c_in = x.shape
    x = jnp.pad(x, ((0, 0), around, around, (0, 0)))
    side, rows, columns = _SIDE // stride, height // stride + 1, width // stride + 1  # of the result
    # stride 2: blocks of 2x2 become channels, and the kernel one of 2x2 on them
    x = x[:, : stride * (rows + side - 1), : stride * (columns + side - 1)]
    x = x.reshape(n, rows + side - 1, stride, columns + side - 1, stride, c_in).transpose(0, 1, 3, 2, 4, 5)
    x = x.reshape(n, rows + side - 1, columns + side - 1, -1)
    taps = kernel.reshape(side, stride, side, stride, c_in, -1).transpose(0, 2, 1, 3, 4, 5)
    patches = [x[:, i : i + rows, j : j + columns] for i in range(side) for j in range(side)]
    return jnp.concatenate(patches, -1) @ taps.reshape(-1, kernel.shape[-1])


def half(images: Image) -> Image:
    """Means of 3x3 pixels, of every second row and column, at the border of those that there are.

    ``(N, H, W, C)`` -> ``(N, ceil(H / 2), ceil(W / 2), C)``.
    """
    return _half(_half(images, 1), 2)


def _half(x: Array, axis: int) -> Array:
    length = x.shape[axis]
    size = -(-length // 2)
    around = [(1, 2) if i == axis else (0, 0) for i in range(x.ndim)]
    padded = jnp.pad(x, around)
    first, second, third = (lax.slice_in_dim(padded, i, i + 2 * size - 1, 2, axis) for i in range(3))
    counts = np.minimum(2 * np.arange(size) + 2, length) - np.maximum(2 * np.arange(size) - 1, 0)
    shares = (1 / counts).astype(np.float32).reshape([size if i == axis else 1 for i in range(x.ndim)])
    return (first + second + third) * jnp.asarray(shares)


def squared_loss(scores: Sequence[Array], target: float, rows: Array | None = None) -> Array:
    """Mean squared distance of scores from a target, summed over scales (least-squares GAN, arXiv:1611.04076).

    Args:
      scores: of `Discriminator`.
      target: 1 for what shall count as a painting, 0 for what shall not.
      rows: ``(N,)``, how much every picture counts; by default 1.

    Returns:
      A scalar.
    """
    each = sum((jnp.square(s - target).mean((1, 2)) for s in scores), jnp.zeros(scores[0].shape[:1], jnp.float32))
    return (each if rows is None else each * rows).mean()


def objective(
    discriminator: Params, paintings: Image, made: Image, *, rows: Array | None = None, dtype: Any = jnp.float32
) -> Array:
    """What the discriminator is trained for: paintings score 1, what a network made scores 0; half of each.

    Args:
      discriminator: variables of `Discriminator`, of its default size.
      paintings: ``(N, H, W, 3)`` in [0, 1].
      made: ``(N, H, W, 3)``; no gradient goes into it.
      rows: ``(N,)``, how much every painting and every picture made counts; by default 1.
      dtype: of the convolutions.

    Returns:
      A scalar.
    """
    both = jnp.concatenate([paintings, lax.stop_gradient(made)])
    scores, n = judge(discriminator, both, dtype=dtype), len(paintings)
    return 0.5 * (squared_loss([s[:n] for s in scores], 1.0, rows) + squared_loss([s[n:] for s in scores], 0.0, rows))


def judge(discriminator: Params, images: Image, *, dtype: Any = jnp.float32) -> list[Array]:
    """The scores of images, see `Discriminator`; arguments as for `objective`."""
    return Discriminator(dtype=dtype).apply(discriminator, images)  # type: ignore[return-value]


def init(key: Array) -> Params:
    """Fresh variables of a `Discriminator` of the default size: kernels of deviation 0.02, as the authors have them."""
    return dict(Discriminator().init(key, jnp.zeros((1, 8, 8, 3), jnp.float32)))
