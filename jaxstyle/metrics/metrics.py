"""What the tables of style transfer papers measure: how much style arrived, and how much of the photo is left.

Pictures are ``(H, W, 3)`` or batches ``(N, H, W, 3)``, float in [0, 1] or unsigned integers; where one side has
one picture it is compared with every picture of the other. A result is float32, one number per picture: ``()``
if all were single pictures, else ``(N,)``. Everything is computed in full float32, on every device.

The frozen network is an argument, `Networks`, from `load_networks`. Each metric sees the pictures through it as
its source does: plain or normalised, with zero or reflect padding; its docstring says how.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxstyle.arrays import Array, ArrayLike, Features
from jaxstyle.metrics.networks import LPIPS_TAPS, as_batches, features, lpips_distance
from jaxstyle.metrics.networks import SMALLEST as SMALLEST
from jaxstyle.metrics.networks import MetricsError as MetricsError
from jaxstyle.metrics.networks import Networks as Networks
from jaxstyle.metrics.networks import load_networks as load_networks
from jaxstyle.metrics.networks import lpips as lpips
from jaxstyle.metrics.temporal import lpips_by_lag as lpips_by_lag
from jaxstyle.metrics.temporal import temporal_lpips as temporal_lpips
from jaxstyle.metrics.temporal import warping_error as warping_error
from jaxstyle.nets import vgg
from jaxstyle.nets.stats import EPS, gram, moments

MOMENT_TAPS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")  # Eq. 13 of arXiv:1703.06868
GRAM_TAPS = (*MOMENT_TAPS, "relu5_1")
SHALLOW_TAPS = ("relu1_1", "relu1_2", "relu2_1", "relu2_2", "relu3_1")  # the "shallow ReLU" set of INR-st
CONTENT_TAP = "relu4_1"
ALPHAS = (0.0, 0.25, 0.5, 0.75, 1.0)  # of `disentanglement`

_WINDOW, _SIGMA = 11, 1.5  # of SSIM


def _result(values: Array, single: bool) -> Array:
    return values[0] if single else values


# ---- pixels ------------------------------------------------------------------------------------------------


def psnr(a: ArrayLike, b: ArrayLike) -> Array:
    """Peak signal-to-noise ratio, ``-10 log10(mean((a - b)^2))`` in dB; infinite for equal pictures.

    Args:
      a: pictures.
      b: pictures of the same size.

    Raises:
      MetricsError: the sizes or numbers of pictures differ.
    """
    (x, y), single = as_batches(least=1, a=a, b=b)
    return _result(_psnr(x, y), single)


@jax.jit
def _psnr(x: Array, y: Array) -> Array:
    return -10 * jnp.log10(jnp.square(x - y).mean((1, 2, 3)))


def ssim(a: ArrayLike, b: ArrayLike) -> Array:
    """Structural similarity (Wang et al. 2004), 1 for equal pictures: the mean over red, green, blue and all windows.

    Gaussian windows of 11 x 11, sigma 1.5, that lie wholly inside; biased variances; K1 = 0.01, K2 = 0.03: what
    scikit-image computes with ``gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1``.

    Args:
      a: pictures, at least 11 x 11 pixels.
      b: pictures of the same size.

    Raises:
      MetricsError: the sizes or numbers of pictures differ, or they are too small.
    """
    (x, y), single = as_batches(least=_WINDOW, a=a, b=b)
    return _result(_ssim(x, y), single)


def _window_means(x: Array) -> Array:
    """Gaussian means over all whole windows: (N, H, W, C) -> (N, H - 10, W - 10, C)."""
    bell = np.exp(-0.5 * (np.arange(_WINDOW) - _WINDOW // 2) ** 2 / _SIGMA**2)
    taps = [float(tap) for tap in bell / bell.sum()]
    h, w = x.shape[1] - _WINDOW + 1, x.shape[2] - _WINDOW + 1
    rows = taps[0] * x[:, :h]
    for i, tap in enumerate(taps[1:], 1):
        rows += tap * x[:, i : i + h]
    rows = jax.lax.optimization_barrier(rows)  # or each of its values would be computed eleven times over
    means = taps[0] * rows[:, :, :w]
    for i, tap in enumerate(taps[1:], 1):
        means += tap * rows[:, :, i : i + w]
    return means


@jax.jit
def _ssim(x: Array, y: Array) -> Array:
    x, y = x - 0.5, y - 0.5  # changes no variance, but makes its rounding error smaller
    mx, my = _window_means(x), _window_means(y)
    vx, vy = _window_means(x * x) - mx * mx, _window_means(y * y) - my * my
    covariance = _window_means(x * y) - mx * my
    mx, my, c1, c2 = mx + 0.5, my + 0.5, 0.01**2, 0.03**2
    similarity = (2 * mx * my + c1) * (2 * covariance + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2))
    return similarity.mean((1, 2, 3))


# ---- style and content -------------------------------------------------------------------------------------


@partial(jax.jit, static_argnames="taps")
def _gram_squares(f: dict[str, Features], g: dict[str, Features], taps: tuple[str, ...]) -> Array:
    """Squared Frobenius distances of Gram matrices divided by C H W: (taps, N)."""
    return jnp.stack([jnp.square(gram(f[tap]) - gram(g[tap])).sum((1, 2)) for tap in taps])


@partial(jax.jit, static_argnames=("eps", "reduce"))
def _moment_squares(f: dict[str, Features], g: dict[str, Features], eps: float, reduce: Callable[..., Array]) -> Array:
    """Squared differences of channel means plus those of deviations, their mean or sum over channels: (taps, N)."""
    pairs = [(moments(f[tap], eps=eps), moments(g[tap], eps=eps)) for tap in MOMENT_TAPS]
    return jnp.stack([reduce(jnp.square(a.mean - b.mean) + jnp.square(a.std - b.std), -1) for a, b in pairs])


def gram_distance(networks: Networks, a: ArrayLike, b: ArrayLike, *, pool: vgg.Pool = "avg") -> Array:
    """Distance of Gram matrices (Tables 2 and 4 of INR-st): the sum over five layers of their Frobenius distances.

    Layers relu1_1, relu1_2, relu2_1, relu2_2, relu3_1; plain network, zero padding. Every Gram matrix is divided by
    C H W; no other factor (the paper does not print its own).

    Args:
      networks: see `load_networks`.
      a: pictures, at least 16 x 16 pixels.
      b: pictures of any such size.
      pool: the network's pooling; INR-st's has ``"avg"``.

    Raises:
      MetricsError: the numbers of pictures differ, or they are too small.
    """
    batches, single = as_batches(same_size=False, a=a, b=b)
    f, g = (features(networks.plain, images, SHALLOW_TAPS, pool=pool) for images in batches)
    return _result(jnp.sqrt(_gram_squares(f, g, SHALLOW_TAPS)).sum(0), single)


def style_loss(networks: Networks, output: ArrayLike, style: ArrayLike) -> Array:
    """Distance of channel means and deviations from the style's (Eq. 13 of arXiv:1703.06868; its Fig. 3).

    `jaxstyle.losses.style_loss` per picture: over relu1_1, relu2_1, relu3_1, relu4_1 the sum of the mean squared
    differences of the means and of the deviations; normalised network, reflect padding.

    Args:
      networks: see `load_networks`.
      output: pictures, at least 16 x 16 pixels.
      style: pictures of any such size.

    Raises:
      MetricsError: the numbers of pictures differ, or they are too small.

    Differs from the paper: squared norms, as in its authors' code.
    """
    batches, single = as_batches(same_size=False, output=output, style=style)
    f, g = (features(networks.normalised, images, MOMENT_TAPS, padding="reflect") for images in batches)
    return _result(_moment_squares(f, g, EPS, jnp.mean).sum(0), single)


def gram_style_loss(networks: Networks, output: ArrayLike, style: ArrayLike) -> Array:
    """Distance of Gram matrices from the style's over relu1_1 .. relu5_1 (Table 2 of Style Kernels, which follows WCT).

    The sum of squared Frobenius distances, Gram matrices divided by C H W (each is four times Eq. 4 of Gatys et al.
    2016); normalised network, reflect padding. Neither paper prints the factor of its numbers.

    Args:
      networks: see `load_networks`.
      output: pictures, at least 32 x 32 pixels.
      style: pictures of any such size.

    Raises:
      MetricsError: the numbers of pictures differ, or they are too small.
    """
    batches, single = as_batches(same_size=False, least=2 * SMALLEST, output=output, style=style)
    f, g = (features(networks.normalised, images, GRAM_TAPS, padding="reflect") for images in batches)
    return _result(_gram_squares(f, g, GRAM_TAPS).sum(0), single)


def content_loss(networks: Networks, output: ArrayLike, content: ArrayLike) -> Array:
    """Mean squared difference of relu4_1 from the photo's (the content loss of Fig. 3 of arXiv:1703.06868).

    Normalised network, reflect padding.

    Args:
      networks: see `load_networks`.
      output: pictures, at least 16 x 16 pixels.
      content: pictures of the same size.

    Raises:
      MetricsError: the sizes or numbers of pictures differ, or they are too small.
    """
    batches, single = as_batches(output=output, content=content)
    f, g = (features(networks.normalised, images, (CONTENT_TAP,), padding="reflect") for images in batches)
    return _result(jnp.square(f[CONTENT_TAP] - g[CONTENT_TAP]).mean((1, 2, 3)), single)


def style_ratios(networks: Networks, content: ArrayLike, style: ArrayLike, output: ArrayLike) -> dict[str, Array]:
    """``style_ratio`` and ``gram_ratio`` of `scores`, for pictures of any sizes.

    Args:
      networks: see `load_networks`.
      content: photos, at least 16 x 16 pixels.
      style, output: paintings and stylized pictures of any such size.

    Raises:
      MetricsError: numbers of pictures do not fit, or they are too small.
    """
    batches, single = as_batches(same_size=False, content=content, style=style, output=output)
    taps = tuple(dict.fromkeys(MOMENT_TAPS + SHALLOW_TAPS))
    found = _style_ratios(*(features(networks.plain, images, taps) for images in batches))
    return {name: _result(values, single) for name, values in found.items()}


@jax.jit
def _style_ratios(c: dict[str, Features], s: dict[str, Features], o: dict[str, Features]) -> dict[str, Array]:
    """From the features of content, style and output."""
    statistics = [_moment_squares(f, s, 0.0, jnp.sum) for f in (o, c)]
    grams = [_gram_squares(f, s, SHALLOW_TAPS) for f in (o, c)]
    return {
        "style_ratio": (statistics[0] / (statistics[1] + 1e-9)).mean(0),
        "gram_ratio": (grams[0] / (grams[1] + 1e-12)).mean(0),
    }


def scores(networks: Networks, content: ArrayLike, style: ArrayLike, output: ArrayLike) -> dict[str, Array]:
    """Four numbers that compare methods over photos and paintings of every kind; lower is better.

    The ratios are relative to what the photo itself would get. Plain network, zero padding, max pooling:

    * ``style_ratio``: squared distance of channel means plus that of deviations from the style's, of the output
      relative to the photo's own, mean of relu1_1, relu2_1, relu3_1, relu4_1; 0 = perfect, 1 = untouched;
    * ``gram_ratio``: the same with Gram matrices of relu1_1, relu1_2, relu2_1, relu2_2, relu3_1;
    * ``content_ratio``: squared distance of instance-normalised relu4_1 from the photo's, relative to its squared
      norm; 0 = kept, about 2 = nothing in common; recolouring alone costs little;
    * ``lpips``: see `lpips`, between output and photo.

    Args:
      networks: see `load_networks`.
      content: photos, at least 16 x 16 pixels.
      style: paintings of any such size.
      output: stylized pictures of the photos' size.

    Raises:
      MetricsError: sizes or numbers of pictures do not fit, or they are too small.
    """
    as_batches(content=content, output=output)
    batches, single = as_batches(same_size=False, content=content, style=style, output=output)
    taps = tuple(dict.fromkeys(MOMENT_TAPS + SHALLOW_TAPS + LPIPS_TAPS))
    found = _scores(networks, *(features(networks.plain, images, taps) for images in batches))
    return {name: _result(values, single) for name, values in found.items()}


@jax.jit
def _scores(
    networks: Networks, c: dict[str, Features], s: dict[str, Features], o: dict[str, Features]
) -> dict[str, Array]:
    """From the features of content, style and output."""

    def normalised(f: Features) -> Features:
        mean, std = moments(f, eps=0.0)
        return (f - mean[:, None, None]) / (std[:, None, None] + 1e-5)

    photo, found = normalised(c[CONTENT_TAP]), normalised(o[CONTENT_TAP])
    return {
        **_style_ratios(c, s, o),
        "content_ratio": jnp.square(found - photo).sum((1, 2, 3)) / jnp.square(photo).sum((1, 2, 3)),
        "lpips": lpips_distance(networks, o, c),
    }


# ---- controls ----------------------------------------------------------------------------------------------


class Controllability(NamedTuple):
    """How much pixels change when only a neighbour is stylized, in steps of 255; 0 = not at all."""

    to_reconstruction: float
    to_content: float


def pixel_controllability(
    key: Array, render: Callable[[Array], ArrayLike], content: ArrayLike, *, distance: int = 1, pixels: int = 16
) -> Controllability:
    """What the style of one pixel does to those around it (Table 3 of INR-st).

    A random pixel alone is rendered with alpha = 1. On the ring of pixels ``distance`` away from it (in the maximum
    norm: 8 of them at distance 1) the mean absolute difference, times 255, is taken from the rendering with alpha = 0
    everywhere, and from the photo. The former is 0 for every method that computes pixels apart; the latter is
    then its error of reconstruction.

    Args:
      key: draws the pixels.
      render: takes a map of alpha ``(H, W)`` and returns the picture ``(H, W, 3)`` in [0, 1]; called once more than
        there are pixels.
      content: the photo ``(H, W, 3)``.
      distance: of the ring, in pixels.
      pixels: how many random pixels to average over; drawn among those whose ring lies in the picture.

    Raises:
      MetricsError: an argument is out of range, or ``render`` returns a picture of another size.
    """
    (photo, *_), single = as_batches(least=1, content=content)
    _, height, width, _ = photo.shape
    if not single or distance < 1 or pixels < 1 or min(height, width) <= 2 * distance:
        found = f"content {np.shape(content)}, distance {distance}, pixels {pixels}"
        raise MetricsError(f"{found}: expected (H, W, 3) with sides over 2 distances, and at least 1 of the others")
    margins = jnp.asarray([[distance, distance]])
    ends = jnp.asarray([[height - distance, width - distance]])
    places = np.asarray(jax.random.randint(key, (pixels, 2), margins, ends, jnp.int32))
    plain = jnp.zeros((height, width), jnp.float32)
    (photo, base), _ = as_batches(least=1, content=content, render=render(plain))
    ring = np.ones((2 * distance + 1, 2 * distance + 1, 1), np.float32)
    ring[1:-1, 1:-1] = 0
    sums = np.zeros(2)
    for y, x in places:
        window = np.s_[0, y - distance : y + distance + 1, x - distance : x + distance + 1]
        (_, touched), _ = as_batches(least=1, content=content, render=render(plain.at[y, x].set(1.0)))
        off = [np.abs(np.asarray(touched[window]) - np.asarray(other[window])) * ring for other in (base, photo)]
        sums += [255 * float(d.sum()) / (3 * ring.sum()) for d in off]
    return Controllability(*(float(value) for value in sums / pixels))


class Disentanglement(NamedTuple):
    """How photo and style give way to each other along alpha; K renderings."""

    psnr: Array  # (K,) dB to the photo
    gram: Array  # (K,) `gram_distance` to the style
    psnr_steps: Array  # (K - 1,) absolute differences of neighbours
    gram_steps: Array  # (K - 1,)


def disentanglement(networks: Networks, content: ArrayLike, style: ArrayLike, renders: ArrayLike) -> Disentanglement:
    """PSNR to the photo and Gram distance to the style along alpha, and how much each step changes (INR-st, Table 4).

    Larger steps between neighbouring alphas mean that content and style are better told apart.

    Args:
      networks: see `load_networks`.
      content: the photo ``(H, W, 3)``, at least 16 x 16 pixels.
      style: the painting ``(H', W', 3)``.
      renders: ``(K, H, W, 3)``, the photo stylized with ascending alpha, the paper's with `ALPHAS`.

    Raises:
      MetricsError: the pictures do not fit, or there are fewer than two renderings.

    Differs from the paper: alpha = 0 is the photo here, and full style there: its columns are in reversed order.
    """
    if np.ndim(content) != 3 or np.ndim(style) != 3 or np.ndim(renders) != 4 or len(renders) < 2:
        found = ", ".join(str(np.shape(x)) for x in (content, style, renders))
        raise MetricsError(f"content, style, renders: shapes {found}; expected (H, W, 3) twice and (K, H, W, 3), K > 1")
    kept, left = psnr(content, renders), gram_distance(networks, renders, style)
    return Disentanglement(kept, left, jnp.abs(jnp.diff(kept)), jnp.abs(jnp.diff(left)))


# ---- all at once -------------------------------------------------------------------------------------------


def measure(networks: Networks, content: ArrayLike, style: ArrayLike, output: ArrayLike) -> dict[str, Array]:
    """Everything that can be said of a photo, a painting and what was made of them, by name of the function.

    Args:
      networks: see `load_networks`.
      content: photos, at least 32 x 32 pixels.
      style: paintings of any such size.
      output: stylized pictures of the photos' size.

    Returns:
      ``psnr``, ``ssim`` and ``content_loss`` to the photo, ``style_loss``, ``gram_distance`` and ``gram_style_loss`` to
      the painting, and the four of `scores`.

    Raises:
      MetricsError: sizes or numbers of pictures do not fit, or they are too small.
    """
    return {
        "psnr": psnr(content, output),
        "ssim": ssim(content, output),
        **scores(networks, content, style, output),
        "content_loss": content_loss(networks, output, content),
        "style_loss": style_loss(networks, output, style),
        "gram_distance": gram_distance(networks, output, style),
        "gram_style_loss": gram_style_loss(networks, output, style),
    }
