"""Dynamic Style Kernels on windows of a picture: what `jaxstyle.methods.interface.Method` asks for.

Of the picture as a whole painting must know the mean and deviation of its features, as AdaIN does. A style is looked at
once: its keys and values serve every window, so that windows have no seams.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxstyle.arrays import Array, ArrayLike, Features, Image, Params
from jaxstyle.methods import adain
from jaxstyle.methods.adain import SMALLEST, STRIDE, Survey, merge
from jaxstyle.methods.interface import Adaptable, Needs, Objective, Window, inside
from jaxstyle.methods.style_kernel.attention import Keys
from jaxstyle.methods.style_kernel.network import CHANNELS, STYLE_TAPS, Config, Model, decode
from jaxstyle.methods.style_kernel.transform import Style, describe, mix
from jaxstyle.nets.stats import EPS, Moments
from jaxstyle.nets.vgg import encode
from jaxstyle.runtime import programs

__all__ = [
    "ADAPTABLE",
    "OBJECTIVE",
    "Survey",
    "encode_styles",
    "encode_window",
    "merge",
    "needs",
    "paint",
    "style_of",
    "survey",
]


def _reached(config: Config) -> int:
    """How many positions around it have an influence on what the decoder sees at a position.

    The row kernel looks k // 2 positions to the side, at what a column kernel made there; that comes from phi, phi from
    the aligned style, which comes from query and psi. What column kernels look at lies inside of that.
    """
    asked = max(int(config.near), config.far if config.gated else 0)
    return config.kernels // 2 + 1 + int(config.wide) + asked if config.kernels else asked


def needs(model: Model) -> Needs:
    """Facts for planning. Margins of encoder and decoder are AdaIN's: those of Table 4 look as far as VGG-16's mirror.

    Memory: that of the decoder, as AdaIN; what the kernels take, 64 pixels a position, is less.
    """
    config = model.config
    of_encoder, of_decoder = adain.needs(adain.Model({}, {}, model.arch)).margins
    return Needs(
        stride=STRIDE,
        smallest=SMALLEST,
        margins=(of_encoder, of_decoder + _reached(config) * STRIDE),
        windowed=True,
        mixes=True,
        bytes_per_pixel=1000,
        style_bytes=4 * (config.positions * 2 + 4) * CHANNELS,
    )


@jax.jit
def _encode_style(model: Model, images: Array, size: Array) -> Style:
    size = jnp.maximum(size, SMALLEST)
    features = encode(model, images, STYLE_TAPS if model.config.aim else STYLE_TAPS[-1:], size=size)
    return describe(model.params, model, features, size=size, positions=model.config.positions)


def encode_styles(model: Model, pictures: ArrayLike, extents: np.ndarray) -> Style:
    """K pictures in larger arrays, which sizes share; see `jaxstyle.methods.interface.Method`."""
    found = [
        programs.run(
            "style-style_kernel",
            _encode_style,
            model,
            np.asarray(picture)[None],
            np.asarray(extent, np.int32),
            build=style_of,
            rare=True,
        )
        for picture, extent in zip(pictures, extents, strict=True)
    ]
    return found[0] if len(found) == 1 else jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *found)


def style_of(leaves: Sequence[Array]) -> Style:
    """The style of its arrays: three of the keys, mean and deviation of its own, and of the target."""
    return Style(Keys(*leaves[:3]), Moments(*leaves[3:5]), Moments(*leaves[5:]))


def encode_window(model: Model, window: Window) -> Features:
    """Z_c of a window: ``(1, h / 8, w / 8, 512)``."""
    return encode(model, window.pixels, size=inside(window, STRIDE, SMALLEST))["relu4_1"]


def survey(model: Model, features: Features, style: Style, window: Window) -> Survey:
    """The statistics of the features at a window's core; AdaIN's."""
    return adain.survey(model, features, style, window)  # type: ignore[arg-type]


def paint(model: Model, features: Features, style: Style, found: Survey, window: Window) -> Image:
    """Aligns, makes and applies the kernels, and decodes: ``(1, h, w, 3)``, not clipped."""
    own = Moments(found.mean[None], jnp.sqrt(found.squares / found.positions + EPS)[None])
    size = inside(window, STRIDE, SMALLEST) // STRIDE
    z = mix(model, features, style, jnp.asarray(window.shares), source=own, size=size)
    return decode(model.params, model, z, size=size)


def _judged(model: Model, pictures: ArrayLike, size: ArrayLike) -> dict[str, Features]:
    return encode(model, jnp.asarray(pictures), STYLE_TAPS, size=jnp.asarray(size))


OBJECTIVE: Objective = adain.OBJECTIVE._replace(features=_judged)
"""AdaIN's, of this model's encoder."""


def part(model: Model) -> Params:
    """The decoder and, if there are kernels, phi: what can be fitted to a painting."""
    return {name: model.params[name] for name in ("decoder", "phi") if name in model.params}


def replaced(model: Model, part: Params) -> Model:
    """A model with another decoder and another phi."""
    return dataclasses.replace(model, params={**model.params, **part})


ADAPTABLE = Adaptable(part, replaced)
