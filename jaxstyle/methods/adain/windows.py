"""AdaIN on windows of a picture: what `jaxstyle.methods.interface.Method` asks for.

It looks at a picture as a whole only through the mean and deviation of its features: they are its survey.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxstyle.arrays import Array, ArrayLike, Features, Image, Params
from jaxstyle.methods.adain.fusion import Place, mix
from jaxstyle.methods.adain.inference import stack
from jaxstyle.methods.adain.network import (
    SMALLEST,
    STRIDE,
    STYLE_TAPS,
    Model,
    Style,
    decode,
    describe,
    style_taps,
)
from jaxstyle.methods.interface import Adaptable, Needs, Objective, Window, inside, reach
from jaxstyle.nets import vgg
from jaxstyle.nets.stats import EPS, Moments
from jaxstyle.runtime import programs


class Survey(NamedTuple):
    """What painting must know of the whole picture: its content features' statistics.

    Attributes:
      positions: (), how many.
      mean: ``(C,)``.
      squares: ``(C,)``, summed squares of the deviations from the mean.
    """

    positions: Array
    mean: Array
    squares: Array


def _margins(arch: vgg.Arch) -> tuple[int, int]:
    """What the encoder and the decoder see beyond a pixel, in pixels, whole positions.

    Every 3x3 convolution of VGG's block b looks ``2**(b-1)`` pixels further; 2x2 pooling stays inside the position.
    VGG-16: 2*1 + 2*2 + 3*4 + 1*8 = 26 pixels beyond its own 8x8, VGG-19: 30. Both are 4 positions.

    From the pixels back the decoder has two 3x3 convolutions at full and two at half resolution, as many as VGG's third
    block has at a quarter, one at an eighth; going to half the resolution halves the distance, rounded up: 4 positions.
    """
    seen = sum(n << block for block, n in enumerate((*vgg.BLOCKS[arch][:3], 1)))
    reached = 0
    for convolutions in (2, 2, vgg.BLOCKS[arch][2], 1):
        reached = -(-reached // 2) + convolutions
    return -(-seen // STRIDE) * STRIDE, reached * STRIDE


def needs(model: Model) -> Needs:
    """Facts for planning. Memory: two feature maps of 64 channels (620 to 800 bytes a pixel measured)."""
    return Needs(
        stride=STRIDE,
        smallest=SMALLEST,
        margins=_margins(model.arch),
        windowed=model.norm != "instance",  # which looks at the whole picture
        mixes=model.fusion == "adain",
        bytes_per_pixel=800,
        style_bytes=4 * (1024 if model.fusion == "adain" else 64 * 64 * 512),
    )


@jax.jit
def _encode_styles(model: Model, images: Array, size: Array) -> Style:
    size = jnp.maximum(size, SMALLEST)
    return describe(model, vgg.encode(model, images, style_taps(model), size=size), size=size)


def encode_padded_styles(model: Model, pictures: ArrayLike, extents: np.ndarray) -> Style:
    """`encode_style` of K pictures in larger arrays, which sizes share; see `jaxstyle.methods.interface.Method`."""
    found = []
    for picture, extent in zip(pictures, extents, strict=True):
        laid, size = np.asarray(picture)[None], np.asarray(extent, np.int32)
        style = programs.run("style-adain", _encode_styles, model, laid, size, build=style_of, rare=True)
        if style.features is not None:
            rows, columns = (max(int(side), SMALLEST) // STRIDE for side in extent)
            style = style.replace(features=style.features[:, :rows, :columns])  # type: ignore[attr-defined]
        found.append(style)
    return found[0] if len(found) == 1 else stack(found)


def style_of(leaves: Sequence[np.ndarray]) -> Style:
    """The style of its arrays: mean, deviation and, of models that concatenate, features."""
    arrays: Sequence[Any] = leaves
    mean, std, *features = arrays
    return Style(Moments(mean, std), *features)


def encode_window(model: Model, window: Window) -> Features:
    """f(c) of a window: ``(1, h / 8, w / 8, 512)``."""
    return vgg.encode(model, window.pixels, size=inside(window, STRIDE, SMALLEST))["relu4_1"]


def survey(model: Model, features: Features, style: Style, window: Window) -> Survey:
    """The statistics of the features at a window's core."""
    del model, style
    x = features[0].astype(jnp.float32)
    core = jnp.asarray(window.core, jnp.int32).reshape(2, 2) - jnp.asarray(window.corner, jnp.int32)[:, None]
    (top, bottom), (left, right) = core // STRIDE
    rows, columns = (jnp.arange(n, dtype=jnp.int32) for n in x.shape[:2])
    ys, xs = rows[:, None, None], columns[None, :, None]
    counted = (ys >= top) & (ys < bottom) & (xs >= left) & (xs < right)
    count = counted.sum(dtype=jnp.float32)
    mean = x.mean((0, 1), where=counted)
    deviations = jnp.square(x - mean[None, None])  # two passes: exact also where mean >> std
    return Survey(count, mean, deviations.sum((0, 1), where=counted))


def merge(a: Survey, b: Survey) -> Survey:
    """The statistics of both, in float64 (Chan, Golub & LeVeque 1979)."""
    (n, mean, squares), (m, other, more) = (jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), s) for s in (a, b))
    step = other - mean
    return Survey(n + m, mean + step * (m / (n + m)), squares + more + step**2 * (n * m / (n + m)))  # type: ignore[arg-type]


def paint(model: Model, features: Features, style: Style, found: Survey, window: Window) -> Image:
    """Fuses with the statistics of the whole picture, and decodes: ``(1, h, w, 3)``, not clipped."""
    own = Moments(found.mean[None], jnp.sqrt(found.squares / found.positions + EPS)[None])
    grid = reach(jnp.asarray(window.extent), STRIDE, SMALLEST) // STRIDE
    place = Place(jnp.asarray(window.corner) // STRIDE, grid)
    t = mix(model, features, style, jnp.asarray(window.shares), source=own, place=place)
    return decode(model, t, size=inside(window, STRIDE, SMALLEST) // STRIDE)


def _judged(model: Model, pictures: ArrayLike, size: ArrayLike) -> dict[str, Features]:
    return vgg.encode(model, jnp.asarray(pictures), STYLE_TAPS, size=jnp.asarray(size))


OBJECTIVE = Objective(_judged, style=STYLE_TAPS, content="relu4_1", weight=1.4, bytes_per_pixel=5000)
"""What decoders are trained for in the end: structure, and moments relative to the photo's."""


def part(model: Model) -> Params:
    """The decoder's convolutions: what can be fitted to a painting. Normalisation and aim stay as they are."""
    return {name: found for name, found in model.decoder["params"].items() if name.startswith("conv")}


def replaced(model: Model, part: Params) -> Model:
    """A model with other convolutions in its decoder."""
    decoder = {**model.decoder, "params": {**model.decoder["params"], **part}}
    return dataclasses.replace(model, decoder=decoder)


ADAPTABLE = Adaptable(part, replaced)
