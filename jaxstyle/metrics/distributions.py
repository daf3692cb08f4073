"""Distances of distributions: where a picture is like itself, which features it has, which colours.

Pictures, results and `Networks` are as in `jaxstyle.metrics.metrics`; lower is better, 0 = the same.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxstyle.arrays import Array, ArrayLike, Features
from jaxstyle.metrics.networks import Networks, as_batches, features
from jaxstyle.nets import losses

CFSD_TAP = "relu3_1"
REMD_TAPS = ("relu3_1", "relu4_1")
POSITIONS = 1024
"""Most positions of a layer that `remd` looks at, evenly spaced: STROTSS's number."""
PIXELS = 1 << 16
"""Most pixels that `histogram_distance` looks at, evenly spaced."""

_SUMMED = 128 * 128  # positions of relu3_1 in a picture of 512 x 512 pixels
_ROWS = 512  # positions of which the similarities to all others are in memory at once
_BINS, _REACH, _WIDTH = 64, 3.0, 0.02  # of the histogram's axes: how many, from -3 to 3, width of the kernel
_DARK = 1e-6  # added to a colour before its logarithm


def cfsd(networks: Networks, output: ArrayLike, content: ArrayLike) -> Array:
    """Content feature structural distance (Chung et al. 2024, *Style Injection in Diffusion*): is like still like like?

    Every position of relu3_1 has a distribution over all positions, the softmax of the products of its features with
    theirs, features divided by their number. The distance is the Kullback-Leibler divergence of the output's
    distribution from the photo's, in nats, the mean over positions times 128 x 128: the sum that the authors' code
    takes at their 512 x 512 pixels, whatever the size. Plain network, zero padding. The time grows with the square of
    the number of pixels.

    Args:
      networks: see `jaxstyle.metrics.metrics.load_networks`.
      output: pictures, at least 16 x 16 pixels.
      content: pictures of the same size.

    Raises:
      MetricsError: the sizes or numbers of pictures differ, or they are too small.

    Differs from the paper: VGG-16 instead of VGG-19, so that numbers are not those printed there.
    """
    batches, single = as_batches(output=output, content=content)
    f, g = (features(networks.plain, images, (CFSD_TAP,))[CFSD_TAP] for images in batches)
    return _each(_divergence, f, g, single)


def remd(networks: Networks, output: ArrayLike, style: ArrayLike) -> Array:
    """Relaxed earth mover's distance of features (STROTSS, arXiv:1904.12785): are there places that the painting lacks?

    `jaxstyle.losses.remd` between at most 1024 evenly spaced positions of each, the mean of relu3_1 and relu4_1. Plain
    network, zero padding.

    Args:
      networks: see `jaxstyle.metrics.metrics.load_networks`.
      output: pictures, at least 16 x 16 pixels.
      style: pictures of any such size.

    Raises:
      MetricsError: the numbers of pictures differ, or they are too small.

    Differs from the paper: layers apart instead of one vector of all layers at each position, and even positions
    instead of random ones.
    """
    batches, single = as_batches(same_size=False, output=output, style=style)
    f, g = (features(networks.plain, images, REMD_TAPS) for images in batches)
    return jnp.stack([_each(_moved, f[tap], g[tap], single) for tap in REMD_TAPS]).mean(0)


def histogram_distance(output: ArrayLike, style: ArrayLike) -> Array:
    """Hellinger distance of colour histograms (Afifi et al. 2021, arXiv:2011.11731, Eq. 1-3), in [0, 1].

    RGB-uv histograms: for red, green and blue the logarithms of its ratios to both others, in 64 x 64 bins from -3 to
    3, an inverse-quadratic kernel of width 0.02, pixels weighted by their brightness.

    Args:
      output: pictures.
      style: pictures of any size.

    Raises:
      MetricsError: the numbers of pictures differ.

    Differs from the paper: at most 65 536 evenly spaced pixels instead of a picture brought to 150 x 150.
    """
    batches, single = as_batches(same_size=False, least=1, output=output, style=style)
    pixels, others = (losses.sample_positions(None, images, PIXELS) for images in batches)
    return _each(_hellinger, pixels, others, single)


def _each(distance: jax.stages.Wrapped, f: Array, g: Array, single: bool) -> Array:
    """The distances of the pictures of two batches, of which one may have a single picture."""
    count = max(len(f), len(g))
    values = [distance(f[i % len(f)], g[i % len(g)]) for i in range(count)]
    return values[0] if single else jnp.stack(values)


@jax.jit
def _divergence(f: Features, g: Features) -> Array:
    """Divergence of the self-similarities of features (H, W, C) from those of others of the same shape."""
    own, others = (x.reshape(-1, x.shape[-1]) / x.shape[-1] for x in (f, g))

    def row(pair: tuple[Array, Array]) -> Array:
        found, wanted = (
            jnp.einsum("pc,c->p", x, v, precision=jax.lax.Precision.HIGHEST)
            for x, v in zip((own, others), pair, strict=True)
        )
        likely, off = jax.nn.softmax(wanted), found - wanted
        off -= (likely * off).sum()  # of mean 0: what is left is of second order, and not lost in rounding
        return jnp.log1p((likely * (jnp.expm1(off) - off)).sum())

    return _SUMMED * jax.lax.map(row, (own, others), batch_size=_ROWS).mean()


@jax.jit
def _moved(f: Features, g: Features) -> Array:
    return losses.remd(*(losses.sample_positions(None, x[None], POSITIONS) for x in (f, g)))


@jax.jit
def _hellinger(pixels: Array, others: Array) -> Array:
    """Distance of the histograms of pixels (P, 3)."""
    roots = [jnp.sqrt(_histogram(x)) for x in (pixels, others)]
    return jnp.sqrt(jnp.square(roots[0] - roots[1]).sum() / 2)


def _histogram(pixels: Array) -> Array:
    """The RGB-uv histogram of pixels (P, 3): (3, 64, 64) with the sum 1; without any light it is even."""
    centres = jnp.asarray(np.linspace(-_REACH, _REACH, _BINS), jnp.float32)
    logs = jnp.log(pixels + _DARK)
    light = jnp.sqrt(jnp.square(pixels).sum(-1)) + _DARK
    near = partial(_nearness, centres)
    planes = []
    for i in range(3):
        u, v = (near(logs[:, i] - logs[:, j]) for j in range(3) if j != i)
        planes.append(jnp.einsum("p,pu,pv->uv", light, u, v, precision=jax.lax.Precision.HIGHEST))
    found = jnp.stack(planes)
    return found / found.sum()


def _nearness(centres: Array, values: Array) -> Array:
    """How near values (P,) are to each centre: (P, 64)."""
    return 1 / (1 + jnp.square((values[:, None] - centres[None]) / _WIDTH))
