"""The networks of Dynamic Style Kernels: configuration, parameters, encoder and decoder."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any, Literal

import jax
import jax.numpy as jnp

from jaxstyle.arrays import Array, Features, Image, Params, pytree, static
from jaxstyle.methods import adain
from jaxstyle.nets import vgg
from jaxstyle.nets.stats import Moments

CHANNELS = 512  # of relu4_1
STYLE_TAPS = adain.STYLE_TAPS
_SHARPNESS = 10.0  # a of Eq. 1 at the start; at 20 a position looks at a few others only


@dataclasses.dataclass(frozen=True)
class Config:
    """What a model is made of; static. `lite` and `paper` make one, `dataclasses.replace` the rows of an ablation.

    Attributes:
      heads: G, of the attention; each has its part of the channels.
      near: whether query and key are 3x3 convolutions (the paper's), else 1x1.
      values: whether the values are a 3x3 convolution of the style's features (the paper's), else these themselves.
      base: what the kernels start from: ``"painting"``, the moments of the whole painting, to which attention adds by a
        learned gain that starts at 0; ``"attended"``, the attended moments.
      kernels: k of Eq. 6, odd; 0: no kernels (without SK in Table 5).
      hidden: width between the two blocks of phi.
      wide: whether phi's second block is 3x3 (the paper's), else 1x1.
      content: whether phi sees the content beside the aligned style, which is all it sees in the paper.
      gated: whether attention is gated (CGM).
      watch: width of the two inner blocks of psi.
      far: how many of psi's three blocks are 3x3, the others 1x1.
      normalised: whether the weights that the gate leaves are normalised again; in the paper they are not.
      shuffled: whether training shuffles the content's groups of channels (GS).
      decoder: ``"mirror"``: AdaIN's; ``"residual"``: Table 4.
      aim: whether the painting's moments get a correction learned from those of all its layers, see `Aim`.
      growth: sharpness is proportional to log(number of style positions) to this power, 1 at 1024 positions.
      positions: of a style, at most; of a larger one so many are taken evenly.
      block: content positions at a time, where there are many pairs of positions.
    """

    heads: int = 8
    near: bool = True
    values: bool = True
    base: Literal["painting", "attended"] = "attended"
    kernels: int = 3
    hidden: int = 512
    wide: bool = True
    content: bool = False
    gated: bool = True
    watch: int = 512
    far: int = 3
    normalised: bool = False
    shuffled: bool = True
    decoder: Literal["mirror", "residual"] = "residual"
    aim: bool = False
    growth: float = 1.0
    positions: int = 4096
    block: int = 64

    def __post_init__(self) -> None:
        """Raises ValueError for what cannot be built."""
        if self.heads < 1 or CHANNELS % self.heads:
            raise ValueError(f"heads: expected a divisor of {CHANNELS}, got {self.heads}")
        if self.kernels != 0 and (self.kernels < 0 or self.kernels % 2 == 0):
            raise ValueError(f"kernels: expected 0 or an odd size, got {self.kernels}")
        for name, accepted in (("base", ("painting", "attended")), ("decoder", ("mirror", "residual"))):
            if getattr(self, name) not in accepted:
                wanted = " or ".join(map(repr, accepted))
                raise ValueError(f"{name}: expected {wanted}, got {getattr(self, name)!r}")
        for name in ("hidden", "watch", "positions", "block"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, got {getattr(self, name)}")
        if not 0 <= self.far <= 3:
            raise ValueError(f"far: expected 0 to 3 blocks, got {self.far}")


def paper() -> Config:
    """As in the paper, 33 million parameters. It starts as AdaIN with attended moments, before a fresh decoder."""
    return Config()


def lite() -> Config:
    """6 million parameters, on top of AdaIN: it starts as the AdaIN model that it is made of (`from_adain`)."""
    return Config(
        near=False,
        values=False,
        base="painting",
        hidden=128,
        wide=False,
        content=True,
        watch=64,
        far=1,
        normalised=True,
        shuffled=False,
        decoder="mirror",
        aim=True,
    )


@pytree
class Model:
    """Everything that the method needs to stylize: a pytree.

    Attributes:
      encoder: normalised VGG parameters up to ``conv4_1`` (see `jaxstyle.vgg.normalise`).
      params: what is learned, by part: ``query``, ``key``, ``value``, ``psi``, ``phi``, ``aim``, ``decoder``, as far as
        the configuration has them, ``sharpness`` ``(G,)``, of which it is the logarithm, and ``gain`` ``(2, C)``.
      config, arch: static configuration.
      full: static, in (0, 1]: what a degree of style of 1 is, a part of the way from the content's features to the
        style's; the paper's is 1.
      dtype: static, the type of convolutions and attention; statistics are float32 anyway.
    """

    encoder: Params
    params: Params
    config: Config = static(default=Config())
    arch: vgg.Arch = static(default="vgg16")
    dtype: Any = static(default=jnp.float32)
    full: float = static(default=1.0)


# ---- parameters ----------------------------------------------------------------------------------------------


def init(key: Array, model: Model) -> Params:
    """Fresh parameters for a model's configuration."""
    from jaxstyle.methods.style_kernel.parts import parts

    features = jnp.zeros((1, 2, 2, CHANNELS), jnp.float32)
    none = {tap: Moments(*jnp.zeros((2, 1, vgg.WIDTHS[i]), jnp.float32)) for i, tap in enumerate(STYLE_TAPS)}
    seen: dict[str, Any] = {"aim": none}
    if model.config.content:
        seen["phi"] = jnp.concatenate([features, features], axis=-1)
    params: Params = {}
    for i, (name, net) in enumerate(parts(model.config, model.arch).items()):
        params[name] = net.init(jax.random.fold_in(key, i), seen.get(name, features))["params"]
    params["sharpness"] = jnp.full(model.config.heads, jnp.log(_SHARPNESS), jnp.float32)
    if model.config.base == "painting":
        params["gain"] = jnp.zeros((2, CHANNELS), jnp.float32)
    return params


