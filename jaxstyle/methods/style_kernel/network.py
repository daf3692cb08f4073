"""The networks of Dynamic Style Kernels: configuration, parameters, encoder and decoder."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import struct

from jaxstyle.arrays import Array, Features, Image, Params
from jaxstyle.methods import adain
from jaxstyle.nets import vgg
from jaxstyle.nets.aim import Aim
from jaxstyle.nets.convolutions import Conv3x3, conv3x3, inner, mirror, ring, upsample2x
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


@struct.dataclass
class Model:
    """Everything that the method needs to stylize: a pytree.

    Attributes:
      encoder: normalised VGG parameters up to ``conv4_1`` (see `jaxstyle.vgg.normalise`).
      params: what is learned, by part: ``query``, ``key``, ``value``, ``psi``, ``phi``, ``aim``, ``decoder``, as far as
        the configuration has them, ``sharpness`` ``(G,)``, of which it is the logarithm, and ``gain`` ``(2, C)``.
      config, arch: static configuration.
      dtype: static, the type of convolutions and attention; statistics are float32 anyway.
    """

    encoder: Params
    params: Params
    config: Config = struct.field(pytree_node=False, default=Config())
    arch: vgg.Arch = struct.field(pytree_node=False, default="vgg16")
    dtype: Any = struct.field(pytree_node=False, default=jnp.float32)


# ---- parts -------------------------------------------------------------------------------------------------


class Block(nn.Module):
    """A convolution of 3x3, reflect padding, or 1x1.

    Attributes:
      features: number of output channels.
      near: 3x3, else 1x1.
      fresh: initialiser of the kernel.
      bias: initialiser of the bias.
      dtype: of the computation.
    """

    features: int
    near: bool = True
    fresh: nn.initializers.Initializer = nn.initializers.he_normal()
    bias: nn.initializers.Initializer = nn.initializers.zeros
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Features, size: Array | None = None) -> Features:
        """``(N, H, W, C)`` -> ``(N, H, W, features)``; ``size``: (2,), of the picture, see `convolutions.mirror`."""
        side = 3 if self.near else 1
        kernel = self.param("kernel", self.fresh, (side, side, x.shape[-1], self.features), jnp.float32)
        bias = self.param("bias", self.bias, (self.features,), jnp.float32)
        kernel, bias, x = (part.astype(self.dtype) for part in (kernel, bias, x))
        if self.near:
            return inner(conv3x3(mirror(ring(x), size), kernel, bias, padding="zero"))
        return jnp.einsum("nhwc,cd->nhwd", x, kernel[0, 0]) + bias[None, None, None]


def _delta(key: Array, shape: Sequence[int], dtype: Any = jnp.float32) -> Array:
    """The kernel that changes nothing, (k, k, C, C)."""
    del key
    kernel = jnp.zeros(shape, dtype)
    return kernel.at[shape[0] // 2, shape[1] // 2].set(jnp.eye(shape[2], shape[3], dtype=dtype))


class Psi(nn.Module):
    """psi: what the gate of every position and head is like: ``(N, H, W, C)`` -> T ``(N, H, W, G)``.

    ``T = 2 sigmoid(gamma) + tanh(beta) / 2`` in units of a row's mean, which is 1 over the number of positions. At the
    start it is below 0: the gate is open.

    Differs from the paper: there ``T = gamma A_r + beta`` without bounds, so that beta would mean something else at
    each size of the style; gamma and beta beyond these bounds open or close everything, and then have no gradient.
    """

    config: Config
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Features, size: Array | None = None) -> Array:
        """``size``: (2,), of the picture."""
        config = self.config
        for i in range(2):
            x = nn.relu(Block(config.watch, i < config.far, dtype=self.dtype, name=f"block{i}")(x, size))
        zeros = nn.initializers.zeros
        found = Block(2 * config.heads, config.far > 2, zeros, zeros, self.dtype, name="block2")(x, size)
        gamma, beta = jnp.split(found.astype(jnp.float32), 2, axis=-1)
        return 2 * nn.sigmoid(gamma - 2) + jnp.tanh(beta - 1) / 2


class Phi(nn.Module):
    """phi: from the aligned style to a k x 1 and a 1 x k kernel and a bias for every position and channel.

    All are differences to what changes nothing, and zero at the start.
    """

    config: Config
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Features, size: Array | None = None) -> tuple[Array, Array, Array]:
        """``(N, H, W, C')`` -> F1 and F2 ``(N, H, W, k, C)``, B ``(N, H, W, C)``, float32."""
        config = self.config
        fresh = _delta if x.shape[-1] == config.hidden else nn.initializers.he_normal()
        x = nn.relu(Block(config.hidden, fresh=fresh, dtype=self.dtype, name="block0")(x, size))
        k, zeros = config.kernels, nn.initializers.zeros
        found = Block((2 * k + 1) * CHANNELS, config.wide, zeros, zeros, self.dtype, name="block1")(x, size)
        found = found.astype(jnp.float32).reshape(*x.shape[:3], 2 * k + 1, CHANNELS)
        return found[..., :k, :], found[..., k : 2 * k, :], found[..., 2 * k, :]


class ResidualDecoder(nn.Module):
    """The decoder of Table 4: residual blocks that halve the channels, nearest up-sampling, tanh.

    Differs from the paper: the sum's other side, whose channels are twice as many, is a 1x1 convolution; tanh is mapped
    to [0, 1]. Convolutions are those of VGG's mirror, with reflect padding.
    """

    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Features, *, size: Array | None = None) -> Image:
        """``(N, H, W, C)`` -> ``(N, 8 H, 8 W, 3)`` in [0, 1]; ``size``: (2,), of the picture in ``x``."""
        x = x.astype(self.dtype)
        for i in range(3):
            width = CHANNELS >> (i + 1)
            beside = Block(width, False, dtype=self.dtype, name=f"beside{i}")(x)
            y = Conv3x3(width, upsample=i > 0, dtype=self.dtype, name=f"conv{2 * i}")(ring(nn.relu(x)), size)
            if i > 0:
                beside, size = upsample2x(beside), None if size is None else 2 * size
            x = beside + inner(Conv3x3(width, dtype=self.dtype, name=f"conv{2 * i + 1}")(nn.relu(y), size))
        found = inner(Conv3x3(3, upsample=True, dtype=self.dtype, name="conv6")(ring(nn.relu(x)), size))
        return (jnp.tanh(found.astype(jnp.float32)) + 1) / 2


