"""The method on a picture of which one window holds everything: what `jaxstyle.methods.interface.Method` asks for.

The transformer looks at the whole picture, and what it says has an influence on the statistics of the field: pictures
are not painted in tiles.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxstyle.arrays import Array, ArrayLike, Features, Image
from jaxstyle.methods import adain
from jaxstyle.methods.adain import SMALLEST, STRIDE, STYLE_TAPS
from jaxstyle.methods.generalizable_inr import code as codes
from jaxstyle.methods.generalizable_inr import field as fields
from jaxstyle.methods.generalizable_inr import network
from jaxstyle.methods.generalizable_inr.code import Code
from jaxstyle.methods.generalizable_inr.network import Model, Style
from jaxstyle.methods.interface import Needs, Objective, Window, reach
from jaxstyle.nets.stats import Moments
from jaxstyle.runtime import programs

Survey = tuple[()]
"""Nothing: one window is the whole picture."""


def needs(model: Model) -> Needs:
    """Facts for planning. Memory: AdaIN's, and features of all layers at once."""
    channels = sum(m.mean.shape[-1] for m in _shapes().values()) + model.config.features
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
    size = reach(extent, STRIDE, SMALLEST)
    maps = network.encode(model, images, size=size)
    seen = network.view(model.params, model, images, maps, size=size, extent=extent[::-1])
    target = jax.vmap(lambda v: fields.reference(v, model.config.spec))(seen)
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
    like = Style(_shapes(), Moments(*np.zeros((2, 1, 1), np.float32)))
    return jax.tree.unflatten(jax.tree.structure(like), leaves)  # type: ignore[no-any-return]


def encode_window(model: Model, window: Window) -> dict[str, Features]:
    """The features of the picture by tap, ``(1, h / s, w / s, C)``."""
    return network.encode(model, window.pixels, size=_reach(window))


def _reach(window: Window) -> Array:
    return reach(jnp.asarray(window.extent), STRIDE, SMALLEST)


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
    params, spec, size = model.params, model.config.spec, _reach(window)
    extent = jnp.asarray(window.extent)[::-1]
    height, width = window.pixels.shape[1:3]
    shares = jnp.asarray(window.shares)
    total = shares.sum(-1, keepdims=True)
    parts = jnp.where(total > 0, shares / jnp.where(total > 0, total, 1), 1 / shares.shape[-1])
    restyled = {}
    for tap, own in network.statistics(features, size).items():
        f = features[tap]
        mean, std = (jnp.einsum("nhwk,kc->nhwc", _spread(parts, f.shape[1:3]), m) for m in style.moments[tap])
        scale = std / own.std[:, None, None]
        restyled[tap] = f * scale + (mean - own.mean[:, None, None] * scale)
    painted = codes.analyse(network.paint(params, model, restyled, size=size), size)
    photo = network.view(params, model, window.pixels, features, size=size, extent=extent)
    photo, painted = (jax.tree.map(lambda leaf: leaf[0], each) for each in (photo, painted))
    own = fields.reference(photo, spec)
    x, y = (jnp.arange(n, dtype=jnp.float32) + 0.5 for n in (width, height))
    x, y = (2 * line / end - 1 for line, end in zip((x, y), extent.astype(jnp.float32), strict=True))
    pixels = [fields.pixels(photo, line, k) for k, line in enumerate((x, y))]
    content, styled = (codes.on_grid(Code(*grid), *pixels) for grid in (photo.code, painted))
    alpha = _spread(total, (height, width))[0]  # (h, w, 1) or (1, 1, 1)
    mean, std = (jnp.einsum("nhwk,kc->nhwc", _spread(parts, (height, width)), m)[0] for m in style.target)
    scale = std / own.std[None, None]
    change = scale, mean - own.mean[None, None] * scale
    seen = fields.on_grid(photo, spec, x, y, content)
    shown = (1 - alpha) * content + alpha * styled
    return fields.colours(network.shared(params), seen, shown, alpha[..., 0], change, jnp.float32)[None]


def _spread(shares: Array, size: tuple[int, int]) -> Array:
    """Shares ``(1, h / 8, w / 8, K)`` at another resolution, linearly interpolated; those of one value stay so."""
    if shares.shape[1:3] in ((1, 1), size):
        return shares
    return jax.image.resize(shares, (1, *size, shares.shape[-1]), "linear")


def _judged(model: Model, pictures: ArrayLike, size: ArrayLike) -> dict[str, Features]:
    return network.encode(model, jnp.asarray(pictures), size=jnp.asarray(size))


OBJECTIVE: Objective = adain.OBJECTIVE._replace(features=_judged)
"""AdaIN's, of this model's encoder."""