def expected(model: Model) -> Params:
    """The shapes and types of what `init` returns, worked out: tracing it takes as long as painting a small picture."""
    config = model.config
    found: dict[str, dict[str, tuple[int, ...]]] = {}

    def block(name: str, side: int, inputs: int, features: int) -> None:
        found[name] = {"kernel": (side, side, inputs, features), "bias": (features,)}

    def side(near: bool) -> int:
        return 3 if near else 1

    for name in ("query", "key"):
        block(name, side(config.near), CHANNELS, CHANNELS)
    if config.values:
        block("value", 3, CHANNELS, CHANNELS)
    if config.gated:
        widths = (CHANNELS, config.watch, config.watch, 2 * config.heads)
        for i, (inputs, features) in enumerate(itertools.pairwise(widths)):
            block(f"psi.block{i}", side(i < config.far), inputs, features)
    if config.kernels:
        block("phi.block0", 3, (1 + config.content) * CHANNELS, config.hidden)
        block("phi.block1", side(config.wide), config.hidden, (2 * config.kernels + 1) * CHANNELS)
    if config.decoder == "residual":
        for i in range(3):
            inputs, width = CHANNELS >> i, CHANNELS >> (i + 1)
            block(f"decoder.beside{i}", 1, inputs, width)
            block(f"decoder.conv{2 * i}", 3, inputs, width)
            block(f"decoder.conv{2 * i + 1}", 3, width, width)
        block("decoder.conv6", 3, CHANNELS >> 3, 3)
    of_adain = adain.decoder_shapes(adain.Model({}, {}, model.arch, aim="learned"))["params"]
    params: Params = {}
    aim = of_adain.pop("aim")
    params |= {"aim": aim} if config.aim else {}
    params |= {"decoder": of_adain} if config.decoder == "mirror" else {}
    for name, parts in found.items():
        *above, last = name.split(".")
        node = params
        for part in above:
            node = node.setdefault(part, {})
        node[last] = parts
    params["sharpness"] = (config.heads,)
    params |= {"gain": (2, CHANNELS)} if config.base == "painting" else {}
    return jax.tree.map(
        lambda shape: jax.ShapeDtypeStruct(shape, jnp.float32), params, is_leaf=lambda node: isinstance(node, tuple)
    )


def from_adain(key: Array, source: adain.Model, config: Config) -> Model:
    """A model that begins with what an AdaIN model has learned: its decoder and, if it has one, its aim.

    With `lite` it paints what AdaIN paints.

    Args:
      key: PRNG key, for what is fresh.
      source: see `jaxstyle.adain.load`.
      config: with ``decoder="mirror"``.

    Raises:
      ValueError: the configuration has another decoder, or no aim where there is one, or the AdaIN model is none of the
        plain ones.
    """
    if config.decoder != "mirror":
        raise ValueError(f"config: AdaIN's decoder is the mirror of VGG, not {config.decoder!r}")
    if (source.fusion, source.norm) != ("adain", "none"):
        found = f"fusion {source.fusion!r} and norm {source.norm!r}"
        raise ValueError(f"source: expected fusion 'adain' and norm 'none', got {found}")
    learned = dict(source.decoder["params"])
    aim = learned.pop("aim", None)
    if aim is not None and not config.aim:
        raise ValueError("config: the AdaIN model has a learned aim, which aim=True takes over")
    model = Model(source.encoder, {}, config, source.arch, source.dtype)
    params = jax.jit(init)(key, model)
    if aim is not None:
        params["aim"] = aim
    return dataclasses.replace(model, params={**params, "decoder": learned})


# ---- decoder -------------------------------------------------------------------------------------------------


def decode(params: Params, model: Model, z: Features, *, size: Array | None = None) -> Image:
    """Features ``(N, H, W, 512)`` -> images ``(N, 8 H, 8 W, 3)``, not clipped.

    Args:
      params: as `Model.params`; ``model.params`` are not looked at.
      model: the static configuration.
      z: see `transform`.
      size: (2,), height and width of the picture in ``z`` where it is smaller.
    """
    from jaxstyle.methods.style_kernel.parts import parts  # Flax is imported where something is traced

    net = parts(model.config, model.arch, model.dtype)["decoder"]
    return net.apply({"params": params["decoder"]}, z, size=size)  # type: ignore[return-value]