def parts(config: Config, arch: vgg.Arch = "vgg16", dtype: Any = jnp.float32) -> dict[str, nn.Module]:
    """The networks of a configuration, by the names of their parameters."""
    project = Block(CHANNELS, config.near, _delta, dtype=dtype)
    found: dict[str, nn.Module] = {"query": project, "key": project}
    if config.values:
        found["value"] = Block(CHANNELS, True, _delta, dtype=dtype)
    if config.gated:
        found["psi"] = Psi(config, dtype)
    if config.kernels:
        found["phi"] = Phi(config, dtype)
    if config.aim:
        found["aim"] = Aim()
    mirror_of_vgg = adain.Decoder(arch, dtype=dtype)
    found["decoder"] = mirror_of_vgg if config.decoder == "mirror" else ResidualDecoder(dtype)
    return found


def init(key: Array, model: Model) -> Params:
    """Fresh parameters for a model's configuration."""
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


# ---- encoder and decoder -----------------------------------------------------------------------------------


def encode(
    model: Model, images: Image, taps: Sequence[str] = ("relu4_1",), *, size: Array | None = None
) -> dict[str, Features]:
    """``{tap: (N, H', W', C)}`` of images ``(N, H, W, 3)`` at least 16 pixels high and wide.

    ``size``: (2,), height and width of the pictures where ``images`` are larger, see `jaxstyle.vgg.features`.

    Raises:
      ValueError: ``images`` are too small or no images, or a tap is unknown.
    """
    net, dtype = model.encoder, model.dtype
    return vgg.features(net, images, taps, arch=model.arch, padding="reflect", dtype=dtype, size=size)


def decode(params: Params, model: Model, z: Features, *, size: Array | None = None) -> Image:
    """Features ``(N, H, W, 512)`` -> images ``(N, 8 H, 8 W, 3)``, not clipped.

    Args:
      params: as `Model.params`; ``model.params`` are not looked at.
      model: the static configuration.
      z: see `transform`.
      size: (2,), height and width of the picture in ``z`` where it is smaller.
    """
    net = parts(model.config, model.arch, model.dtype)["decoder"]
    return net.apply({"params": params["decoder"]}, z, size=size)  # type: ignore[return-value]
