"""Two pictures -> a function of place and degree of style, without fitting: the whole of the hypernetwork.

Differs from the paper: see `network`; and the painter paints twice, `corrected`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from jaxstyle.arrays import Array, ArrayLike, Image, Params, as_images
from jaxstyle.methods.adain import SMALLEST, STRIDE
from jaxstyle.methods.generalizable_inr import code as codes
from jaxstyle.methods.generalizable_inr import field as fields
from jaxstyle.methods.generalizable_inr import whole
from jaxstyle.methods.generalizable_inr.code import Code
from jaxstyle.methods.generalizable_inr.field import Field
from jaxstyle.methods.generalizable_inr.network import (
    Maps,
    Model,
    Style,
    describe,
    encode,
    local,
    paint,
    restyle,
    shared,
    statistics,
    view,
)
from jaxstyle.methods.generalizable_inr.whole import Whole, WholeField
from jaxstyle.methods.interface import mirrored
from jaxstyle.nets.stats import Moments

# ---- what is painted -------------------------------------------------------------------------------------------


def shown(params: Params, model: Model, pictures: Image, painted: Image) -> Image:
    """Full style, of which the latent grids are made: what is painted, and with a second look a little of the photo."""
    if not local(model).feedback:
        return painted
    return pictures + jax.lax.stop_gradient(params["feedback"]["full"]) * (painted - pictures)


def corrected(
    params: Params, model: Model, maps: Maps, style: Style, own: Mapping[str, Moments], *, size: Array | None = None
) -> dict[str, Moments]:
    """The moments that AdaIN shall give the painter's layers, so that what is painted has those of the style.

    A decoder answers some styles and photos with a bias. What comes of the style's moments is looked at by the encoder;
    by a share of what is missing, one for every channel, the moments are changed. It costs one more pass of painter and
    encoder. No gradient is taken through what was missing.

    Args:
      params: as `Model.params`; ``model.params`` are not looked at.
      model: the encoder and the static configuration; without its feedback the style's moments are returned.
      maps, own: features of the photos and their moments.
      style: of one style for every photo, leaves ``(N, C)``, or for all of them, ``(1, C)``.
      size: (2,), of the pictures, pixels.

    Returns:
      By tap, of the shape of the photos' moments, ``(N, C)``; without the second look of the style's.
    """
    if not local(model).feedback:
        return style.moments
    painted = paint(params, model, restyle(maps, style.moments, own), size=size)
    found = jax.lax.stop_gradient(statistics(encode(model, jnp.clip(painted, 0, 1), size=size), size))
    wanted = style.moments | style.wanted
    return {tap: _moved(params["feedback"][tap], told, found[tap], wanted[tap]) for tap, told in style.moments.items()}


def _moved(gain: Params, told: Moments, found: Moments, wanted: Moments) -> Moments:
    """``told`` changed by a share of what is missing; deviations stay above a quarter."""
    mean, std = (
        t + gain[part][None] * (w - f) for part, t, f, w in zip(Moments._fields, told, found, wanted, strict=True)
    )
    return Moments(mean, jnp.maximum(std, told.std / 4))


def stylized(params: Params, model: Model, pictures: Image, maps: Maps, style: Style) -> Code:
    """The style's latent grids, of photos and their features; each in its style, see `corrected`."""
    own = statistics(maps)
    painted = paint(params, model, restyle(maps, corrected(params, model, maps, style, own), own))
    return codes.analyse(shown(params, model, pictures, painted), points=codes.PAINTED)


# ---- many pairs ------------------------------------------------------------------------------------------------


def batch(
    params: Params, model: Model, content: Image, style: Image, maps: tuple[Maps, Maps] | None = None
) -> Field | WholeField:
    """`condition` of N pairs of one size, for training: leaves ``(N, ...)`` but ``shared``.

    Args:
      params: as `Model.params`; ``model.params`` are not looked at.
      model: the frozen encoder and the static configuration.
      content, style: ``(N, H, W, 3)``, H and W multiples of 8, at least 16.
      maps: their features, if they are known.
    """
    if isinstance(model.config, Whole):
        return whole.batch(params, model.config, content, style)
    maps_c, maps_s = (encode(model, content), encode(model, style)) if maps is None else maps
    views = [view(params, model, *pair) for pair in ((content, maps_c), (style, maps_s))]
    spec = model.config.spec
    own, target = (jax.vmap(lambda v: fields.reference(v, spec))(v) for v in views)
    styled = stylized(params, model, content, maps_c, describe(params, model, maps_s, target))
    return Field(shared(params), views[0], styled, own, target, spec, (content.shape[2], content.shape[1]))


# ---- one pair -------------------------------------------------------------------------------------------------


def condition(model: Model, content: ArrayLike, style: ArrayLike) -> Field | WholeField:
    """A photo in a style as a function of place and degree of style, in one forward pass.

    Args:
      model: see `load`.
      content, style: ``(H, W, 3)`` each, of any size, in [0, 1] or unsigned integers; may be traced. The
        gradient leaves out what the second look saw, see `corrected`.

    Returns:
      What `jaxstyle.render` and `jaxstyle.render_image` take.

    Raises:
      ValueError: ``content`` or ``style`` is no picture.
    """
    found = [_mirrored(picture, name) for picture, name in ((content, "content"), (style, "style"))]
    (content_pixels, extent), (style_pixels, style_extent) = found
    made = _condition(model, content_pixels, style_pixels, *(np.asarray(e, np.float32) for e in (extent, style_extent)))
    return dataclasses.replace(made, size=extent)


def _mirrored(picture: ArrayLike, name: str) -> tuple[Array | np.ndarray, tuple[int, int]]:
    """``(1, H, W, 3)``, mirrored to multiples of the stride, and (width, height) before that."""
    images, single = as_images(picture, name)
    if not single:
        raise ValueError(f"{name}: expected one picture (H, W, 3), got shape {np.shape(picture)}")
    height, width = images.shape[1:3]
    # what is not traced is mirrored by NumPy, which compiles nothing for every size
    pixels = images if isinstance(images, jax.core.Tracer) else np.asarray(images)
    return mirrored(pixels, STRIDE, SMALLEST), (width, height)


@jax.jit
def _condition(model: Model, content: Array, style: Array, extent: Array, style_extent: Array) -> Field | WholeField:
    params = model.params
    if isinstance(model.config, Whole):
        common = whole.shared(params)
        pairs = ((content, extent), (style, style_extent))
        matrices = [whole.matrices(params, model.config, pixels, size[::-1])[0] for pixels, size in pairs]
        own, target = (whole.reference(common, matrix, model.config) for matrix in matrices)
        return WholeField(common, matrices[0], own, target, model.config, (0, 0))
    spec = model.config.spec
    maps_c, maps_s = encode(model, content), encode(model, style)
    photo = view(params, model, content, maps_c, extent=extent)
    painting = view(params, model, style, maps_s, extent=style_extent)
    photo, painting = (jax.tree.map(lambda leaf: leaf[0], v) for v in (photo, painting))
    own, target = (fields.reference(v, spec) for v in (photo, painting))
    grids = stylized(params, model, content, maps_c, describe(params, model, maps_s, target))
    styled = jax.tree.map(lambda leaf: leaf[0], grids)
    return Field(shared(params), photo, styled, own, target, spec, (0, 0))
