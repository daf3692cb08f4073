"""How content and style features meet (arXiv:1703.06868): Eq. 9, 14 and 15, and the concatenation of Sec. 7.2.

Eq. 8, which gives features the statistics of others, is `jaxstyle.nets.stats.with_moments`.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxstyle.arrays import Array, Features
from jaxstyle.methods.adain.network import Fusion, Model, Style
from jaxstyle.nets.stats import Moments, with_moments


def fuse(model: Model, content: Features, style: Style) -> Features:
    """What the decoder sees at alpha = 1: AdaIN(f(c), f(s)) (Eq. 9).

    With ``fusion="concat"`` (Sec. 7.2) the style's features are laid beside the content's, resized where the
    sizes differ: ``(N, H, W, 1024)``.

    Args:
      model: only its static configuration is looked at.
      content: f(c), ``(N, H, W, 512)``.
      style: N encoded styles, or one for all.

    Returns:
      The fused features, in the type of ``content``.

    Raises:
      ValueError: an unknown fusion, or a style without the features that concatenation needs.
    """
    if checked(model, style) == "adain":
        return with_moments(content, style.moments)
    beside = style.features
    if beside.shape[1:3] != content.shape[1:3]:  # type: ignore[union-attr]
        shape = (beside.shape[0], *content.shape[1:3], beside.shape[3])  # type: ignore[union-attr]
        beside = jax.image.resize(beside, shape, "linear")  # type: ignore[arg-type]
    beside = jnp.broadcast_to(beside, (content.shape[0], *beside.shape[1:]))  # type: ignore[arg-type, union-attr]
    return jnp.concatenate([content, beside.astype(content.dtype)], axis=-1)


def checked(model: Model, style: Style) -> Fusion:
    """The model's fusion.

    Raises:
      ValueError: it is unknown, or the style has not what it needs.
    """
    if model.fusion not in ("adain", "concat"):
        raise ValueError(f"fusion: expected 'adain' or 'concat', got {model.fusion!r}")
    if model.fusion == "concat" and style.features is None:
        raise ValueError("style: fusion='concat' needs the style's features; encode it with the same model")
    return model.fusion


class Place(NamedTuple):
    """Which part of a picture's feature map features are.

    Attributes:
      corner: (2,), row and column at which they begin.
      size: (2,), height and width of the picture's feature map.
    """

    corner: Array
    size: Array


def mix(
    model: Model, content: Features, style: Style, shares: Array, *, source: Moments, place: Place | None = None
) -> Features:
    """What the decoder sees of several styles: ``(1 - sum_k w_k) f(c) + sum_k w_k AdaIN(f(c), f(s_k))`` at every
    position (Eq. 14 and 15), w being ``model.full`` times the shares.

    AdaIN is affine in the style's moments: it is they that are mixed, not K feature maps. With ``fusion="concat"``
    there is no content-only point: there the content laid beside itself stands for it, and K is 1.

    Differs from the paper: its spatial control computes AdaIN in every region apart; here the content's statistics are
    those of the whole picture. So a style looks inside its region as it would on the whole picture, the result depends
    continuously on the shares, and a region of a few positions, whose own statistics mean nothing, does no harm. And
    where the shares' sum is 1 there may be a rest of the content, see `Model`.

    Args:
      model: only its static configuration is looked at.
      content: f(c), ``(N, H, W, C)``.
      style: K styles.
      shares: ``(N, H, W, K)``, each of the first three sizes may be 1; not negative, with sums of at most 1.
      source: the content's moments ``(N, C)``, of the whole picture.
      place: where ``content`` is only a part of the picture; by default all of it.

    Returns:
      ``(N, H, W, C)``, or ``(N, H, W, 2 C)`` of concatenated features, in the type of ``content``.

    Raises:
      ValueError: as `fuse`.
    """
    x, dtype, shares = content.astype(jnp.float32), content.dtype, model.full * shares
    if checked(model, style) == "adain":
        mean, std = (jnp.einsum("nhwk,kc->nhwc", shares, m, precision=jax.lax.Precision.HIGHEST) for m in style.moments)
        scale = std / source.std[:, None, None]
        shift = mean - source.mean[:, None, None] * scale
        return (x * (scale + (1 - shares.sum(-1, keepdims=True))) + shift).astype(dtype)
    if place is None:
        place = Place(jnp.zeros(2, jnp.int32), jnp.asarray(content.shape[1:3], jnp.int32))
    features = style.features.astype(jnp.float32)  # type: ignore[union-attr]
    shape = (features.shape[0], *content.shape[1:3], features.shape[3])
    scale = place.size.astype(jnp.float32) / jnp.asarray(features.shape[1:3], jnp.float32)
    shift = -place.corner.astype(jnp.float32)
    beside = jax.image.scale_and_translate(features, shape, (1, 2), scale, shift, "linear")
    return jnp.concatenate([x, (1 - shares) * x + shares * beside], axis=-1).astype(dtype)
