"""Blocks that two or more methods use, in the form that XLA runs fastest.

Every function here equals a plain form that a reader would write first; the tests compare the two.

* Chains of reflect-padded convolutions work on arrays with a ring: one more row and column on every side, into which
  `mirror` writes in place what reflection puts there. XLA's CPU back end runs a 3x3 convolution with zero padding four
  to five times faster than one without padding; what it computes in the ring means nothing and is written over. So
  no 3x3 layer pads or crops, and where a picture is smaller than its array, the ring is inside the array.
* Nearest up-sampling and the 3x3 convolution after it are four 2x2 convolutions at the low resolution, computed as
  one of four times the channels: 2.25 times fewer multiplications.
* On CPU, 3x3 convolutions from and to many channels take half as many multiplications: four rows of the result at
  once by Winograd's F(4, 3) (Lavin and Gray 2016, arXiv:1509.09308, in one dimension instead of two).
* Kernel gradients on CPU are summed over strips of about 2048 positions, which stay in the cache.
* 2x2 max pooling is the maximum of four strided slices, whose gradient needs no scatter.

The convolutions have gradients of their own, so they are differentiated in reverse mode only (`jax.grad`,
`jax.vjp`), not with `jax.jvp`.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxstyle.arrays import Array, Features

Padding = Literal["zero", "reflect"]
_Margins: TypeAlias = tuple[tuple[int, int], tuple[int, int]]  # (top, bottom), (left, right)

_AROUND: _Margins = ((1, 1), (1, 1))
_BEYOND: _Margins = ((0, 1), (0, 1))
_STRIP = 2048  # positions per strip of a kernel gradient on CPU
_MAX_STRIPS = 64  # about so many strips at most: each is an operation of its own for the compiler

_MANY = 128  # channels, from which half of the multiplications is worth more than the sums before and after them
_LARGE = 1024  # positions, from which it is worth transforming the kernel
# Winograd's F(4, 3), through the points 0, 1, -1, 2, -2 and infinity: six rows of x -> six sums; three rows of the
# kernel -> six sums; the six products -> four rows of the result.
_OF_ROWS = (
    (4, 0, -5, 0, 1, 0),
    (0, -4, -4, 1, 1, 0),
    (0, 4, -4, -1, 1, 0),
    (0, -2, -1, 2, 1, 0),
    (0, 2, -1, -2, 1, 0),
    (0, 4, 0, -5, 0, 1),
)
_OF_KERNEL = np.array([(6, 0, 0), (-4, -4, -4), (-4, 4, -4), (1, 2, 4), (1, -2, 4), (0, 0, 24)], np.float32) / 24
_OF_PRODUCTS = ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1))


def _direct(x: Array, kernel: Array, padding: _Margins) -> Array:
    return lax.conv_general_dilated(
        x, kernel, (1, 1), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )  # (N, H, W, Cin) * (kh, kw, Cin, Cout) -> (N, H, W, Cout)


def _correlate(x: Array, kernel: Array, padding: _Margins) -> Array:
    """`_direct`, by half of the multiplications where that is faster."""
    fits = kernel.shape[:2] == (3, 3) and padding == _AROUND and x.dtype == jnp.float32
    large = min(kernel.shape[2:]) >= _MANY and x.shape[0] * x.shape[1] * x.shape[2] >= _LARGE
    if fits and large and jax.default_backend() == "cpu":
        return _by_four_rows(x, kernel)
    return _direct(x, kernel, padding)


def _by_four_rows(x: Array, kernel: Array) -> Array:
    """3x3 convolution with zeros around: along the height F(4, 3), along the width six plain ones of 1x3.

    Its rounding is 2e-6 of the result's largest value, that of `_direct` 3e-7.
    """
    n, h, w, _ = x.shape
    tiles = -(-h // 4)  # of four rows of the result, which see six of x: rows 4 t - 1 to 4 t + 4
    x = jnp.pad(x, ((0, 0), (1, 4 * tiles + 1 - h), (0, 0), (0, 0)))
    rows = [x[:, i : i + 4 * tiles - 3 : 4] for i in range(6)]
    kernels = jnp.tensordot(_OF_KERNEL, kernel, 1, precision=lax.Precision.HIGHEST)  # (6, kw, Cin, Cout)
    products = [
        _direct(_sum(factors, rows), kernels[i][None], ((0, 0), (1, 1))) for i, factors in enumerate(_OF_ROWS)
    ]  # of (N, tiles, W, Cout)
    found = jnp.stack([_sum(factors, products) for factors in _OF_PRODUCTS], axis=2)
    return found.reshape(n, 4 * tiles, w, -1)[:, :h]


def _sum(factors: tuple[int, ...], values: list[Array]) -> Array:
    """The values times their factors, added up."""
    return sum(value if f == 1 else f * value for f, value in zip(factors, values, strict=True) if f)  # type: ignore[return-value]


def _kernel_gradient(x: Array, dy: Array, shape: tuple[int, ...], padding: _Margins) -> Array:
    """Gradient of sum(dy * _direct(x, kernel, padding)) by the kernel, (kh, kw, Cin, Cout)."""
    kh, kw, c_in, c_out = shape
    n, h, w, _ = dy.shape
    (top, bottom), (left, right) = padding
    zeros = jnp.zeros(shape, x.dtype)

    def plain(x: Array, dy: Array, padding: _Margins) -> Array:
        (grad,) = jax.linear_transpose(lambda k: _direct(x, k, padding), zeros)(dy)
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


_convolve = jax.custom_vjp(_correlate, nondiff_argnums=(2,))


def _convolve_forward(x: Array, kernel: Array, padding: _Margins) -> tuple[Array, tuple[Array, Array]]:
    return _correlate(x, kernel, padding), (x, kernel)


def _convolve_backward(padding: _Margins, residual: tuple[Array, Array], dy: Array) -> tuple[Array, Array]:
    x, kernel = residual
    (top, bottom), (left, right), (kh, kw) = *padding, kernel.shape[:2]
    margins = (kh - 1 - top, kh - 1 - bottom), (kw - 1 - left, kw - 1 - right)
    dx = _correlate(dy, kernel[::-1, ::-1].swapaxes(2, 3), margins)
    return dx, _kernel_gradient(x, dy, kernel.shape, padding)


_convolve.defvjp(_convolve_forward, _convolve_backward)


def _add_bias(y: Array, bias: Array) -> Array:
    """y + bias in the type of y; added in float32, so that a bfloat16 bias has a gradient summed in float32."""
    wide = jnp.promote_types(y.dtype, jnp.float32)
    return (y.astype(wide) + bias.astype(wide).reshape(1, 1, 1, -1)).astype(y.dtype)


def ring(x: Array) -> Array:
    """Adds a row and a column of zeros on every side: ``(N, H, W, C)`` -> ``(N, H + 2, W + 2, C)``."""
    return jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))


def inner(x: Array) -> Array:
    """Takes the ring off: ``(N, H + 2, W + 2, C)`` -> ``(N, H, W, C)``."""
    return x[:, 1:-1, 1:-1]


def mirror(x: Array, size: Array | None = None, *, repeat: bool = False) -> Array:
    """Writes into the ring what reflect padding puts around the picture.

    Args:
      x: ``(N, H + 2, W + 2, C)``, the picture with its ring; it begins at row and column 1.
      size: (2,) integers, height and width of the picture where it is smaller than H and W, each at least 2 (1 with
        ``repeat``); may be traced: one compiled program then serves pictures of all sizes. The ring is around the
        picture, and what lies beyond, if it is finite, has no influence on a 3x3 convolution within it but rounding.
      repeat: repeat the edge, which is what reflection means after `upsample2x`.

    Returns:
      The same shape.
    """
    height, width = (x.shape[1] - 2, x.shape[2] - 2) if size is None else (size[0], size[1])
    step = 0 if repeat else 1
    rows = _ends(x, 1, height, step)  # all is read before anything is written: XLA then copies nothing
    columns = [_with_ends(v, 1, height, *_ends(v, 1, height, step)) for v in _ends(x, 2, width, step)]
    return _with_ends(_with_ends(x, 1, height, *rows), 2, width, *columns)


def _ends(x: Array, axis: int, length: int | Array, step: int) -> tuple[Array, Array]:
    """The rows or columns that reflection puts before the first and after the last of ``length``."""
    return lax.dynamic_slice_in_dim(x, 1 + step, 1, axis), lax.dynamic_slice_in_dim(x, length - step, 1, axis)


def _with_ends(x: Array, axis: int, length: int | Array, first: Array, last: Array) -> Array:
    x = lax.dynamic_update_slice_in_dim(x, first, 0, axis)
    return lax.dynamic_update_slice_in_dim(x, last, length + 1, axis)


def conv3x3(x: Features, kernel: Array, bias: Array | None = None, *, padding: Padding = "reflect") -> Features:
    """3x3 convolution (cross-correlation) of stride 1 that keeps the size.

    Args:
      x: ``(N, H, W, Cin)``; with ``padding="reflect"`` H and W are at least 2.
      kernel: ``(3, 3, Cin, Cout)``.
      bias: ``(Cout,)`` or None.
      padding: ``"reflect"`` (mirror without repeating the edge) or ``"zero"``, which is also what a chain of layers on
        arrays with a ring wants, after `mirror`; the result's own ring means nothing.

    Returns:
      ``(N, H, W, Cout)``.

    Raises:
      ValueError: an unknown ``padding``, or ``x`` is too small to be mirrored.
    """
    if padding == "zero":
        y = _convolve(x, kernel, _AROUND)
        return y if bias is None else _add_bias(y, bias)
    if padding != "reflect":
        raise ValueError(f"padding: expected 'reflect' or 'zero', got {padding!r}")
    if min(x.shape[1:3]) < 2:
        raise ValueError(f"x: reflect padding needs a height and width of at least 2, got shape {x.shape}")
    return inner(conv3x3(mirror(ring(x)), kernel, bias, padding="zero"))


def upsample2x(x: Array) -> Array:
    """Nearest-neighbour up-sampling: (N, H, W, C) -> (N, 2H, 2W, C)."""
    n, h, w, c = x.shape
    return jnp.broadcast_to(x[:, :, None, :, None], (n, h, 2, w, 2, c)).reshape(n, 2 * h, 2 * w, c)


def _phase_taps(kernel: Array) -> Array:
    """Sums of neighbouring taps along axis 0: (3, ...) -> (phase 2, tap 2, ...)."""
    even = jnp.stack([kernel[0], kernel[1] + kernel[2]])
    odd = jnp.stack([kernel[0] + kernel[1], kernel[2]])
    return jnp.stack([even, odd])


def ring_upsample_conv3x3(x: Array, kernel: Array, bias: Array | None = None) -> Array:
    """`upsample2x` and 3x3 convolution of an array with a ring, at 4/9 of the multiplications.

    Output row 2i sees source rows i-1, i, i and row 2i+1 sees i, i, i+1: two taps each, once the taps that
    fall on the same row are added. Reflection at the fine resolution repeats the edge of the coarse one.

    Args:
      x: ``(N, H + 2, W + 2, Cin)`` after ``mirror(x, repeat=True)``.
      kernel: ``(3, 3, Cin, Cout)``.
      bias: ``(Cout,)`` or None.

    Returns:
      ``(N, 2H + 2, 2W + 2, Cout)``, whose ring means nothing.
    """
    n, h, w, c_in = x.shape
    rows = jnp.moveaxis(_phase_taps(kernel), 2, 0)  # (kx 3, phase_y, tap_y, Cin, Cout)
    taps = _phase_taps(rows)  # (phase_x, tap_x, phase_y, tap_y, Cin, Cout)
    # the window at rows i and i+1 gives output rows 2i-1 (odd) and 2i (even), which begins with the ring's
    taps = taps[::-1, :, ::-1].transpose(3, 1, 4, 2, 0, 5).reshape(2, 2, c_in, -1)  # (..., Cin, phase_y, phase_x, Cout)
    y = _convolve(x, taps, _BEYOND)[:, :-1, :-1].reshape(n, h - 1, w - 1, 2, 2, -1)
    y = y.transpose(0, 1, 3, 2, 4, 5).reshape(n, 2 * h - 2, 2 * w - 2, -1)
    return y if bias is None else _add_bias(y, bias)


def upsample_conv3x3(x: Features, kernel: Array, bias: Array | None = None) -> Features:
    """Equals ``conv3x3(upsample2x(x), kernel, bias)`` with reflect padding, see `ring_upsample_conv3x3`.

    Args:
      x: ``(N, H, W, Cin)``.
      kernel: ``(3, 3, Cin, Cout)``.
      bias: ``(Cout,)`` or None.

    Returns:
      ``(N, 2H, 2W, Cout)``.
    """
    return inner(ring_upsample_conv3x3(mirror(ring(x), repeat=True), kernel, bias))


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
