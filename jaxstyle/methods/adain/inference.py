"""AdaIN on arrays (arXiv:1703.06868, Eq. 14 and 15): any batch, any size, in one program."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxstyle.arrays import Array, ArrayLike, as_images, check_alpha
from jaxstyle.methods.adain.fusion import mix
from jaxstyle.methods.adain.network import SMALLEST, STRIDE, Model, Style, decode, describe, style_taps
from jaxstyle.methods.interface import mirrored
from jaxstyle.nets.stats import moments
from jaxstyle.nets.vgg import encode


@jax.jit
def _encode_style(model: Model, images: Array) -> Style:
    h, w = images.shape[1:3]
    # up to the smallest side; a border that is no whole position has none in the features
    pixels = mirrored(images, STRIDE, SMALLEST)[:, : max(h, SMALLEST), : max(w, SMALLEST)]
    return describe(model, encode(model, pixels, style_taps(model)))


def encode_style(model: Model, style: ArrayLike) -> Style:
    """Everything that stylization needs to know of a style image.

    Args:
      model: see `load`.
      style: ``(H, W, 3)`` or a batch ``(N, H, W, 3)``, in [0, 1], any size.

    Returns:
      A `Style`, a pytree: moments ``(N, 512)``.

    Raises:
      ValueError: ``style`` is not an image, see `jaxstyle.arrays.as_images`.
    """
    images, _ = as_images(style, "style")
    return _encode_style(model, images)


def stack(styles: Sequence[Style]) -> Style:
    """K encoded styles, one after the other on the batch axis: moments ``(K, 512)``.

    Raises:
      ValueError: there are none, or styles with features (``fusion="concat"``) of different sizes.
    """
    if not styles:
        raise ValueError("styles: expected at least one, got none")
    if len({None if s.features is None else s.features.shape[1:] for s in styles}) > 1:
        raise ValueError("styles: the features of fusion='concat' must be of one size to be stacked")
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *styles)


def _per_position(values: Array) -> Array:
    """A map of pixels ``(N, H, W, ...)`` at the features' resolution: the mean over each feature's 8x8 pixels."""
    blocks = mirrored(values, STRIDE, SMALLEST)
    n, h, w = blocks.shape[:3]
    blocks = blocks.reshape(n, h // STRIDE, STRIDE, w // STRIDE, STRIDE, *values.shape[3:])
    return blocks.mean((2, 4))


def _weights(alpha: Array, shares: Array, shape: tuple[int, int, int]) -> Array:
    """w of `mix`: the product of the degree of style and the shares, ``(N, H, W, K)`` or with sizes of 1."""
    alpha = alpha.reshape((-1, 1, 1) if alpha.ndim < 2 else (-1, *shape[1:]))[..., None]
    shares = shares.reshape((-1, 1, 1, shares.shape[-1]) if shares.ndim < 3 else (-1, *shape[1:], shares.shape[-1]))
    w = alpha * shares
    return w if w.shape[1:3] == (1, 1) else _per_position(w)


@jax.jit
def _stylize(model: Model, content: Array, style: Style, alpha: Array, shares: Array | None) -> Array:
    n, h, w, _ = content.shape
    f_c = encode(model, mirrored(content, STRIDE, SMALLEST))["relu4_1"]
    own = moments(f_c)
    weights = _weights(alpha, jnp.ones(1, jnp.float32) if shares is None else shares, (n, h, w))
    if shares is None and n > 1 and style.moments.mean.shape[0] == n:  # every picture has a style of its own
        weights = jnp.broadcast_to(weights, (n, *weights.shape[1:]))
        one = jax.tree.map(lambda leaf: leaf[:, None], (f_c, style, weights, own))
        t = jax.vmap(lambda f, s, w, m: mix(model, f, s, w, source=m)[0])(*one)
    else:
        t = mix(model, f_c, style, weights, source=own)
    return jnp.clip(decode(model, t)[:, :h, :w], 0.0, 1.0)


def stylize(
    model: Model,
    content: ArrayLike,
    style: ArrayLike | Style,
    alpha: float | ArrayLike = 1.0,
    *,
    shares: ArrayLike | None = None,
) -> Array:
    """Renders the content images in the style (Eq. 14), or in several styles at once (Eq. 15).

    Args:
      model: see `load`.
      content: ``(H, W, 3)`` or a batch ``(N, H, W, 3)``, sRGB in [0, 1] (or unsigned integers), any size.
      style: an image or a batch of N, or what `encode_style` returned for one or N of them.
      alpha: degree of style in [0, 1]: a number, one per image ``(N,)``, or a map per pixel ``(H, W)`` or
        ``(N, H, W)``. 0 gives the decoder's reconstruction of the photo; `jaxstyle.stylize`, unless told otherwise by
        ``alpha_blend="features"``, mixes the photo itself in where the degree is small.
      shares: what part each of K styles has: ``style`` then stands for K styles that all content images share, see
        `stack` and `mix`. ``(K,)`` or ``(N, K)`` for whole pictures, ``(H, W, K)`` or ``(N, H, W, K)`` for every
        pixel. Not negative, with sums of at most 1; what is missing to 1 is content.

    Returns:
      Images of the content's shape, float32 in [0, 1].

    Raises:
      ValueError: ``content``, ``style``, ``alpha`` or ``shares`` has a wrong shape or range, or the model's fusion
        cannot mix styles.
    """
    images, single = as_images(content, "content")
    encoded = style if isinstance(style, Style) else encode_style(model, style)
    count = encoded.moments.mean.shape[0]
    if shares is not None:
        shares = _check_shares(model, shares, images.shape, count)
    elif count not in (1, images.shape[0]):
        accepted = "1" if images.shape[0] == 1 else f"1 or {images.shape[0]}"
        raise ValueError(f"style: expected {accepted} (one for all or one per content image), got {count}")
    check_alpha(alpha)
    degree = jnp.asarray(alpha, jnp.float32)
    n, h, w, _ = images.shape
    if degree.shape not in ((), (1,), (n,), (h, w), (1, h, w), (n, h, w)):
        accepted = f"a number, ({n},), ({h}, {w}) or ({n}, {h}, {w})"
        raise ValueError(f"alpha: expected {accepted}, got shape {degree.shape}")
    out = _stylize(model, images, encoded, degree, shares)
    return out[0] if single else out


def _check_shares(model: Model, shares: ArrayLike, shape: tuple[int, ...], count: int) -> Array:
    n, h, w = shape[:3]
    if model.fusion != "adain":
        raise ValueError(f"shares: a model with fusion={model.fusion!r} cannot mix styles, only 'adain' can")
    found, k = jnp.shape(shares), count
    if found not in {(k,), (1, k), (n, k), (h, w, k), (1, h, w, k), (n, h, w, k)}:
        accepted = f"({k},), ({n}, {k}), ({h}, {w}, {k}) or ({n}, {h}, {w}, {k}) for {k} styles"
        raise ValueError(f"shares: expected {accepted}, got shape {found}")
    if not isinstance(shares, jax.core.Tracer):
        values = np.asarray(shares, np.float32)
        check_alpha(values, "shares")
        if not (total := values.sum(-1)).max() <= 1 + 1e-4:
            raise ValueError(f"shares: expected sums of at most 1 at every place, found {total.max():g}")
    return jnp.asarray(shares, jnp.float32)
