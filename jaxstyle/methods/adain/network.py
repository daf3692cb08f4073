"""The networks of AdaIN (arXiv:1703.06868) as functions: the frozen encoder f, the decoder g (Eq. 8 and 10), and what
holds them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp

from jaxstyle.arrays import Array, Features, Image, Params, pytree, static
from jaxstyle.nets import vgg
from jaxstyle.nets.stats import Moments, moments

Fusion = Literal["adain", "concat"]
DecoderNorm = Literal["none", "batch", "instance"]
AimedAt = Literal["style", "learned"]

STRIDE = 8  # of relu4_1
SMALLEST = 2 * STRIDE  # reflect padding needs two pixels at relu4_1
_HIDDEN = 256  # of `jaxstyle.nets.aim.Aim`
STYLE_TAPS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")  # Eq. 13


def plan(arch: vgg.Arch) -> list[tuple[int, bool]]:
    """(channels, whether it doubles the resolution) of the decoder's convolutions but the last."""
    begin = [(256, False), (256, True), *[(256, False)] * (vgg.BLOCKS[arch][2] - 2), (128, False)]
    return [*begin, (128, True), (64, False), (64, True)]


@pytree
class Model:
    """Everything that AdaIN needs to stylize: a pytree.

    Attributes:
      encoder: normalised VGG parameters up to ``conv4_1`` (see `jaxstyle.vgg.normalise`).
      decoder: the decoder's variables: ``{"params": ...}``, with batch normalisation also ``"batch_stats"``. What a
        learned aim has is ``"aim"`` among the parameters.
      arch, fusion, norm: static configuration; ``fusion`` and ``norm`` are the options of Sec. 7.2.
      aim: static, ``"style"``: features get the style's moments (Eq. 8); ``"learned"``: those that `Aim` makes of them.
      full: static, in (0, 1]: what a degree of style of 1 is, a part of the way from the content's features to the
        style's; the paper's is 1.
      dtype: static, the type of the convolutions; statistics and losses are float32 anyway.
    """

    encoder: Params
    decoder: Params
    arch: vgg.Arch = static(default="vgg16")
    fusion: Fusion = static(default="adain")
    norm: DecoderNorm = static(default="none")
    aim: AimedAt = static(default="style")
    dtype: Any = static(default=jnp.float32)
    full: float = static(default=1.0)


@pytree
class Style:
    """An encoded style: make it once with `encode_style`, use it for any number of pictures.

    Attributes:
      moments: that the content's ``relu4_1`` gets, each ``(N, 512)``: all that AdaIN needs.
      features: ``(N, H, W, 512)``, only with ``fusion="concat"``.
    """

    moments: Moments
    features: Features | None = None


def style_taps(model: Model) -> tuple[str, ...]:
    """The layers of a style that have to be known, ``relu4_1`` the last."""
    return STYLE_TAPS if model.aim == "learned" else STYLE_TAPS[-1:]


def aim(decoder: Params, model: Model, found: Mapping[str, Moments]) -> Moments:
    """The moments that the content's features get.

    Args:
      decoder: the decoder's variables; ``model.decoder`` is not looked at.
      model: the static configuration.
      found: of the style, by layer, at least those of `style_taps`.

    Returns:
      Moments of ``relu4_1``, each ``(N, 512)``; the style's own (Eq. 8) unless the model's aim is learned.
    """
    if model.aim == "style":
        return found["relu4_1"]
    from jaxstyle.nets.aim import Aim

    return Aim().apply({"params": decoder["params"]["aim"]}, {tap: found[tap] for tap in STYLE_TAPS})  # type: ignore[return-value]


def describe(model: Model, features: Mapping[str, Features], *, size: Array | None = None) -> Style:
    """What is kept of a style.

    Args:
      model: the decoder's variables and the configuration.
      features: of the style, by layer, those of `style_taps`.
      size: (2,), height and width of the picture where it is larger than the style, pixels.

    Returns:
      A `Style`.
    """
    found = {
        tap: moments(features[tap], size=None if size is None else size // 2 ** (int(tap[4]) - 1))
        for tap in style_taps(model)
    }
    return Style(aim(model.decoder, model, found), features["relu4_1"] if model.fusion == "concat" else None)


def decode(model: Model, t: Features, *, size: Array | None = None) -> Image:
    """g of Eq. 10: features ``(N, H, W, 512)`` -> images ``(N, 8 H, 8 W, 3)``, not clipped; ``size``: see `Decoder`."""
    from jaxstyle.methods.adain.decoder import Decoder  # Flax is imported where something is traced

    return Decoder(model.arch, model.norm, model.dtype).apply(model.decoder, t, size=size)  # type: ignore[return-value]


def _check(model: Model) -> None:
    accepted = {"fusion": ("adain", "concat"), "aim": ("style", "learned"), "norm": ("none", "batch", "instance")}
    for name, values in accepted.items():
        if getattr(model, name) not in values:
            *most, last = map(repr, values)
            raise ValueError(f"{name}: expected {', '.join(most)} or {last}, got {getattr(model, name)!r}")


def init_decoder(key: Array, model: Model) -> Params:
    """Fresh decoder variables for a model's configuration (He-normal kernels; a learned aim starts at the style's).

    Raises:
      ValueError: an unknown fusion, normalisation or aim.
    """
    from jaxstyle.methods.adain.decoder import Decoder
    from jaxstyle.nets.aim import Aim

    _check(model)
    width = 1024 if model.fusion == "concat" else 512
    decoder = dict(Decoder(model.arch, model.norm).init(key, jnp.zeros((1, 2, 2, width), jnp.float32)))
    if model.aim == "learned":
        none = {tap: Moments(*jnp.zeros((2, 1, vgg.WIDTHS[i]), jnp.float32)) for i, tap in enumerate(STYLE_TAPS)}
        decoder["params"] = {**decoder["params"], "aim": Aim().init(jax.random.fold_in(key, 1), none)["params"]}
    return decoder


def decoder_shapes(model: Model) -> Params:
    """The shapes of what `init_decoder` returns, worked out: tracing it takes as long as painting a small picture.

    Raises:
      ValueError: as `init_decoder`.
    """
    _check(model)
    inner = [width for width, _ in plan(model.arch)]
    widths = [1024 if model.fusion == "concat" else 512, *inner, 3]
    params: Params = {
        f"conv{i}": {"kernel": (3, 3, *pair), "bias": pair[1:]} for i, pair in enumerate(itertools.pairwise(widths))
    }
    decoder = {"params": params}
    if model.norm != "none":
        params |= {f"norm{i}": {"scale": (width,), "bias": (width,)} for i, width in enumerate(inner)}
    if model.norm == "batch":
        decoder["batch_stats"] = {f"norm{i}": {"mean": (width,), "var": (width,)} for i, width in enumerate(inner)}
    if model.aim == "learned":
        seen, hidden, aimed = 2 * sum(vgg.WIDTHS[: len(STYLE_TAPS)]), _HIDDEN, 2 * vgg.WIDTHS[len(STYLE_TAPS) - 1]
        params["aim"] = {
            "seen": {"kernel": (seen, hidden), "bias": (hidden,)},
            "change": {"kernel": (hidden, aimed), "bias": (aimed,)},
        }
    return decoder
