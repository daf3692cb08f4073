"""The method on a picture of which one window holds everything: what `jaxstyle.methods.interface.Method` asks for.

The transformer looks at the whole picture, and what it says has an influence on the statistics of the field: pictures
are not painted in tiles. Those larger than `LARGEST` are conditioned on at less than their size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxstyle.arrays import Array, ArrayLike, Features, Image
from jaxstyle.methods import adain
from jaxstyle.methods.adain import SMALLEST, STRIDE, STYLE_TAPS
from jaxstyle.methods.generalizable_inr import code as codes
from jaxstyle.methods.generalizable_inr import conditioning, network, whole
from jaxstyle.methods.generalizable_inr import field as fields
from jaxstyle.methods.generalizable_inr.network import Model, Style
from jaxstyle.methods.generalizable_inr.whole import Whole
from jaxstyle.methods.interface import Needs, Objective, Window, reach
from jaxstyle.nets import vgg
from jaxstyle.nets.stats import Moments
from jaxstyle.runtime import programs

LARGEST = 1024 * 1024
"""Most pixels of an array, a picture and what it is padded with, that are conditioned on; of larger ones the picture is
reduced so far, and rendered at its size."""
_CHUNK = 65_536  # points rendered at once
Survey = tuple[()]
"""Nothing: one window is the whole picture."""


def needs(model: Model) -> Needs:
    """Facts for planning. Memory: AdaIN's, and features of all layers at once."""
    channels = sum(m.mean.shape[-1] for m in _shapes().values()) + vgg.WIDTHS[3]  # the deepest as told and as wanted
    channels += model.config.hidden if isinstance(model.config, Whole) else model.config.features
    return Needs(
        stride=STRIDE,
        smallest=SMALLEST,
        margins=adain.needs(adain.Model({}, {}, model.arch)).margins,
        windowed=False,
        mixes=True,
        bytes_per_pixel=1600,
        style_bytes=4 * 2 * channels,
    )


def _shapes() -> dict[str, Moments]:
    """Moments of nothing, by tap."""
    return {tap: Moments(*np.zeros((2, 1, 64 << i), np.float32)) for i, tap in enumerate(STYLE_TAPS)}


@jax.jit
def _encode_style(model: Model, images: Array, extent: Array) -> Style:
    if isinstance(config := model.config, Whole):
        matrices = whole.matrices(model.params, config, images, extent.astype(jnp.float32))
        common = whole.shared(model.params)
        return Style({}, jax.vmap(lambda m: whole.reference(common, m, config))(matrices), {})
    size = reach(extent, STRIDE, SMALLEST)
    maps = network.encode(model, images, size=size)
    seen = network.view(model.params, model, images, maps, size=size, extent=extent[::-1])
    target = jax.vmap(lambda v: fields.reference(v, network.local(model).spec))(seen)
    return network.describe(model.params, model, maps, target, size=size)


def encode_styles(model: Model, pictures: ArrayLike, extents: np.ndarray) -> Style:
    """K pictures in larger arrays, which sizes share; see `jaxstyle.methods.interface.Method`."""
    found = [
        programs.run(
            "style-generalizable_inr",
            _encode_style,
            model,
            np.asarray(picture)[None],
            np.asarray(extent, np.int32),
            build=style_of,
            rare=True,
        )
        for picture, extent in zip(pictures, extents, strict=True)
    ]
    return found[0] if len(found) == 1 else jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *found)


def style_of(leaves: Sequence[np.ndarray]) -> Style:
    """The style of its arrays."""
    shapes = _shapes() if len(leaves) > 2 else {}
    target = Moments(*np.zeros((2, 1, 1), np.float32))
    like = Style(shapes, target, {tap: shapes[tap] for tap in STYLE_TAPS[-1:] if tap in shapes})
    return jax.tree.unflatten(jax.tree.structure(like), leaves)  # type: ignore[no-any-return]


class _Seen(NamedTuple):
    """What is conditioned on.

    Attributes:
      pixels: ``(1, h, w, 3)``.
      size: ``(2,)``, rows and columns up to where they are mirrored.
      extent: ``(2,)``, width and height of what is to be shown of them, which need not be whole numbers.
    """

    pixels: Image
    size: Array
    extent: Array


