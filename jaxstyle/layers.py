"""Blocks that two or more methods use, in the form that XLA runs fastest.

Every function here equals a plain form that a reader would write first; the tests compare the two.

* A reflect-padded convolution is a zero-padded one plus a correction on the outer ring of pixels. XLA's CPU
  back end runs a 3x3 convolution with zero padding four to five times faster than one without padding, and
  neither a padded nor a cropped copy is made.
* Nearest up-sampling and the 3x3 convolution after it are four 2x2 convolutions at the low resolution:
  2.25 times fewer multiplications.
* Kernel gradients on CPU are summed over strips of about 2048 positions, which stay in the cache.
* 2x2 max pooling is the maximum of four strided slices, whose gradient needs no scatter.

The convolutions have gradients of their own, so they are differentiated in reverse mode only (`jax.grad`,
`jax.vjp`), not with `jax.jvp`.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax

from jaxstyle.arrays import Array, Features

Padding = Literal["zero", "reflect"]
_Margins: TypeAlias = tuple[tuple[int, int], tuple[int, int]]  # (top, bottom), (left, right)

_STRIP = 2048  # positions per strip of a kernel gradient on CPU
_MAX_STRIPS = 64  # about so many strips at most: each is an operation of its own for the compiler


def _correlate(x: Array, kernel: Array, padding: _Margins) -> Array:
    return lax.conv_general_dilated(
        x, kernel, (1, 1), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )  # (N, H, W, Cin) * (kh, kw, Cin, Cout) -> (N, H, W, Cout)


def _kernel_gradient(x: Array, dy: Array, shape: tuple[int, ...], padding: _Margins) -> Array:
    """Gradient of sum(dy * _correlate(x, kernel, padding)) by the kernel, (kh, kw, Cin, Cout)."""
    kh, kw, c_in, c_out = shape
    n, h, w, _ = dy.shape
    (top, bottom), (left, right) = padding
    zeros = jnp.zeros(shape, x.dtype)

    def plain(x: Array, dy: Array, padding: _Margins) -> Array:
        (grad,) = jax.linear_transpose(lambda k: _correlate(x, k, padding), zeros)(dy)
        return grad

    if jax.default_backend() != "cpu":
        return plain(x, dy, padding)
    if c_out <= 8:  # few outputs: shift the small array, not the large one, and multiply once
        far = jnp.pad(dy, ((0, 0), (kh - 1 - top, kh - 1 - bottom), (kw - 1 - left, kw - 1 - right), (0, 0)))
        hx, wx = x.shape[1:3]
        shifted = [
            far[:, kh - 1 - i : kh - 1 - i + hx, kw - 1 - j : kw - 1 - j + wx] for i in range(kh) for j in range(kw)
        ]
        columns = jnp.concatenate(shifted, -1).reshape(-1, kh * kw * c_out)
        grad = x.reshape(-1, c_in).T @ columns  # (Cin, kh * kw * Cout)
        return grad.reshape(c_in, kh, kw, c_out).transpose(1, 2, 0, 3)
    if n * h * w <= _STRIP:
        return plain(x, dy, padding)
    padded = jnp.pad(x, ((0, 0), padding[0], padding[1], (0, 0)))
    rows = max(1, _STRIP // w, -(-n * h // _MAX_STRIPS))  # of one image, or of several whole images
    images = max(1, rows // h)
    total = jnp.zeros(shape, jnp.float32)
    for i in range(0, n, images):
        for r in range(0, h, rows):
            strip = dy[i : i + images, r : r + rows]
            total += plain(padded[i : i + images, r : r + strip.shape[1] + kh - 1], strip, ((0, 0), (0, 0)))
    return total.astype(x.dtype)


@jax.custom_vjp
def _conv3x3_zero(x: Array, kernel: Array) -> Array:
    return _correlate(x, kernel, ((1, 1), (1, 1)))


def _conv3x3_forward(x: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    return _conv3x3_zero(x, kernel), (x, kernel)


def _conv3x3_backward(residual: tuple[Array, Array], dy: Array) -> tuple[Array, Array]:
    x, kernel = residual
    (dx,) = jax.linear_transpose(lambda x: _correlate(x, kernel, ((1, 1), (1, 1))), x)(dy)
    return dx, _kernel_gradient(x, dy, kernel.shape, ((1, 1), (1, 1)))


_conv3x3_zero.defvjp(_conv3x3_forward, _conv3x3_backward)


def _add_bias(y: Array, bias: Array) -> Array:
    """y + bias in the type of y; added in float32, so that a bfloat16 bias has a gradient summed in float32."""
    wide = jnp.promote_types(y.dtype, jnp.float32)
    return (y.astype(wide) + bias.astype(wide).reshape(1, 1, 1, -1)).astype(y.dtype)


def _line(v: Array, taps: Array) -> Array:
    """Correlation along a line: v (N, L + K - 1, Cin), taps (K, Cin, Cout) -> (N, L, Cout)."""
    return lax.conv_general_dilated(v, taps, (1,), "VALID", dimension_numbers=("NWC", "WIO", "NWC"))


def conv3x3(x: Features, kernel: Array, bias: Array | None = None, *, padding: Padding = "reflect") -> Features:
    """3x3 convolution (cross-correlation) of stride 1 that keeps the size.

    Args:
      x: ``(N, H, W, Cin)``; with ``padding="reflect"`` H and W are at least 2.
      kernel: ``(3, 3, Cin, Cout)``.
      bias: ``(Cout,)`` or None.
      padding: ``"reflect"`` (mirror without repeating the edge) or ``"zero"``.

    Returns:
      ``(N, H, W, Cout)``.

    Raises:
      ValueError: an unknown ``padding``, or ``x`` is too small to be mirrored.
    """
    if padding not in ("reflect", "zero"):
        raise ValueError(f"padding: expected 'reflect' or 'zero', got {padding!r}")
    if padding == "reflect" and min(x.shape[1:3]) < 2:
        raise ValueError(f"x: reflect padding needs a height and width of at least 2, got shape {x.shape}")
    y = _conv3x3_zero(x, kernel)
    if padding == "reflect":  # the ring's corners belong to its rows
        y = y.at[:, 0].add(_line(_mirrored(x[:, 1]), kernel[0]))
        y = y.at[:, -1].add(_line(_mirrored(x[:, -2]), kernel[2]))
        y = y.at[:, :, 0].add(_line(_bare(x[:, :, 1]), kernel[:, 0]))
        y = y.at[:, :, -1].add(_line(_bare(x[:, :, -2]), kernel[:, 2]))
    return y if bias is None else _add_bias(y, bias)


def _mirrored(v: Array) -> Array:
    """(N, L, C) -> (N, L + 2, C), reflected at both ends."""
    return jnp.concatenate([v[:, 1:2], v, v[:, -2:-1]], axis=1)


def _bare(v: Array) -> Array:
    """(N, L, C) -> (N, L + 2, C), a zero at both ends."""
    return jnp.pad(v, ((0, 0), (1, 1), (0, 0)))


def mirror_beyond(x: Array, size: Array, *, repeat: bool = False) -> Array:
    """Lets an array that is larger than its picture end where the picture ends, for one 3x3 convolution.

    Writes the row and the column just beyond the picture that reflect padding would put there. Only these are seen
    from within, so the convolution gives inside ``size`` what it gives of the picture alone. Where the picture fills
    the array nothing is changed: there it is the convolution that pads.

    Args:
      x: ``(N, H, W, C)``; the picture is its top left corner.
      size: (2,) integers, height and width of the picture, 2 to H and 2 to W; traced, so that one compiled program
        serves pictures of all sizes.
      repeat: repeat the last row and column, which is what reflection means after `upsample2x`.

    Returns:
      ``(N, H, W, C)``.
    """
    for axis, end in ((1, size[0]), (2, size[1])):
        inside = lax.dynamic_index_in_dim(x, end - (1 if repeat else 2), axis)
        place = jnp.minimum(end, x.shape[axis] - 1)
        there = lax.dynamic_index_in_dim(x, place, axis)
        x = lax.dynamic_update_slice_in_dim(x, jnp.where(end < x.shape[axis], inside, there), place, axis)
    return x


def upsample2x(x: Array) -> Array:
    """Nearest-neighbour up-sampling: (N, H, W, C) -> (N, 2H, 2W, C)."""
    n, h, w, c = x.shape
    return jnp.broadcast_to(x[:, :, None, :, None], (n, h, 2, w, 2, c)).reshape(n, 2 * h, 2 * w, c)


def _phase_taps(kernel: Array) -> Array:
    """Sums of neighbouring taps along axis 0: (3, ...) -> (phase 2, tap 2, ...)."""
    even = jnp.stack([kernel[0], kernel[1] + kernel[2]])
    odd = jnp.stack([kernel[0] + kernel[1], kernel[2]])
    return jnp.stack([even, odd])


def upsample_conv3x3(x: Features, kernel: Array, bias: Array | None = None) -> Features:
    """Equals ``conv3x3(upsample2x(x), kernel, bias)`` with reflect padding, at 4/9 of the multiplications.

    Output row 2i sees source rows i-1, i, i and row 2i+1 sees i, i, i+1: two taps each, once the taps that
    fall on the same row are added. Reflection at the fine resolution repeats the edge of the coarse one.

    Args:
      x: ``(N, H, W, Cin)``.
      kernel: ``(3, 3, Cin, Cout)``.
      bias: ``(Cout,)`` or None.

    Returns:
      ``(N, 2H, 2W, Cout)``.
    """
    n, h, w, _ = x.shape
    rows = jnp.moveaxis(_phase_taps(kernel), 2, 0)  # (kx 3, phase_y, tap_y, Cin, Cout)
    taps = _phase_taps(rows)  # (phase_x, tap_x, phase_y, tap_y, Cin, Cout)
    taps = taps.transpose(2, 0, 3, 1, 4, 5)  # (phase_y, phase_x, tap_y, tap_x, Cin, Cout)
    lines = []
    for a in range(2):
        row = 0 if a == 0 else h - 1  # the outer source row, which the even phase sees twice above itself
        line = []
        for b in range(2):
            k, col = taps[a, b], 0 if b == 0 else w - 1
            y = _conv2x2_zero(x, k, a, b)
            edge = jnp.pad(x[:, row], ((0, 0), (1 - b, b), (0, 0)), mode="edge")
            y = y.at[:, row].add(_line(edge, k[a]))
            edge = jnp.pad(x[:, :, col], ((0, 0), (1 - a, a), (0, 0)))
            line.append(y.at[:, :, col].add(_line(edge, k[:, b])))
        lines.append(jnp.stack(line, axis=3))  # (N, H, W, 2, Cout)
    y = jnp.stack(lines, axis=2).reshape(n, 2 * h, 2 * w, -1)
    return y if bias is None else _add_bias(y, bias)


def _pad2x2(a: int, b: int) -> _Margins:
    return ((1 - a, a), (1 - b, b))


def _conv2x2_plain(x: Array, kernel: Array, a: int, b: int) -> Array:
    return _correlate(x, kernel, _pad2x2(a, b))


def _conv2x2_forward(x: Array, kernel: Array, a: int, b: int) -> tuple[Array, tuple[Array, Array]]:
    return _conv2x2_plain(x, kernel, a, b), (x, kernel)


def _conv2x2_backward(a: int, b: int, residual: tuple[Array, Array], dy: Array) -> tuple[Array, Array]:
    x, kernel = residual
    (dx,) = jax.linear_transpose(lambda x: _correlate(x, kernel, _pad2x2(a, b)), x)(dy)
    return dx, _kernel_gradient(x, dy, kernel.shape, _pad2x2(a, b))


_conv2x2_zero = jax.custom_vjp(_conv2x2_plain, nondiff_argnums=(2, 3))
_conv2x2_zero.defvjp(_conv2x2_forward, _conv2x2_backward)


def _quarters(x: Array) -> tuple[Array, Array, Array, Array]:
    h, w = x.shape[1] // 2 * 2, x.shape[2] // 2 * 2
    return x[:, :h:2, :w:2], x[:, 1:h:2, :w:2], x[:, :h:2, 1:w:2], x[:, 1:h:2, 1:w:2]


def max_pool2x2(x: Features) -> Features:
    """2x2 maximum of stride 2: (N, H, W, C) -> (N, H//2, W//2, C), an odd last row or column left out.

    The gradient goes to the largest of the four; where several tie (after a ReLU: at zero) they share it.
    """
    a, b, c, d = _quarters(x)
    return jnp.maximum(jnp.maximum(a, b), jnp.maximum(c, d))


def avg_pool2x2(x: Features) -> Features:
    """2x2 mean of stride 2: (N, H, W, C) -> (N, H//2, W//2, C), an odd last row or column left out.

    Each of the four gets a quarter of the gradient.
    """
    a, b, c, d = _quarters(x)
    return (a + b + c + d) * jnp.asarray(0.25, x.dtype)


class Conv3x3(nn.Module):
    """`conv3x3` (after `upsample2x` if ``upsample``) with parameters ``kernel`` and ``bias``.

    Attributes:
      features: number of output channels.
      upsample: double the resolution first (nearest neighbour; reflect padding only).
      padding: see `conv3x3`.
      dtype: type of the computation; the parameters are float32.
    """

    features: int
    upsample: bool = False
    padding: Padding = "reflect"
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Features) -> Features:
        shape = (3, 3, x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.he_normal(), shape, jnp.float32).astype(self.dtype)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32).astype(self.dtype)
        x = x.astype(self.dtype)
        if self.upsample:
            if self.padding != "reflect":
                raise ValueError(f"padding: expected 'reflect' together with upsample, got {self.padding!r}")
            return upsample_conv3x3(x, kernel, bias)
        return conv3x3(x, kernel, bias, padding=self.padding)
