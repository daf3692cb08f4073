"""The parts of the hypernetwork that makes a function of place and degree of style of two pictures: `conditioning`.

Differs from the paper (001, whose configuration is `paper`):

* What a picture is given by is local. Colours are a linear code (`code`), which needs no training; the transformer
  makes the coarse grid of context and the low-rank part of the matrix of the features.
* Tokens are features of frozen VGG, pooled to one number of tokens whatever the size of the picture.
* Besides AdaIN over coordinates there are latent grids of the photo in the style (`hyper.Painter`), and the degree of
  style is the share that these have. A pointwise MLP over features of the place can move colours, and little else.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxstyle.arrays import Array, Features, Image, Params, pytree, static
from jaxstyle.methods import adain
from jaxstyle.methods.adain import STRIDE, STYLE_TAPS
from jaxstyle.methods.generalizable_inr import code as codes
from jaxstyle.methods.generalizable_inr import field as fields
from jaxstyle.methods.generalizable_inr import whole
from jaxstyle.methods.generalizable_inr.field import Spec, View
from jaxstyle.methods.generalizable_inr.tokens import pooled
from jaxstyle.methods.generalizable_inr.whole import Whole
from jaxstyle.nets import vgg
from jaxstyle.nets.stats import Moments, moments, with_moments

GAINS = (1.0, 0.9)
"""Shares of what is missing of means and deviations that the second look adds, before they are trained."""
FULL = 0.95
"""Share of what is painted in full style, with a second look; the rest is the photo."""
Maps = Mapping[str, Features]
"""Features of VGG by tap, those of `adain.STYLE_TAPS`."""


@dataclasses.dataclass(frozen=True)
class Config:
    """What the networks are made of.

    Attributes:
      tokens: along either side of what the transformer sees, whatever the size of the picture.
      width, depth, heads: of the transformer.
      weight_tokens: of the transformer, the rank of the instance matrix.
      context: channels of the coarse grid.
      features: C of F.
      hidden: width of the shared MLP.
      octaves, within: see `field.Spec`.
      feedback: the painter paints twice, the second time corrected by what the first came to, see
        `conditioning.corrected`.
    """

    tokens: int = 16
    width: int = 192
    depth: int = 3
    heads: int = 4
    weight_tokens: int = 8
    context: int = 16
    features: int = 64
    hidden: int = 64
    octaves: int = 4
    within: bool = False
    feedback: bool = True

    def __post_init__(self) -> None:
        """Raises ValueError for what cannot be built."""
        for name, value in dataclasses.asdict(self).items():
            least = {"octaves": 0, "within": 0, "feedback": 0}.get(name, 1)
            if value < least:
                raise ValueError(f"{name}: expected at least {least}, got {value}")
        if self.width % self.heads:
            raise ValueError(f"heads: expected a divisor of width, {self.width}, got {self.heads}")

    @property
    def spec(self) -> Spec:
        """What its fields must know."""
        return Spec(self.octaves, self.within)


@pytree
class Model:
    """Everything that the method needs: a pytree.

    Attributes:
      encoder: normalised VGG parameters up to ``conv4_1`` (see `jaxstyle.vgg.normalise`).
      params: what is learned, by part: ``transformer``, ``aim``, ``painter``, ``feedback`` (shares of the second look,
        see `conditioning.corrected`, and of what is painted in full style), and ``field``, of which ``base`` and ``up``
        are the shared parts of the features' matrix; of the paper's configuration ``transformer`` and ``field``.
      config, arch: static configuration; a `Whole` is the paper's.
      dtype: static, the type of the convolutions.
    """

    encoder: Params
    params: Params
    config: Config | Whole = static(default=Config())
    arch: vgg.Arch = static(default="vgg16")
    dtype: Any = static(default=jnp.float32)


class Style(NamedTuple):
    """What is kept of a style; all leaves (K, ...).

    Attributes:
      moments: of the layers that AdaIN changes, by tap; of the deepest one those that it shall get.
      target: of F_s.
      wanted: where ``moments`` are not those of the painting, what these are, by tap.
    """

    moments: dict[str, Moments]
    target: Moments
    wanted: dict[str, Moments]


# ---- parameters ----------------------------------------------------------------------------------------------


def nets(config: Config, arch: vgg.Arch = "vgg16", dtype: Any = jnp.float32) -> dict[str, Any]:
    """The networks of a configuration, by the names of their parameters."""
    from jaxstyle.methods.generalizable_inr.hyper import Painter, Transformer  # Flax is imported where it is needed
    from jaxstyle.nets.aim import Aim

    count = fields.inputs(config.spec, config.context)
    transformer = Transformer(config.width, config.depth, config.heads, config.weight_tokens, count, config.context)
    return {"transformer": transformer, "aim": Aim(), "painter": Painter(arch, dtype)}


def init(key: Array, model: Model) -> Params:
    """Fresh parameters. AdaIN over coordinates changes nothing yet: what is shown are the latent grids."""
    if isinstance(model.config, Whole):
        return whole.init(key, model.config)
    config = model.config
    maps = {tap: jnp.zeros((1, 16 >> i, 16 >> i, vgg.WIDTHS[i]), jnp.float32) for i, tap in enumerate(STYLE_TAPS)}
    seen = {
        "transformer": jnp.zeros((1, config.tokens**2, vgg.WIDTHS[3]), jnp.float32),
        "aim": {tap: Moments(*jnp.zeros((2, 1, f.shape[-1]), jnp.float32)) for tap, f in maps.items()},
        "painter": maps,
    }
    params: Params = {}
    for i, (name, net) in enumerate(nets(config, model.arch).items()):
        params[name] = net.init(jax.random.fold_in(key, i), seen[name])["params"]
    count, wide = fields.inputs(config.spec, config.context), config.features
    keys = jax.random.split(jax.random.fold_in(key, len(params)), 3)

    def normal(k: int, *shape: int) -> Array:
        return jax.random.normal(keys[k], shape, jnp.float32) / shape[0] ** 0.5

    params["field"] = {
        "base": normal(0, count, wide),
        "up": normal(1, config.weight_tokens, wide),
        "hidden": {"kernel": normal(2, wide + 3, config.hidden), "bias": jnp.zeros(config.hidden, jnp.float32)},
        "colours": {"kernel": jnp.zeros((config.hidden, 3), jnp.float32), "bias": jnp.zeros(3, jnp.float32)},
    }
    return params | (gains() if config.feedback else {})


def gains() -> Params:
    """The parameters of the second look before they are trained."""
    start: Params = {
        tap: {part: jnp.full(width, gain, jnp.float32) for part, gain in zip(Moments._fields, GAINS, strict=True)}
        for tap, width in zip(STYLE_TAPS, vgg.WIDTHS[: len(STYLE_TAPS)], strict=True)
    }
    return {"feedback": {**start, "full": jnp.float32(FULL)}}


def from_adain(key: Array, source: adain.Model, config: Config = Config()) -> Model:
    """A model that begins with what an AdaIN model has learned: its decoder and its aim. Where ``config`` has no second
    look it paints what that paints.

    Args:
      key: PRNG key, for what is fresh.
      source: see `jaxstyle.adain.load`.
      config: of the networks.

    Raises:
      ValueError: the AdaIN model is none of the plain ones.
    """
    if (source.fusion, source.norm) != ("adain", "none"):
        found = f"fusion {source.fusion!r} and norm {source.norm!r}"
        raise ValueError(f"source: expected fusion 'adain' and norm 'none', got {found}")
    learned = dict(source.decoder["params"])
    model = Model(source.encoder, {}, config, source.arch, source.dtype)
    params = init(key, model)
    params["aim"] = learned.pop("aim", params["aim"])
    params["painter"] |= learned
    return dataclasses.replace(model, params=params)


def with_feedback(model: Model, feedback: bool = True) -> Model:
    """The model with the parameters of the second look as they are before training, or without it.

    Args:
      model: with latent grids; shares that it has are given up.
      feedback: whether it looks twice.

    Raises:
      ValueError: it is one of the paper's configuration, which paints nothing.
    """
    if isinstance(model.config, Whole):
        raise ValueError("model: expected one with latent grids, got one of the paper's configuration")
    params = {name: part for name, part in model.params.items() if name != "feedback"}
    config = dataclasses.replace(model.config, feedback=feedback)
    return dataclasses.replace(model, params=params | (gains() if feedback else {}), config=config)


def local(model: Model) -> Config:
    """The configuration of a model with latent grids."""
    assert isinstance(model.config, Config)
    return model.config


# ---- the hypernetwork ----------------------------------------------------------------------------------------


def encode(model: Model, pictures: Image, *, size: Array | None = None) -> dict[str, Features]:
    """Features of VGG of pictures ``(N, H, W, 3)``; ``size``: (2,), of the pictures where they are smaller."""
    return vgg.encode(model, pictures, STYLE_TAPS, size=size)


def view(
    params: Params, model: Model, pictures: Image, maps: Maps, *, size: Array | None = None, extent: Array | None = None
) -> View:
    """What pictures alone decide, leaves ``(N, ...)``.

    Args:
      params: as `Model.params`; ``model.params`` are not looked at.
      model: the static configuration.
      pictures: ``(N, H, W, 3)``, H and W multiples of 8.
      maps: their features.
      size: (2,), up to where they are mirrored, where the arrays are larger.
      extent: (2,), width and height of what is to be shown of them, pixels; by default all.
    """
    config, count = local(model), len(pictures)
    shape = jnp.asarray(pictures.shape[1:3], jnp.int32) if size is None else jnp.asarray(size)
    extent = shape[::-1] if extent is None else extent
    # the tokens lie over what is shown
    tokens = pooled(maps["relu4_1"].astype(jnp.float32), config.tokens, extent[::-1] / STRIDE)
    net = nets(config, model.arch)["transformer"]
    vectors, context = net.apply({"params": params["transformer"]}, tokens.reshape(count, config.tokens**2, -1))
    context = context.reshape(count, config.tokens, config.tokens, config.context)
    matrix = params["field"]["base"][None] + jnp.einsum("nri,rc->nic", vectors, params["field"]["up"])
    extents = jnp.broadcast_to(jnp.asarray(extent, jnp.float32), (count, 2))
    return View(codes.analyse(pictures, size), context, matrix, extents)


def describe(params: Params, model: Model, maps: Maps, target: Moments, *, size: Array | None = None) -> Style:
    """What is kept of styles, of their features and the moments of F_s; ``size``: (2,), of the pictures, pixels."""
    found = statistics(maps, size)
    net = nets(local(model), model.arch)["aim"]
    last, told = STYLE_TAPS[-1], net.apply({"params": params["aim"]}, found)
    return Style({**found, last: told}, target, {last: found[last]})


def statistics(maps: Maps, size: Array | None = None) -> dict[str, Moments]:
    """Moments of the features; ``size``: (2,), of the pictures, pixels."""
    return {tap: moments(f, size=None if size is None else size // 2 ** (int(tap[4]) - 1)) for tap, f in maps.items()}


def restyle(maps: Maps, style: Mapping[str, Moments], own: Mapping[str, Moments]) -> dict[str, Features]:
    """AdaIN at every layer that the painter sees (Eq. 8 of arXiv:1703.06868)."""
    return {tap: with_moments(f, style[tap], source=own[tap]) for tap, f in maps.items()}


def paint(params: Params, model: Model, restyled: Maps, *, size: Array | None = None) -> Image:
    """The stylized pictures of which the latent grids are made; ``size``: (2,), of the pictures, pixels."""
    net = nets(local(model), model.arch, model.dtype)["painter"]
    size = None if size is None else size // STRIDE
    return net.apply({"params": params["painter"]}, restyled, size)  # type: ignore[no-any-return]


def shared(params: Params) -> Params:
    """The field's parameters that are the same for all pictures."""
    return {name: params["field"][name] for name in ("hidden", "colours")}