def _seen(window: Window) -> _Seen:
    """The window, or where it is larger than `LARGEST` that reduced so far, mirrored anew."""
    extent = jnp.asarray(window.extent)
    small = jnp.asarray(window.pixels)
    sides = small.shape[1:3]
    by = max(1.0, math.sqrt(math.prod(sides) / LARGEST))
    if by == 1:
        return _Seen(small, reach(extent, STRIDE, SMALLEST), extent[::-1].astype(jnp.float32))
    shown = extent.astype(jnp.float32) / by
    size = jnp.ceil(shown).astype(jnp.int32)
    for axis, (length, rows, end) in enumerate(zip(sides, size, extent, strict=True), start=1):
        count = max(SMALLEST, -(-math.ceil(length / by) // STRIDE) * STRIDE)
        first, weights = _reduction(count, by)
        turned = jnp.arange(count, dtype=jnp.int32) % (2 * rows)
        row = jnp.where(turned < rows, turned, 2 * rows - 1 - turned)
        total = jnp.zeros((*small.shape[:axis], count, *small.shape[axis + 1 :]), small.dtype)
        for k in range(weights.shape[1]):
            at = jnp.asarray(first)[row] + k
            at = jnp.where(at < 0, -1 - at, at)
            at = jnp.clip(jnp.where(at < end, at, 2 * end - 1 - at), 0, end - 1)
            share = jnp.expand_dims(jnp.asarray(weights)[row, k], [n for n in range(small.ndim) if n != axis])
            total += share * jnp.take(small, at, axis)
        small = total
    return _Seen(jnp.clip(small, 0, 1), reach(size, STRIDE, SMALLEST), shown[::-1])


def _reduction(count: int, by: float) -> tuple[np.ndarray, np.ndarray]:
    """What ``count`` pixels that are ``by`` times as large are made of by Lanczos' kernel, as `jaxstyle.image.resize`
    has it: the first pixel of each, int32, and the shares of this and of those after it, ``(count, taps)``."""
    centre = (np.arange(count) + 0.5) * by
    first = np.floor(centre - 3 * by).astype(np.int32)
    t = (first[:, None] + np.arange(math.ceil(6 * by) + 1) + 0.5 - centre[:, None]) / by
    kernel = np.where(np.abs(t) < 3, np.sinc(t) * np.sinc(t / 3), 0)
    return first, (kernel / kernel.sum(1, keepdims=True)).astype(np.float32)


def encode_window(model: Model, window: Window) -> dict[str, Features]:
    """The features of the picture by tap, ``(1, h / s, w / s, C)``, of large ones those of a smaller one."""
    if isinstance(model.config, Whole):
        return {}  # it looks at pixels
    seen = _seen(window)
    return network.encode(model, seen.pixels, size=seen.size)


def survey(model: Model, features: dict[str, Features], style: Style, window: Window) -> Survey:
    """See `Survey`."""
    del model, features, style, window
    return ()


def merge(a: Survey, b: Survey) -> Survey:
    """See `Survey`."""
    del b
    return a


def paint(model: Model, features: dict[str, Features], style: Style, found: Survey, window: Window) -> Image:
    """Conditions on the picture and renders it at its own pixels: ``(1, h, w, 3)``, not clipped.

    The degree of style is the sum of the shares; what part of it each style has decides about the moments.
    """
    del found
    shares = jnp.asarray(window.shares)
    total = shares.sum(-1, keepdims=True)
    parts = jnp.where(total > 0, shares / jnp.where(total > 0, total, 1), 1 / shares.shape[-1])
    conditioned = _whole if isinstance(model.config, Whole) else _local
    own, rendered = conditioned(model, features, style, parts, window)
    height, width = window.pixels.shape[1:3]
    tall, wide = jnp.asarray(window.extent).astype(jnp.float32)
    x, y = ((2 * jnp.arange(n, dtype=jnp.float32) + 1) / end - 1 for n, end in ((width, wide), (height, tall)))
    alpha, parts = (_spread(each, (height, width))[0] for each in (total, parts))
    rows = next(n for n in range(max(1, min(height, _CHUNK // width)), 0, -1) if height % n == 0)

    def some(first: Array) -> Array:
        """A few rows of the picture."""
        degree, share = (
            each if each.shape[:2] == (1, 1) else lax.dynamic_slice_in_dim(each, first, rows) for each in (alpha, parts)
        )
        mean, std = (jnp.einsum("hwk,kc->hwc", share, m) for m in style.target)
        scale = std / own.std[None, None]
        change = scale, mean - own.mean[None, None] * scale
        return rendered(x, lax.dynamic_slice_in_dim(y, first, rows), degree, change)

    bands = lax.map(some, jnp.arange(0, height, rows, dtype=jnp.int32))
    return bands.reshape(1, height, width, 3)


_Render = Callable[[Array, Array, Array, tuple[Array, Array]], Array]
"""Columns, rows, degrees ``(h, w, 1)`` or ``(1, 1, 1)``, scale and shift of AdaIN, which broadcast to ``(h, w, C)`` ->
colours ``(h, w, 3)``."""


def _local(
    model: Model, features: dict[str, Features], style: Style, parts: Array, window: Window
) -> tuple[Moments, _Render]:
    """The statistics of F_c, and what renders; with latent grids."""
    params, spec, seen = model.params, network.local(model).spec, _seen(window)
    found = network.statistics(features, seen.size)

    def told(each: Style) -> dict[str, Moments]:
        """The moments for the whole picture in one of the styles, wherever it is shown: one more pass for each."""
        one = jax.tree.map(lambda leaf: leaf[None], each)
        many = conditioning.corrected(params, model, features, one, found, size=seen.size)
        return jax.tree.map(lambda leaf: leaf[0], many)  # type: ignore[no-any-return]

    moments, restyled = lax.map(told, style), {}
    for tap, of_tap in found.items():
        f = features[tap]
        mean, std = (jnp.einsum("nhwk,kc->nhwc", _spread(parts, (f.shape[1], f.shape[2])), m) for m in moments[tap])
        scale = std / of_tap.std[:, None, None]
        restyled[tap] = f * scale + (mean - of_tap.mean[:, None, None] * scale)
    painted = conditioning.shown(params, model, seen.pixels, network.paint(params, model, restyled, size=seen.size))
    photo = network.view(params, model, seen.pixels, features, size=seen.size, extent=seen.extent)
    code = codes.analyse(painted, seen.size, codes.PAINTED)
    photo, styled = (jax.tree.map(lambda leaf: leaf[0], each) for each in (photo, code))

    def rendered(x: Array, y: Array, degree: Array, change: tuple[Array, Array]) -> Array:
        at = fields.pixels(photo, x, 0), fields.pixels(photo, y, 1)
        content, wanted = codes.on_grid(photo.code, *at), codes.on_grid(styled, *at, codes.PAINTED)
        found = fields.on_grid(photo, spec, x, y, content)
        shown = (1 - degree) * content + degree * wanted
        return fields.colours(network.shared(params), found, shown, degree[..., 0], change, jnp.float32)

    return fields.reference(photo, spec), rendered


def _whole(
    model: Model, features: dict[str, Features], style: Style, parts: Array, window: Window
) -> tuple[Moments, _Render]:
    """The same of the paper's configuration."""
    del features, style, parts
    config, common = model.config, whole.shared(model.params)
    assert isinstance(config, Whole)
    extent = jnp.asarray(window.extent).astype(jnp.float32)
    matrix = whole.matrices(model.params, config, jnp.asarray(window.pixels), extent)[0]

    def rendered(x: Array, y: Array, degree: Array, change: tuple[Array, Array]) -> Array:
        found = whole.features(common, matrix, config, jnp.stack(jnp.meshgrid(x, y), axis=-1))
        return whole.colours(common, config, found, degree[..., 0], change, jnp.float32)

    return whole.reference(common, matrix, config), rendered


def _spread(shares: Array, size: tuple[int, int]) -> Array:
    """Shares ``(1, h / 8, w / 8, K)`` at another resolution, linearly interpolated; those of one value stay so."""
    if shares.shape[1:3] in ((1, 1), size):
        return shares
    return jax.image.resize(shares, (1, *size, shares.shape[-1]), "linear")


def _judged(model: Model, pictures: ArrayLike, size: ArrayLike) -> dict[str, Features]:
    return network.encode(model, jnp.asarray(pictures), size=jnp.asarray(size))


OBJECTIVE: Objective = adain.OBJECTIVE._replace(features=_judged)
"""AdaIN's, of this model's encoder."""
