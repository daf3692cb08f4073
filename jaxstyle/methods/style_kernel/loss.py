"""What the style-kernel networks are trained for (Eq. 7 to 9 of Dynamic Style Kernels).

Differs from the paper: its style loss is Johnson's (Gram matrices), those of its relatives are channel means and
deviations: both are offered, and either may be relative, see `jaxstyle.nets.losses.style_loss`. Eq. 9 compares aligned
style features with the style's; that never sees the decoder, so it is offered for the features of the output as well.
Instead of both reconstructions of Eq. 8 some pairs may have their content as style (``identity``), at no further cost.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypedDict, Unpack

import jax.numpy as jnp

from jaxstyle.arrays import Array, Features, Image, Params
from jaxstyle.methods.style_kernel.network import Model, decode
from jaxstyle.methods.style_kernel.transform import transform
from jaxstyle.nets import discriminator as patches
from jaxstyle.nets.convolutions import avg_pool2x2
from jaxstyle.nets.losses import content_loss, gram_loss, remd, sample_positions, structure_loss, style_loss
from jaxstyle.nets.stats import gram, moments
from jaxstyle.nets.vgg import encode

StyleStatistic = Literal["moments", "gram"]

TAPS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
DEEPER = "relu5_1"
POSITIONS = 1024
"""So many positions a side are compared in Eq. 9 at most, drawn at random."""

Terms = dict[str, Array]
_Maps = dict[str, Features]  # by tap


class Made(NamedTuple):
    """What a batch came to.

    Attributes:
      images: the stylized pictures ``(N, H, W, 3)``, not clipped.
      kept: ``(N, H / 8, W / 8)``, share of the style's positions that the gate lets through there.
    """

    images: Image
    kept: Array


class Options(TypedDict, total=False):
    """Weights and forms of the terms of `objective`. A term without a weight is not computed."""

    content_weight: float
    style_weight: float
    style_statistic: StyleStatistic
    relative_style: bool
    relative_to: Literal["style", "photo"]
    deeper: bool
    half_weight: float
    pixel_weight: float
    feature_weight: float
    identity_weight: float
    remd_weight: float
    aligned_remd_weight: float
    adversarial_weight: float


def objective(
    key: Array | None,
    params: Params,
    model: Model,
    content: Image,
    style: Image,
    *,
    identity: Array | None = None,
    discriminator: Params | None = None,
    **options: Unpack[Options],
) -> tuple[Array, tuple[Terms, Made]]:
    """The training loss (Eq. 7) of stylized pictures.

    Args:
      key: of the channels' shuffling and the positions compared in Eq. 9; None: no shuffling, evenly spaced positions.
      params: what is trained; ``model.params`` is not looked at.
      model: the frozen encoder and the static configuration.
      content: ``(N, H, W, 3)`` in [0, 1], H and W multiples of 8, at least 16, 32 with ``deeper``.
      style: ``(N, H, W, 3)``.
      identity: ``(N,)``, 1 for the pairs whose style is their content, else 0: there the content is the target.
      discriminator: variables of `jaxstyle.nets.discriminator`, for the adversarial term.
      options: ``content_weight`` (1): distance of standardised ``relu4_1`` to the content's, with ``deeper`` also of
        ``relu5_1`` (which the encoder then has to have).
        ``style_weight`` (1), ``style_statistic`` (``"moments"`` or ``"gram"``), ``relative_style`` (False) and
        ``relative_to`` (``"style"`` or ``"photo"``): of ``relu1_1`` to ``relu4_1``, ``deeper`` also of ``relu5_1``.
        ``half_weight`` (0): of the style term of the pictures at half their size, beside it.
        ``pixel_weight`` (0; 20 in the paper) and ``feature_weight`` (0; 0.5): Eq. 8, squared distances of content and
        style, each stylized with itself, to themselves.
        ``identity_weight`` (0) of ``mean(identity * |g - c|)``.
        ``remd_weight`` (0): Eq. 9 between ``relu4_1`` of output and style.
        ``aligned_remd_weight`` (0; 3): Eq. 9 as printed, between aligned style features and the style's.
        ``adversarial_weight`` (0; 1): how far the discriminator is from taking the output for a painting; identity
        pairs do not count.

    Returns:
      ``(loss, (terms, made))``: a scalar; the unweighted terms, scalars, and ``gate``, the share of style positions
      that the gate lets through; what was made.

    Raises:
      ValueError: content and style differ in shape, or an unknown ``style_statistic``.
    """
    if unknown := sorted(set(options) - Options.__annotations__.keys()):
        raise TypeError(f"unexpected keyword argument {unknown[0]!r}")
    if content.shape != style.shape:
        raise ValueError(f"style: expected the shape of content, {content.shape}, got {style.shape}")
    n, taps = len(content), (*TAPS, DEEPER) if options.get("deeper") else TAPS
    inputs = jnp.concatenate([content, style])
    found = encode(model, inputs, taps)
    f_c, f_s = ({tap: f[part] for tap, f in found.items()} for part in (slice(n), slice(n, None)))
    made = transform(key=key, params=params, model=model, f_c=f_c, f_s=f_s)
    z = made.z
    if identity is not None and model.config.aim:  # a style's own aim need not be where it is
        z = jnp.where(identity[:, None, None, None] > 0, f_c["relu4_1"], z)
    images = decode(params, model, z)
    f_o = encode(model, images, taps)
    weights = {"content": options.get("content_weight", 1.0), "style": options.get("style_weight", 1.0)}
    terms = {
        "content": sum((structure_loss(f_o[tap], f_c[tap]) for tap in taps[3:]), jnp.zeros((), jnp.float32)),
        "style": _style_term(f_o, f_c, f_s, options),
    }

    def add(name: str, option: str, value: Array) -> None:
        terms[name], weights[name] = value, options[option]  # type: ignore[literal-required]

    if options.get("half_weight"):
        of_half = [encode(model, avg_pool2x2(x), taps) for x in (images, content, style)]
        terms["half"] = _style_term(of_half[0], of_half[1], of_half[2], options)
        weights["half"] = weights["style"] * options["half_weight"]
    if options.get("pixel_weight") or options.get("feature_weight"):
        again = decode(params, model, transform(key=None, params=params, model=model, f_c=found, f_s=found).z)
        if options.get("pixel_weight"):
            add("pixels", "pixel_weight", 2 * content_loss(again, inputs))  # Eq. 8 adds contents and styles up
        if options.get("feature_weight"):
            f_a = encode(model, again, taps[1:])
            apart = sum((content_loss(f, found[tap]) for tap, f in f_a.items()), jnp.zeros((), jnp.float32))
            add("features", "feature_weight", 2 * apart)
    if identity is not None:
        terms["identity"] = (identity * jnp.abs(images - content).mean((1, 2, 3))).mean()
        weights["identity"] = options.get("identity_weight", 0.0)
    if options.get("remd_weight"):
        add("remd", "remd_weight", _remd(key, f_o["relu4_1"], f_s["relu4_1"]))
    if options.get("aligned_remd_weight"):
        add("aligned_remd", "aligned_remd_weight", _remd(key, made.z_cs, f_s["relu4_1"]))
    if options.get("adversarial_weight") and discriminator is not None:
        scores = patches.judge(discriminator, images, dtype=model.dtype)
        add(
            "adversarial",
            "adversarial_weight",
            patches.squared_loss(scores, 1.0, None if identity is None else 1 - identity),
        )
    loss = sum((weights[name] * term for name, term in terms.items()), jnp.zeros((), jnp.float32))
    return loss, (terms | {"gate": made.kept.mean()}, Made(images, made.kept))


def _style_term(
    f_o: dict[str, Features], f_c: dict[str, Features], f_s: dict[str, Features], options: Options
) -> Array:
    statistic, relative = options.get("style_statistic", "moments"), options.get("relative_style", False)
    to_photo = relative and options.get("relative_to") == "photo"
    if statistic == "moments":
        before = {tap: moments(f) for tap, f in f_c.items()} if to_photo else None
        return style_loss(f_o, {tap: moments(f) for tap, f in f_s.items()}, relative=relative, before=before)
    if statistic == "gram":
        grams = {tap: gram(f) for tap, f in f_c.items()} if to_photo else None
        return gram_loss(f_o, {tap: gram(f) for tap, f in f_s.items()}, relative=relative, before=grams)
    raise ValueError(f"style_statistic: expected 'moments' or 'gram', got {statistic!r}")


def _remd(key: Array | None, features: Features, style: Features) -> Array:
    """Eq. 9, of at most so many positions, the same on both sides."""
    return remd(sample_positions(key, features, POSITIONS), sample_positions(key, style, POSITIONS))
