"""AdaIN: arbitrary style transfer in one forward pass (Huang & Belongie 2017, arXiv:1703.06868).

``T(c, s, alpha) = g((1 - alpha) f(c) + alpha AdaIN(f(c), f(s)))`` (Eq. 14): f is normalised VGG to
``relu4_1``, g the decoder. `Model` is a pytree that holds both; `encode_style` turns a style image into a
small reusable pytree; `stylize` does the rest.

Differs from the paper: VGG-16 is the default encoder (its weights are shipped; VGG-19 works alike), Adam's
hyper-parameters are the trainer's business, and an identity term can be added to Eq. 11, so that alpha = 0
gives the photo back.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax import struct

from jaxstyle import vgg, weights
from jaxstyle.arrays import Array, ArrayLike, Features, Image, Params, as_images, check_alpha
from jaxstyle.layers import Conv3x3, inner, ring
from jaxstyle.losses import Norm, content_loss, style_loss
from jaxstyle.stats import Moments, adain, inside, moments, standardise

Fusion = Literal["adain", "concat"]
DecoderNorm = Literal["none", "batch", "instance"]
ContentTerm = Literal["features", "standardised"]

STRIDE = 8  # of relu4_1
SMALLEST = 2 * STRIDE  # reflect padding needs two pixels at relu4_1
STYLE_TAPS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")  # Eq. 13
_DEEPEST = "conv4_1"
_STANDARDISE_EPS = 1e-3  # the scale of the normalised features is 1: channels that hardly respond say nothing


class Decoder(nn.Module):
    """The decoder g of Eq. 10: the mirror of VGG up to ``relu4_1``; reflect padding, nearest up-sampling.

    Attributes:
      arch: the encoder it mirrors; VGG-19 has one 256>256 convolution more.
      norm: ``"none"`` (the paper's choice), ``"batch"`` or ``"instance"`` (its Sec. 7.2).
      dtype: type of the convolutions.
    """

    arch: vgg.Arch = "vgg16"
    norm: DecoderNorm = "none"
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, t: Features, *, train: bool = False, size: Array | None = None) -> Image:
        """Features ``(N, H, W, C)`` -> images ``(N, 8 H, 8 W, 3)``, about [0, 1], not clipped.

        ``train`` makes batch normalisation use the batch's statistics and update the running ones. ``size``: (2,), what
        lies beyond so many rows and columns of ``t`` has no influence on what lies inside.
        """
        if self.norm not in ("none", "batch", "instance"):
            raise ValueError(f"norm: expected 'none', 'batch' or 'instance', got {self.norm!r}")
        block3 = vgg.BLOCKS[self.arch][2]
        plan = [(256, False), (256, True), *[(256, False)] * (block3 - 2), (128, False)]
        plan += [(128, True), (64, False), (64, True)]
        x = ring(t)
        for i, (width, upsample) in enumerate(plan):
            x = Conv3x3(width, upsample=upsample, dtype=self.dtype, name=f"conv{i}")(x, size)
            size = 2 * size if upsample and size is not None else size
            if self.norm == "batch":
                x = ring(nn.BatchNorm(use_running_average=not train, momentum=0.99, name=f"norm{i}")(inner(x)))
            elif self.norm == "instance":
                x = inner(x)
                x = ring(nn.InstanceNorm(name=f"norm{i}")(x, mask=None if size is None else inside(x.shape, size)))
            x = nn.relu(x)
        return inner(Conv3x3(3, dtype=self.dtype, name=f"conv{len(plan)}")(x, size)).astype(jnp.float32)


@struct.dataclass
class Model:
    """Everything that AdaIN needs to stylize: a pytree.

    Attributes:
      encoder: normalised VGG parameters up to ``conv4_1`` (see `jaxstyle.vgg.normalise`).
      decoder: the decoder's variables: ``{"params": ...}``, with batch normalisation also ``"batch_stats"``.
      arch, fusion, norm: static configuration; ``fusion`` and ``norm`` are the options of Sec. 7.2.
      dtype: static, the type of the convolutions; statistics and losses are float32 anyway.
    """

    encoder: Params
    decoder: Params
    arch: vgg.Arch = struct.field(pytree_node=False, default="vgg16")
    fusion: Fusion = struct.field(pytree_node=False, default="adain")
    norm: DecoderNorm = struct.field(pytree_node=False, default="none")
    dtype: Any = struct.field(pytree_node=False, default=jnp.float32)


@struct.dataclass
class Style:
    """An encoded style: make it once with `encode_style`, use it for any number of pictures.

    Attributes:
      moments: of ``relu4_1``, each ``(N, 512)``: all that AdaIN needs.
      features: ``(N, H, W, 512)``, only with ``fusion="concat"``.
    """

    moments: Moments
    features: Features | None = None


def encode(
    model: Model, images: Image, taps: Sequence[str] = ("relu4_1",), *, size: Array | None = None
) -> dict[str, Features]:
    """f of Eq. 8: ``{tap: (N, H', W', C)}`` of images ``(N, H, W, 3)`` at least 16 pixels high and wide.

    ``size``: (2,), height and width of the pictures where ``images`` are larger, see `jaxstyle.vgg.features`.

    Raises:
      ValueError: ``images`` are too small or no images, or a tap is unknown.
    """
    net, dtype = model.encoder, model.dtype
    return vgg.features(net, images, taps, arch=model.arch, padding="reflect", dtype=dtype, size=size)


def decode(model: Model, t: Features, *, size: Array | None = None) -> Image:
    """g of Eq. 10: features ``(N, H, W, 512)`` -> images ``(N, 8 H, 8 W, 3)``, not clipped; ``size``: see `Decoder`."""
    return Decoder(model.arch, model.norm, model.dtype).apply(model.decoder, t, size=size)  # type: ignore[return-value]


def fuse(model: Model, content: Features, style: Style, *, size: Array | None = None) -> Features:
    """What the decoder sees at alpha = 1: AdaIN(f(c), f(s)) (Eq. 9).

    With ``fusion="concat"`` (Sec. 7.2) the style's features are laid beside the content's, resized where the
    sizes differ: ``(N, H, W, 1024)``.

    Args:
      model: only its static configuration is looked at.
      content: f(c), ``(N, H, W, 512)``.
      style: N encoded styles, or one for all.
      size: (2,), how many rows and columns of ``content`` are of the pictures; by default all.

    Returns:
      The fused features, in the type of ``content``.

    Raises:
      ValueError: an unknown fusion, or a style without the features that concatenation needs.
    """
    if model.fusion == "adain":
        return adain(content, style.moments, source=moments(content, size=size))
    if model.fusion != "concat":
        raise ValueError(f"fusion: expected 'adain' or 'concat', got {model.fusion!r}")
    if style.features is None:
        raise ValueError("style: fusion='concat' needs the style's features; encode it with the same model")
    beside = style.features
    if size is not None:
        scale = size / jnp.asarray(beside.shape[1:3], jnp.float32)
        shape = (beside.shape[0], *content.shape[1:3], beside.shape[3])
        beside = jax.image.scale_and_translate(beside, shape, (1, 2), scale, jnp.zeros(2), "linear")
    elif beside.shape[1:3] != content.shape[1:3]:
        beside = jax.image.resize(beside, (beside.shape[0], *content.shape[1:3], beside.shape[3]), "linear")
    beside = jnp.broadcast_to(beside, (content.shape[0], *beside.shape[1:]))
    return jnp.concatenate([content, beside.astype(content.dtype)], axis=-1)


def blend(content: Features, styles: Moments, shares: Array, *, source: Moments | None = None) -> Features:
    """Several styles: ``(1 - sum_k w_k) f(c) + sum_k w_k AdaIN(f(c), f(s_k))`` at every position (Eq. 14 and 15).

    AdaIN is affine in the style's moments: it is they that are mixed, not K feature maps.

    Differs from the paper: its spatial control computes AdaIN in every region apart; here the content's statistics are
    those of the whole picture. So a style looks inside its region as it would on the whole picture, the result depends
    continuously on the shares, and a region of a few positions, whose own statistics mean nothing, does no harm.

    Args:
      content: f(c), ``(N, H, W, C)``.
      styles: moments of K styles, each ``(K, C)``.
      shares: w, ``(N, H, W, K)``, each of the first three sizes may be 1; not negative, with sums of at most 1.
      source: the content's moments ``(N, C)``, where ``content`` is only a part of it; by default its own.

    Returns:
      ``(N, H, W, C)`` in the type of ``content``.
    """
    own = moments(content) if source is None else source
    mean, std = (jnp.einsum("nhwk,kc->nhwc", shares, m, precision=jax.lax.Precision.HIGHEST) for m in styles)
    scale = std / own.std[:, None, None]
    shift = mean - own.mean[:, None, None] * scale
    x = content.astype(jnp.float32)
    return (x * (scale + (1 - shares.sum(-1, keepdims=True))) + shift).astype(content.dtype)


def objective(
    decoder: Params,
    model: Model,
    content: Image,
    style: Image,
    *,
    style_weight: float = 10.0,
    identity: Array | None = None,
    identity_weight: float = 0.0,
    norm: Norm = "squared",
    content_term: ContentTerm = "features",
    relative_style: bool = False,
    relative_to: Literal["style", "photo"] = "style",
    train: bool = True,
) -> tuple[Array, dict[str, Array]]:
    """The training loss ``Lc + lambda Ls`` (Eq. 11-13), with an optional identity term.

    Differs from the paper: with ``content_term="standardised"`` Lc compares f(g(t)) and f(c) after each channel got
    mean 0 and deviation 1. Eq. 12 compares with t, whose channels are as wide as the style's, so that a few channels
    decide; standardised, all channels have the same say in where things are, and the style term has the rest.
    ``relative_style`` makes Ls relative, see `jaxstyle.losses.style_loss`.

    Args:
      decoder: the decoder's variables, what is trained; ``model.decoder`` is not looked at.
      model: the frozen encoder and the static configuration.
      content: ``(N, H, W, 3)`` in [0, 1], H and W multiples of 8, at least 16.
      style: ``(N, H', W', 3)``.
      style_weight: lambda of Eq. 11.
      identity: ``(N,)``, 1 for the pairs whose style is their content, else 0: there AdaIN changes nothing
        and the decoder has to give the content back.
      identity_weight: weight of ``mean(identity * |g(t) - c|)``; the paper has no such term.
      norm: ``"squared"`` (the authors' code) or ``"plain"`` (the paper's text).
      content_term: ``"features"`` (Eq. 12) or ``"standardised"``.
      relative_style: Eq. 13 relative to the style's own statistics.
      relative_to: ``"photo"``: relative to how far the photo's statistics are from them, as the scores are.
      train: batch normalisation takes the batch's statistics; else the running ones.

    Returns:
      ``(loss, terms)``: a scalar, and the unweighted ``content``, ``style`` and, if asked for, ``identity``.
    """
    n = content.shape[0]
    if content.shape == style.shape:
        found = encode(model, jnp.concatenate([content, style]), STYLE_TAPS)
        of_photo, f_s = ({tap: f[part] for tap, f in found.items()} for part in (slice(n), slice(n, None)))
    else:
        of_photo, f_s = encode(model, content, STYLE_TAPS), encode(model, style, STYLE_TAPS)
    f_c = of_photo["relu4_1"]
    before = {tap: moments(f) for tap, f in of_photo.items()} if relative_to == "photo" else None
    targets = {tap: moments(f) for tap, f in f_s.items()}
    t = fuse(model, f_c, Style(targets["relu4_1"], f_s["relu4_1"] if model.fusion == "concat" else None))
    t, f_c, targets, before = jax.lax.stop_gradient((t, f_c, targets, before))
    net = Decoder(model.arch, model.norm, model.dtype)
    images, _ = net.apply(decoder, t, train=train, mutable=["batch_stats"] if train and model.norm == "batch" else [])
    f_o = encode(model, images, STYLE_TAPS)  # f(g(t))
    terms = {
        "content": _content_term(model, f_o["relu4_1"], f_c, t, content_term, norm),
        "style": style_loss(f_o, targets, norm=norm, relative=relative_style, before=before),
    }
    loss = terms["content"] + style_weight * terms["style"]
    if identity is not None:
        terms["identity"] = (identity * jnp.abs(images - content).mean((1, 2, 3))).mean()
        loss += identity_weight * terms["identity"]
    return loss, terms


def _content_term(model: Model, found: Features, f_c: Features, t: Features, term: ContentTerm, norm: Norm) -> Array:
    """Lc of f(g(t)), or its standardised form."""
    if term == "features":  # concatenated features are no target (Sec. 7.2)
        return content_loss(found, t if model.fusion == "adain" else f_c, norm=norm)
    if term != "standardised":
        raise ValueError(f"content_term: expected 'features' or 'standardised', got {term!r}")
    alike = (standardise(f, eps=_STANDARDISE_EPS) for f in (found, f_c))
    return content_loss(*alike, norm=norm)


def running_statistics(decoder: Params, model: Model, content: Image, style: Image) -> Params:
    """The decoder's variables after one step of batch normalisation's running statistics.

    Without batch normalisation there are none: ``decoder`` itself is returned. Arguments as in `objective`.
    """
    if model.norm != "batch":
        return decoder
    f_c, f_s = (encode(model, x)["relu4_1"] for x in (content, style))
    t = fuse(model, f_c, Style(moments(f_s), f_s))
    net = Decoder(model.arch, model.norm, model.dtype)
    _, updates = net.apply(decoder, t, train=True, mutable=["batch_stats"])
    return {**decoder, **updates}


def init_decoder(key: Array, model: Model) -> Params:
    """Fresh decoder variables for a model's configuration (He-normal kernels).

    Raises:
      ValueError: an unknown fusion or normalisation.
    """
    if model.fusion not in ("adain", "concat"):
        raise ValueError(f"fusion: expected 'adain' or 'concat', got {model.fusion!r}")
    width = 1024 if model.fusion == "concat" else 512
    return dict(Decoder(model.arch, model.norm).init(key, jnp.zeros((1, 2, 2, width))))


# ---- inference ---------------------------------------------------------------------------------------------


def _reach(size: int) -> int:
    return max(SMALLEST, -(-size // STRIDE) * STRIDE)


def _pad(images: Array, height: int, width: int) -> Array:
    """Mirrors (N, H, W, ...) at the bottom and right up to (height, width), again and again if it must."""
    grow = ((0, 0), (0, height - images.shape[1]), (0, width - images.shape[2]))
    return jnp.pad(images, grow + ((0, 0),) * (images.ndim - 3), mode="symmetric")


@jax.jit
def _encode_style(model: Model, images: Array, size: Array | None) -> Style:
    h, w = images.shape[1:3]
    size = None if size is None else jnp.maximum(size, SMALLEST)
    f = encode(model, _pad(images, max(h, SMALLEST), max(w, SMALLEST)), size=size)["relu4_1"]
    found = moments(f, size=None if size is None else size // STRIDE)
    return Style(found, f if model.fusion == "concat" else None)


def encode_style(model: Model, style: ArrayLike, *, size: ArrayLike | None = None) -> Style:
    """Everything that stylization needs to know of a style image.

    Args:
      model: see `load`.
      style: ``(H, W, 3)`` or a batch ``(N, H, W, 3)``, in [0, 1], any size.
      size: as in `stylize`; features, where a style has them, are as many as those of the larger array.

    Returns:
      A `Style`, a pytree: moments ``(N, 512)``.

    Raises:
      ValueError: ``style`` is not an image, see `jaxstyle.arrays.as_images`.
    """
    images, _ = as_images(style, "style")
    return _encode_style(model, images, size)


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
    n, h, w = values.shape[:3]
    height, width = _reach(h), _reach(w)
    blocks = _pad(values, height, width)
    blocks = blocks.reshape(n, height // STRIDE, STRIDE, width // STRIDE, STRIDE, *values.shape[3:])
    return blocks.mean((2, 4))


def _weights(alpha: Array, shares: Array, shape: tuple[int, int, int]) -> Array:
    """w of `blend`: the product of the degree of style and the shares, ``(N, H, W, K)`` or with sizes of 1."""
    alpha = alpha.reshape((-1, 1, 1) if alpha.ndim < 2 else (-1, *shape[1:]))[..., None]
    shares = shares.reshape((-1, 1, 1, shares.shape[-1]) if shares.ndim < 3 else (-1, *shape[1:], shares.shape[-1]))
    w = alpha * shares
    return w if w.shape[1:3] == (1, 1) else _per_position(w)


@jax.jit
def _stylize(
    model: Model, content: Array, style: Style, alpha: Array, shares: Array | None, size: Array | None
) -> Array:
    n, h, w, _ = content.shape
    grid = None if size is None else -(-jnp.maximum(size, SMALLEST) // STRIDE)  # how many features are the picture's
    whole = _pad(content, _reach(h), _reach(w))
    f_c = encode(model, whole, size=None if grid is None else STRIDE * grid)["relu4_1"]
    if shares is not None:
        source = None if grid is None else moments(f_c, size=grid)
        t = blend(f_c, style.moments, _weights(alpha, shares, (n, h, w)), source=source)
        return jnp.clip(decode(model, t, size=grid)[:, :h, :w], 0.0, 1.0)
    if alpha.ndim > 1:
        alpha = _per_position(jnp.broadcast_to(alpha, (n, h, w)))[..., None]
    else:
        alpha = jnp.broadcast_to(alpha, (n,))[:, None, None, None]
    # concatenated features have no content-only point: there alpha starts from the content fused with itself
    plain = f_c if model.fusion == "adain" else fuse(model, f_c, Style(moments(f_c), f_c))
    t = (1 - alpha) * plain + alpha * fuse(model, f_c, style, size=grid)
    return jnp.clip(decode(model, t.astype(f_c.dtype), size=grid)[:, :h, :w], 0.0, 1.0)


def stylize(
    model: Model,
    content: ArrayLike,
    style: ArrayLike | Style,
    alpha: float | ArrayLike = 1.0,
    *,
    shares: ArrayLike | None = None,
    size: ArrayLike | None = None,
) -> Array:
    """Renders the content images in the style (Eq. 14), or in several styles at once (Eq. 15).

    Args:
      model: see `load`.
      content: ``(H, W, 3)`` or a batch ``(N, H, W, 3)``, sRGB in [0, 1] (or unsigned integers), any size.
      style: an image or a batch of N, or what `encode_style` returned for one or N of them.
      alpha: degree of style in [0, 1]: a number, one per image ``(N,)``, or a map per pixel ``(H, W)`` or
        ``(N, H, W)``. 0 gives the decoder's reconstruction of the photo.
      shares: what part each of K styles has: ``style`` then stands for K styles that all content images share, see
        `stack` and `blend`. ``(K,)`` or ``(N, K)`` for whole pictures, ``(H, W, K)`` or ``(N, H, W, K)`` for every
        pixel. Not negative, with sums of at most 1; what is missing to 1 is content.
      size: (2,), height and width of the pictures where ``content`` is larger; may be traced. A picture is then the
        top left corner of its array, mirrored (edge repeated) at least up to a multiple of 8 and to 16 pixels; what
        lies beyond that, if it is finite, has no influence but rounding. Maps are of the array's size and mirrored
        alike. See `jaxstyle.buckets`.

    Returns:
      Images of the content's shape, float32 in [0, 1]; beyond ``size`` they mean nothing.

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
    out = _stylize(model, images, encoded, degree, shares, size)
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


# ---- weights -----------------------------------------------------------------------------------------------


def load_encoder(source: str = "vgg16") -> tuple[Params, vgg.Arch]:
    """The frozen encoder f: normalised VGG up to ``conv4_1`` from a weight file with calibrated scales.

    Args:
      source: the name of shipped weights, or a file that ``jaxstyle convert-vgg --calibrate`` wrote.

    Returns:
      ``(params, arch)``.

    Raises:
      WeightsError: the file is missing, damaged, not VGG, or not calibrated.
    """
    file = weights.load(source, kind="vgg")
    arch: vgg.Arch = file.metadata.get("arch")  # type: ignore[assignment]
    prefix = "mean_activation."
    scales = {k.removeprefix(prefix): v for k, v in file.arrays.items() if k.startswith(prefix)}
    if not scales:
        raise weights.WeightsError(f"{source}: has no calibrated scales; convert it with --calibrate FOLDER")
    try:
        params = vgg.from_arrays(file.arrays, arch, through=_DEEPEST)
        return vgg.normalise(params, scales), arch
    except ValueError as error:
        raise weights.WeightsError(f"{source}: {error}") from None


def to_arrays(decoder: Params, dtype: Any = np.float16) -> dict[str, np.ndarray]:
    """The decoder's variables by name: ``{"params.conv0.kernel": ...}``.

    Args:
      decoder: the variables.
      dtype: of the kernels; everything else is float32.

    Returns:
      Flat arrays, as `save` writes and `load` reads them.
    """
    flat = jax.tree_util.tree_flatten_with_path(decoder)[0]
    named = {".".join(str(k.key) for k in path): np.asarray(leaf) for path, leaf in flat}
    return {k: v.astype(dtype if k.endswith(".kernel") else np.float32) for k, v in named.items()}


def save(path: str | os.PathLike[str], model: Model, **metadata: str) -> None:
    """Writes the decoder as one safetensors file (float16 kernels); the encoder is named by its architecture.

    Args:
      path: the file.
      model: its decoder is written.
      metadata: more entries for the file's header, such as ``licence``.

    Raises:
      WeightsError: the file cannot be written.
    """
    config = {"arch": model.arch, "fusion": model.fusion, "norm": model.norm}
    weights.save(path, to_arrays(model.decoder), {"kind": "adain", **config, **metadata})


def load(source: str = "adain_vgg16", *, encoder: str | None = None) -> Model:
    """Loads a model: shipped weights by name, or your own by path.

    Args:
      source: ``"adain_vgg16"`` or the path of a file that `save` or the trainer wrote.
      encoder: a VGG weight file; by default the shipped VGG-16, which fits decoders trained on it.

    Returns:
      A `Model`.

    Raises:
      WeightsError: a file is missing, damaged, of another kind, or encoder and decoder do not fit.
    """
    file = weights.load(source, kind="adain")
    wanted, fusion, norm = (file.metadata.get(name) for name in ("arch", "fusion", "norm"))
    params, arch = load_encoder(encoder or "vgg16")
    if arch != wanted:
        raise weights.WeightsError(f"{source}: made for encoder {wanted}, but the one given is {arch}")
    decoder: Params = {}
    for name, array in file.arrays.items():
        *parts, last = name.split(".")
        node = decoder
        for part in parts:
            node = node.setdefault(part, {})
        node[last] = np.asarray(array, np.float32)
    model = Model(params, decoder, arch, fusion, norm)  # type: ignore[arg-type]
    try:
        fresh = jax.eval_shape(init_decoder, jax.random.key(0), model)
    except ValueError as error:
        raise weights.WeightsError(f"{source}: {error}") from None
    if jax.tree.map(np.shape, decoder) != jax.tree.map(np.shape, fresh):
        kind = f"{arch}, fusion {fusion} and norm {norm}"
        raise weights.WeightsError(f"{source}: its arrays are not those of a decoder for {kind}")
    return jax.device_put(model)
