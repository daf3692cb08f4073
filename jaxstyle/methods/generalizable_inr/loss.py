"""What the networks are trained for: reconstruction (Eq. 2), and style (Eq. 6).

Differs from the paper: the distances are those of the other methods of this package, structure of standardised features
and channel moments relative to the photo's instead of Gram matrices; reconstruction stays a term of the second stage;
degrees of style between 0 and 1 are trained, their target are moments between the photo's and the painting's. What is
rendered lies at places between pixels, begins anywhere in a cell of the latent grids, and is a little larger or smaller
than what was conditioned on: no pattern of the cells' frequency can please VGG at one alignment.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypedDict, Unpack

import jax
import jax.numpy as jnp

from jaxstyle.arrays import Array, Image, Params
from jaxstyle.methods.adain import STYLE_TAPS
from jaxstyle.methods.generalizable_inr import code as codes
from jaxstyle.methods.generalizable_inr import conditioning, network
from jaxstyle.methods.generalizable_inr.code import CELL
from jaxstyle.methods.generalizable_inr.field import Field
from jaxstyle.methods.generalizable_inr.network import Model
from jaxstyle.methods.generalizable_inr.whole import WholeField
from jaxstyle.nets import coords as places
from jaxstyle.nets.convolutions import avg_pool2x2
from jaxstyle.nets.losses import structure_loss, style_loss
from jaxstyle.nets.stats import Moments

Terms = dict[str, Array]


class Where(NamedTuple):
    """Where a batch is rendered: columns' and rows' coordinates ``(S,)``, the same of all pairs."""

    x: Array
    y: Array


class Options(TypedDict, total=False):
    """Weights of the terms of `objective`. A term without a weight is not computed."""

    content_weight: float
    near_weight: float
    style_weight: float
    half_weight: float
    reconstruction_weight: float
    target_weight: float


def whole(side: int) -> Where:
    """The centres of the pixels of pictures of ``side`` x ``side``."""
    line = jnp.asarray(places.axis(side), jnp.float32)
    return Where(line, line)


def somewhere(key: Array, side: int, scale: float) -> Where:
    """Places for pictures that are a cell smaller than those of ``side`` x ``side`` which are conditioned on.

    Args:
      key: PRNG key.
      side: a multiple of 8, at least 32.
      scale: a pixel is from 1 / scale to 1 pixel large, as far as the picture goes.
    """
    k_scale, k_start = jax.random.split(key)
    count = side - CELL
    step = jax.random.uniform(k_scale, (), jnp.float32, 1 / scale, 1.0)
    start = jax.random.uniform(k_start, (2,), jnp.float32) * (side - count * step)
    line = (jnp.arange(count, dtype=jnp.float32) + 0.5) * step
    return Where(*(2 * (line + first) / side - 1 for first in start))


def reconstruction(field: Field | WholeField, content: Image, alpha: Array) -> Array:
    """Eq. 2: mean squared difference of pictures conditioned on ``(N, H, H, 3)``, with degrees of style ``(N,)``.

    Where content and style are the same picture, degrees other than 0 may be asked for.
    """
    return jnp.square(render(field, whole(content.shape[1]), alpha) - content).mean()


def render(field: Field | WholeField, where: Where, alpha: Array) -> Image:
    """N pairs, each with one degree of style ``(N,)``: ``(N, S, S, 3)``, not clipped."""

    def one(field: Any, alpha: Array) -> Array:
        return field.unclipped(where.x, where.y, alpha)

    return jax.vmap(one, in_axes=(field.axes, 0))(field, alpha)  # type: ignore[no-any-return]


class Made(NamedTuple):
    """What a batch came to: rendered pictures, and what they show at degree 0, ``(N, S, S, 3)``, not clipped."""

    images: Image
    photos: Image


def objective(
    params: Params,
    model: Model,
    content: Image,
    style: Image,
    alpha: Array,
    *,
    where: Where | None = None,
    target: Image | None = None,
    **options: Unpack[Options],
) -> tuple[Array, tuple[Terms, Made]]:
    """The training loss of the second stage.

    Args:
      params: what is trained; ``model.params`` is not looked at.
      model: the frozen encoder and the static configuration.
      content, style: ``(N, H, H, 3)`` in [0, 1], H a multiple of 8, at least 32.
      alpha: ``(N,)`` degrees of style.
      where: what is rendered; by default the pictures' own pixels.
      target: ``(N, H, H, 3)``, pictures that full style is compared with, on the pixels.
      options: ``content_weight`` (1): distance of standardised ``relu4_1`` to the photo's; ``near_weight`` (0) of
        ``relu3_1``. ``style_weight`` (1): of the moments of four layers, relative to the photo's; ``half_weight`` (0):
        the same at half the size, beside it. ``reconstruction_weight`` (0): mean squared difference at degree 0.
        ``target_weight`` (0): mean difference to ``target``.

    Returns:
      ``(loss, (terms, made))``: a scalar; the unweighted terms, scalars; what was made.
    """
    if unknown := sorted(set(options) - Options.__annotations__.keys()):
        raise TypeError(f"unexpected keyword argument {unknown[0]!r}")
    maps_c, maps_s = network.encode(model, content), network.encode(model, style)
    field = conditioning.batch(params, model, content, style, (maps_c, maps_s))
    images = render(field, whole(content.shape[1]) if where is None else where, alpha)
    photos, maps_p = content, maps_c
    if where is not None:  # the photo at the same places, of its code
        code = codes.analyse(content)
        x, y = ((line + 1) * (content.shape[1] / 2) for line in where)
        photos = jnp.matmul(jax.vmap(codes.on_grid, (0, None, None))(code, x, y), codes.COLOURS)
        maps_p = network.encode(model, photos)
    maps_o = network.encode(model, images)
    before, wanted = network.statistics(maps_p), network.statistics(maps_s)
    terms = {
        "content": structure_loss(maps_o["relu4_1"], maps_p["relu4_1"]),
        "style": style_loss(maps_o, _between(before, wanted, alpha), relative=True, before=before),
    }
    weights = {"content": options.get("content_weight", 1.0), "style": options.get("style_weight", 1.0)}
    if options.get("near_weight"):
        terms["near"] = structure_loss(maps_o["relu3_1"], maps_p["relu3_1"])
        weights["near"] = options["near_weight"]
    if options.get("half_weight"):
        o, c, s = (network.encode(model, avg_pool2x2(x)) for x in (images, photos, style))
        before, wanted = network.statistics(c), network.statistics(s)
        terms["half"] = style_loss(o, _between(before, wanted, alpha), relative=True, before=before)
        weights["half"] = weights["style"] * options["half_weight"]
    if options.get("reconstruction_weight"):
        terms["reconstruction"] = reconstruction(field, content, jnp.zeros_like(alpha))
        weights["reconstruction"] = options["reconstruction_weight"]
    if options.get("target_weight") and target is not None:
        found = render(field, whole(content.shape[1]), jnp.ones_like(alpha))
        terms["target"] = jnp.abs(found - target).mean()
        weights["target"] = options["target_weight"]
    loss = sum((weights[name] * term for name, term in terms.items()), jnp.zeros((), jnp.float32))
    return loss, (terms, Made(images, photos))


def _between(photo: Mapping[str, Moments], painting: Mapping[str, Moments], alpha: Array) -> dict[str, Moments]:
    """The moments that a picture of some degree of style should have."""
    a = alpha[:, None]
    return {
        tap: Moments(*((1 - a) * p + a * s for p, s in zip(photo[tap], painting[tap], strict=True)))
        for tap in STYLE_TAPS
    }
