"""What AdaIN's decoder is trained for (arXiv:1703.06868, Eq. 11 to 13)."""

from __future__ import annotations

from typing import Literal, TypedDict, Unpack

import jax
import jax.numpy as jnp

from jaxstyle.arrays import Array, Features, Image, Params
from jaxstyle.methods.adain.fusion import fuse
from jaxstyle.methods.adain.network import STYLE_TAPS, Model, Style, aim, describe, style_taps
from jaxstyle.nets.convolutions import avg_pool2x2
from jaxstyle.nets.losses import Norm, content_loss, structure_loss, style_loss
from jaxstyle.nets.stats import moments
from jaxstyle.nets.vgg import encode

ContentTerm = Literal["features", "standardised"]


class Options(TypedDict, total=False):
    """What `objective` is made of, by default Eq. 11 to 13 as the authors' code has them."""

    style_weight: float
    identity_weight: float
    norm: Norm
    content_term: ContentTerm
    relative_style: bool
    relative_to: Literal["style", "photo"]
    half_weight: float


def objective(
    decoder: Params,
    model: Model,
    content: Image,
    style: Image,
    *,
    identity: Array | None = None,
    train: bool = True,
    **options: Unpack[Options],
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
      identity: ``(N,)``, 1 for the pairs whose style is their content, else 0: there AdaIN changes nothing
        and the decoder has to give the content back.
      train: batch normalisation takes the batch's statistics; else the running ones.
      options: ``style_weight``: lambda of Eq. 11, 10 by default.
        ``identity_weight``: of ``mean(identity * |g(t) - c|)``, 0 by default; the paper has no such term.
        ``norm``: ``"squared"`` (the authors' code, the default) or ``"plain"`` (the paper's text).
        ``content_term``: ``"features"`` (Eq. 12, the default) or ``"standardised"``.
        ``relative_style``: Eq. 13 relative to the style's own statistics, False by default.
        ``relative_to``: ``"photo"``: relative to how far the photo's statistics are from them, as the scores are.
        ``half_weight``: of the style term of the pictures at half their size, beside the style term, 0 by default: what
        is painted for a large picture is looked at reduced, and fine texture averages out.

    Returns:
      ``(loss, terms)``: a scalar, and the unweighted ``content``, ``style`` and, if asked for, ``half`` and
      ``identity``.
    """
    if unknown := sorted(set(options) - Options.__annotations__.keys()):
        raise TypeError(f"unexpected keyword argument {unknown[0]!r}")
    n, norm = content.shape[0], options.get("norm", "squared")
    if content.shape == style.shape:
        found = encode(model, jnp.concatenate([content, style]), STYLE_TAPS)
        of_photo, f_s = ({tap: f[part] for tap, f in found.items()} for part in (slice(n), slice(n, None)))
    else:
        of_photo, f_s = encode(model, content, STYLE_TAPS), encode(model, style, STYLE_TAPS)
    f_c = of_photo["relu4_1"]
    to_photo = options.get("relative_to") == "photo"
    before = {tap: moments(f) for tap, f in of_photo.items()} if to_photo else None
    targets = {tap: moments(f) for tap, f in f_s.items()}
    relative = options.get("relative_style", False)
    style_of = Style(aim(decoder, model, targets), f_s["relu4_1"] if model.fusion == "concat" else None)
    t = fuse(model, f_c, style_of)
    if identity is not None and model.aim == "learned":  # a style's own aim need not be where it is
        t = jnp.where(identity[:, None, None, None] > 0, f_c, t)
    from jaxstyle.methods.adain.decoder import Decoder

    net = Decoder(model.arch, model.norm, model.dtype)
    images, _ = net.apply(decoder, t, train=train, mutable=["batch_stats"] if train and model.norm == "batch" else [])
    f_o = encode(model, images, STYLE_TAPS)  # f(g(t))
    terms = {
        "content": _content_term(model, f_o["relu4_1"], f_c, t, options.get("content_term", "features"), norm),
        "style": style_loss(f_o, targets, norm=norm, relative=relative, before=before),
    }
    looks = terms["style"]
    if half_weight := options.get("half_weight", 0.0):
        of = lambda x: {tap: moments(f) for tap, f in encode(model, avg_pool2x2(x), STYLE_TAPS).items()}  # noqa: E731
        f_half = encode(model, avg_pool2x2(images), STYLE_TAPS)
        before = of(content) if to_photo else None
        terms["half"] = style_loss(f_half, of(style), norm=norm, relative=relative, before=before)
        looks += half_weight * terms["half"]
    loss = terms["content"] + options.get("style_weight", 10.0) * looks
    if identity is not None:
        terms["identity"] = (identity * jnp.abs(images - content).mean((1, 2, 3))).mean()
        loss += options.get("identity_weight", 0.0) * terms["identity"]
    return loss, terms


def _content_term(model: Model, found: Features, f_c: Features, t: Features, term: ContentTerm, norm: Norm) -> Array:
    """Lc of f(g(t)), or its standardised form."""
    if term == "features":  # concatenated features are no target (Sec. 7.2)
        return content_loss(found, jax.lax.stop_gradient(t) if model.fusion == "adain" else f_c, norm=norm)
    if term != "standardised":
        raise ValueError(f"content_term: expected 'features' or 'standardised', got {term!r}")
    return structure_loss(found, f_c, norm=norm)


def running_statistics(decoder: Params, model: Model, content: Image, style: Image) -> Params:
    """The decoder's variables after one step of batch normalisation's running statistics.

    Without batch normalisation there are none: ``decoder`` itself is returned. Arguments as in `objective`.
    """
    if model.norm != "batch":
        return decoder
    f_c = encode(model, content)["relu4_1"]
    t = fuse(model, f_c, describe(model.replace(decoder=decoder), encode(model, style, style_taps(model))))  # type: ignore[attr-defined]
    from jaxstyle.methods.adain.decoder import Decoder

    net = Decoder(model.arch, model.norm, model.dtype)
    _, updates = net.apply(decoder, t, train=True, mutable=["batch_stats"])
    return {**decoder, **updates}
