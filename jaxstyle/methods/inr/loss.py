"""The objective of INR-st (arXiv:2210.07762): what a fit minimises, Eq. 4 to 8 and their ablations."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

import jax
import jax.numpy as jnp
from flax import struct

from jaxstyle import weights
from jaxstyle.arrays import Array, ArrayLike, Features, Image, Params, as_images
from jaxstyle.methods.inr.network import InrParams, evaluate_sparse
from jaxstyle.methods.inr.rendering import CHUNK, render_grid
from jaxstyle.nets import coords as places
from jaxstyle.nets import vgg
from jaxstyle.nets.losses import content_loss, gram_loss, style_loss
from jaxstyle.nets.stats import Moments, gram, moments

TapSet = Literal["shallow_relu", "shallow_conv", "deep_relu", "deep_conv"]
StyleStatistic = Literal["gram", "mean_std"]
Reweighting = Literal["exponential", "exponential_eq5", "polynomial", "none"]
Sampling = Literal["uniform", "exponential", "fixed"]

CLIP = 1e-6
_LAYERS = {  # of Fig. 18, by VGG's own names: the style's, and the one the content is compared at
    "shallow": (("1_1", "1_2", "2_1", "2_2", "3_1"), "2_2"),
    "deep": (("1_1", "2_1", "3_1", "4_1", "5_1"), "4_1"),
}


@dataclass(frozen=True)
class Loss:
    """What is minimised; the defaults are the paper's, the rest its ablations.

    Attributes:
      taps: layers of the style loss (Fig. 18), before or after the ReLU.
      style: compare Gram matrices (Eq. 8), or means and deviations as AdaIN does (Fig. 8).
      content_weight, style_weight: lambda of Eq. 7 and 8 (Fig. 7 and 17).
      pixel_weight: of a mean squared difference to the photo's pixels beside the content loss; not in the paper.
      reweighting: f of Eq. 6: ``"exponential"`` as in the authors' code, ``"exponential_eq5"`` as Eq. 5 is printed,
        ``"polynomial"``, or ``"none"``, which is Eq. 4 (Fig. 16); see `reweight`.
      kappa: exponent of f.
      sampling: distribution of a, the share of content: ``"uniform"`` in (0, 1), ``"exponential"`` with density
        proportional to ``exp(-rate a)`` on it, or ``"fixed"`` (Fig. 15).
      rate: of the exponential distribution.
      fixed: the fixed a.
      arch: ``"vgg16"`` or ``"vgg19"``.
      dtype: name of the type of VGG's convolutions and of the network's hidden layers.
    """

    taps: TapSet = "shallow_relu"
    style: StyleStatistic = "gram"
    content_weight: float = 1.0
    style_weight: float = 1e5
    pixel_weight: float = 0.0
    reweighting: Reweighting = "exponential"
    kappa: float = 1.0
    sampling: Sampling = "uniform"
    rate: float = 3.0
    fixed: float = 0.5
    arch: vgg.Arch = "vgg16"
    dtype: Literal["float32", "bfloat16"] = "float32"

    def __post_init__(self) -> None:
        """Raises ValueError naming the option that is none."""
        choices = {"taps": TapSet, "style": StyleStatistic, "reweighting": Reweighting, "sampling": Sampling}
        choices |= {"arch": vgg.Arch, "dtype": Literal["float32", "bfloat16"]}
        for name, accepted in choices.items():
            if getattr(self, name) not in get_args(accepted):
                raise ValueError(
                    f"{name}: expected one of {', '.join(get_args(accepted))}, got {getattr(self, name)!r}"
                )
        for name in ("content_weight", "style_weight", "pixel_weight"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name}: expected a number of at least 0, got {getattr(self, name)}")
        for name in ("kappa", "rate"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name}: expected a positive number, got {getattr(self, name)}")
        if not 0 <= self.fixed <= 1:
            raise ValueError(f"fixed: expected a number in [0, 1], got {self.fixed}")

    @property
    def style_taps(self) -> tuple[str, ...]:
        """Names of the layers of the style loss, such as ``relu1_1``."""
        depth, kind = self.taps.split("_")
        return tuple(kind + layer for layer in _LAYERS[depth][0])

    @property
    def content_tap(self) -> str:
        """Name of the layer of the content loss."""
        depth, kind = self.taps.split("_")
        return kind + _LAYERS[depth][1]

    def features(self, encoder: Params, images: Image, taps: tuple[str, ...]) -> dict[str, Features]:
        """VGG as the authors use it, with zero padding and average pooling: ``{tap: (N, H', W', C)}``."""
        dtype = jnp.dtype(self.dtype)
        return vgg.features(encoder, images, taps, arch=self.arch, padding="zero", pool="avg", dtype=dtype)


def load_encoder(source: str = "vgg16", loss: Loss = Loss()) -> tuple[Params, vgg.Arch]:
    """VGG as it was trained, as deep as ``loss`` asks for.

    Args:
      source: the name of shipped weights, or a file that ``jaxstyle convert-vgg`` wrote.
      loss: its layers are looked at; its ``arch`` is what this function finds.

    Returns:
      ``(params, arch)``.

    Raises:
      WeightsError: the file is missing, damaged, or not VGG.
    """
    file = weights.load(source, kind="vgg")
    arch: vgg.Arch = file.metadata.get("arch")  # type: ignore[assignment]
    try:
        return vgg.from_arrays(file.arrays, arch, through=f"conv{loss.style_taps[-1][4:]}"), arch
    except ValueError as error:
        raise weights.WeightsError(f"{source}: {error}") from None


@struct.dataclass
class Targets:
    """What pictures are compared with, from `targets`: a pytree.

    Attributes:
      photo: ``(H, W, 3)``, the content's pixels; its size is that at which pictures are rendered.
      content: its features, ``(1, H', W', C)``.
      style: ``{tap: (1, C, C)}`` Gram matrices, or ``{tap: Moments}``.
    """

    photo: Image
    content: Features
    style: dict[str, Array | Moments]


def targets(encoder: Params, content: ArrayLike, style: ArrayLike, loss: Loss = Loss()) -> Targets:
    """Everything that `objective` needs of a pair, computed once.

    Args:
      encoder: VGG's parameters as trained (not normalised), as deep as ``loss`` asks for.
      content: ``(H, W, 3)``, in [0, 1] or unsigned integers, at the size at which pictures will be rendered.
      style: ``(H', W', 3)``, of any size.
      loss: the options.

    Returns:
      `Targets`.

    Raises:
      ValueError: a picture is none, or too small for the layers; ``encoder`` is not deep enough.
    """
    pictures, deepest = {}, loss.style_taps[-1]
    least = 2 ** (int(deepest[4]) - 1)
    for name, value in (("content", content), ("style", style)):
        pictures[name], single = as_images(value, name)
        if not single:
            raise ValueError(f"{name}: expected one picture (H, W, 3), got shape {value.shape}")
        if min(value.shape[:2]) < least:
            raise ValueError(
                f"{name}: expected at least {least} x {least} pixels for {deepest}, got shape {value.shape}"
            )
    return _targets(encoder, pictures["content"], pictures["style"], loss)


@partial(jax.jit, static_argnames=("loss",))
def _targets(encoder: Params, content: Image, style: Image, loss: Loss) -> Targets:
    found = loss.features(encoder, content, (loss.content_tap,))[loss.content_tap]
    statistic = gram if loss.style == "gram" else moments
    looks = loss.features(encoder, style, loss.style_taps)
    return Targets(content[0], found, {tap: statistic(f) for tap, f in looks.items()})


def reweight(x: ArrayLike, kind: Reweighting = "exponential", kappa: float = 1.0) -> Array:
    """f of Eq. 6: how much a term counts that has the share x of the mixture.

    ``exponential``: ``-x^kappa log(1 - x)`` (the authors' code), ``exponential_eq5``: ``-x log(1 - x^kappa)`` (Eq. 5;
    equal at kappa = 1), ``polynomial``: ``x^kappa``, ``none``: ``x`` (Eq. 4).

    Args:
      x: in [0, 1]; clipped to [1e-6, 1 - 1e-6], between which every f and its gradient are finite.
      kind: which of them.
      kappa: positive.

    Returns:
      float32 of the shape of x.
    """
    x = jnp.clip(jnp.asarray(x, jnp.float32), CLIP, 1 - CLIP)
    if kind == "exponential":
        return -(x**kappa) * jnp.log1p(-x)
    if kind == "exponential_eq5":
        return -x * jnp.log(-jnp.expm1(kappa * jnp.log(x)))  # 1 - x^kappa without its rounding to 0
    if kind == "polynomial":
        return x**kappa
    if kind == "none":
        return x
    raise ValueError(f"reweighting: expected one of {', '.join(get_args(Reweighting))}, got {kind!r}")


def sample_alpha(key: Array, loss: Loss = Loss(), count: int = 1) -> Array:
    """Degrees of style for one step (Algorithm 1, and Fig. 15 for the ablations).

    Args:
      key: decides them.
      loss: says how a, the share of content, is distributed.
      count: how many. Of two or more, the second half are the first half's mirror images, ``1 - alpha`` (antithetic:
        a step then sees both ends).

    Returns:
      ``(count,)``, degrees of style, ``1 - a``.
    """
    u = jax.random.uniform(key, ((count + 1) // 2,), jnp.float32)
    if loss.sampling == "uniform":
        a = u
    elif loss.sampling == "exponential":
        a = -jnp.log1p(u * math.expm1(-loss.rate)) / loss.rate  # the inverse of its distribution function
    else:
        a = jnp.full_like(u, loss.fixed)
    return jnp.concatenate([1 - a, a])[:count]


def objective(
    params: InrParams,
    encoder: Params,
    pair: Targets,
    alpha: float | ArrayLike,
    loss: Loss = Loss(),
    *,
    gradient_at: Array | None = None,
) -> tuple[Array, dict[str, Array]]:
    """The loss of one step of test-time training (Eq. 6 to 8): f(a) Lc + f(1 - a) Ls of the picture at one alpha.

    Lc is the mean squared difference of features at one layer, Ls the sum over layers of the mean squared difference of
    Gram matrices divided by C H W, each times its weight.

    Args:
      params: ``params.network`` is what is optimised; the latents stay as they are drawn.
      encoder: the VGG that ``pair`` was made with.
      pair: from `targets`.
      alpha: degree of style, a scalar, from `sample_alpha`; the paper's a is ``1 - alpha``.
      loss: the options.
      gradient_at: ``(n,)`` places in the picture's raster order: let the gradient go through these points only, times
        H W / n. The loss is the same. With places drawn evenly the gradient is right on average, and a step costs about
        as much as evaluating the network once for all points and thrice for these, instead of thrice for all.

    Returns:
      ``(loss, terms)``: ``content`` and ``style`` as they are before weights and reweighting, and ``pixels`` where it
      has a weight.

    Raises:
      ValueError: ``alpha`` is an array of several.
    """
    alpha = jnp.asarray(alpha, jnp.float32)
    if alpha.ndim:
        raise ValueError(f"alpha: expected one number, got shape {alpha.shape}; jax.vmap takes several")
    height, width = pair.photo.shape[:2]
    x, y = (jnp.asarray(places.axis(size), jnp.float32) for size in (width, height))
    dtype = jnp.dtype(loss.dtype)
    chunk = CHUNK.get(jax.default_backend(), height * width)
    if gradient_at is None:
        picture = render_grid(params, x, y, alpha, chunk=chunk, dtype=dtype)
    else:
        picture = render_grid(jax.lax.stop_gradient(params), x, y, alpha, chunk=chunk, dtype=dtype)
        some = evaluate_sparse(params, x, y, alpha, gradient_at, dtype=dtype)
        change = (some - jax.lax.stop_gradient(some)) * (
            height * width / gradient_at.shape[0]
        )  # 0, but for its gradient
        picture = picture.reshape(-1, 3).at[gradient_at].add(change).reshape(picture.shape)
    found = loss.features(encoder, picture[None], (*loss.style_taps, loss.content_tap))
    looks = {tap: found[tap] for tap in loss.style_taps}
    terms = {
        "content": content_loss(found[loss.content_tap], pair.content),
        "style": gram_loss(looks, pair.style) if loss.style == "gram" else style_loss(looks, pair.style),  # type: ignore[arg-type]
    }
    content = loss.content_weight * terms["content"]
    if loss.pixel_weight:
        terms["pixels"] = jnp.square(picture - pair.photo).mean()
        content += loss.pixel_weight * terms["pixels"]
    of_content, of_style = (reweight(share, loss.reweighting, loss.kappa) for share in (1 - alpha, alpha))
    return of_content * content + of_style * loss.style_weight * terms["style"], terms
