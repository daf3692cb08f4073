"""A method of the tests, in one module: blurred pictures in the colours of a painting. It has what AdaIN has not: a
stride of 4, features of two sizes, margins that differ, pixels of the window in what it paints.

It takes part in the whole library by a line in `jaxstyle.methods.METHODS` and a weight file.
"""

from __future__ import annotations

import os
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxstyle import weights
from jaxstyle.arrays import Array, ArrayLike
from jaxstyle.methods import interface
from jaxstyle.methods.interface import Needs, Window

STRIDE, SMALLEST = 4, 4


@struct.dataclass
class Model:
    """kernel: (3,), weights of a pixel's neighbours in a blur; gain: (3,), of the channels' deviations."""

    kernel: Array
    gain: Array


class Style(NamedTuple):
    """Statistics of the colours of K paintings."""

    mean: Array  # (K, 3)
    std: Array  # (K, 3)


class Features(NamedTuple):
    """A blurred window at two sizes."""

    coarse: Array  # (1, h / 4, w / 4, 3)
    fine: Array  # (1, h / 2, w / 2, 3)


class Survey(NamedTuple):
    """What painting must know of the whole picture."""

    positions: Array
    mean: Array
    squares: Array


def init(seed: int = 0) -> Model:
    """A model with random parameters."""
    rng = np.random.default_rng(seed)
    return Model(jnp.asarray(rng.dirichlet(np.ones(3)), jnp.float32), jnp.asarray(rng.uniform(0.5, 1, 3), jnp.float32))


def needs(model: Model) -> Needs:
    """Facts for planning."""
    return Needs(STRIDE, SMALLEST, (8, 4), windowed=True, mixes=True, bytes_per_pixel=64, style_bytes=24)


def _blur(model: Model, x: Array, size: Array) -> Array:
    """Each row and column with its neighbours; the last of ``size`` is repeated."""
    for axis in (1, 2):
        at = jnp.arange(x.shape[axis])
        near = [jnp.take(x, jnp.clip(at + d, 0, size[axis - 1] - 1), axis) for d in (-1, 0, 1)]
        x = sum(k * part for k, part in zip(model.kernel, near, strict=True))  # type: ignore[assignment]
    return x


def _pool(x: Array, by: int) -> Array:
    n, h, w, c = x.shape
    return x.reshape(n, h // by, by, w // by, by, c).mean((2, 4))


def _enlarge(x: Array, by: int) -> Array:
    return jnp.repeat(jnp.repeat(x, by, 1), by, 2)


def encode_style(model: Model, pictures: ArrayLike, extents: np.ndarray) -> Style:
    """Mean and deviation of the colours of each picture."""
    found = [p[: e[0], : e[1]].reshape(-1, 3) for p, e in zip(np.asarray(pictures), np.asarray(extents), strict=True)]
    return Style(jnp.stack([f.mean(0) for f in found]), jnp.stack([f.std(0) for f in found]))


def encode(model: Model, window: Window) -> Features:
    """The blurred window at a quarter and at half of its size."""
    x = _blur(model, window.pixels, interface.inside(window, STRIDE, SMALLEST))
    return Features(_pool(x, 4), _pool(x, 2))


def survey(model: Model, features: Features, style: Style, window: Window) -> Survey:
    """The statistics of the coarse features at a window's core."""
    x = features.coarse[0]
    top, bottom, left, right = (jnp.asarray(window.core) - jnp.repeat(jnp.asarray(window.corner), 2)) // STRIDE
    ys, xs = jnp.arange(x.shape[0])[:, None, None], jnp.arange(x.shape[1])[None, :, None]
    counted = (ys >= top) & (ys < bottom) & (xs >= left) & (xs < right)
    mean = x.mean((0, 1), where=counted)
    squares = jnp.square(x - mean[None, None]).sum((0, 1), where=counted)
    return Survey(counted.sum(dtype=jnp.float32), mean, squares)


def merge(a: Survey, b: Survey) -> Survey:
    """The statistics of both, in float64."""
    (n, mean, squares), (m, other, more) = (tuple(np.asarray(leaf, np.float64) for leaf in s) for s in (a, b))
    step = other - mean
    return Survey(n + m, mean + step * m / (n + m), squares + more + step**2 * n * m / (n + m))


def paint(model: Model, features: Features, style: Style, found: Survey, window: Window) -> Array:
    """The coarse features in the painting's colours, enlarged, and some of the window's detail."""
    shares = jnp.asarray(window.shares)
    mean, std = (jnp.einsum("nhwk,kc->nhwc", shares, s) for s in style)
    own = jnp.sqrt(found.squares / found.positions + 1e-4)
    rest = 1 - shares.sum(-1, keepdims=True)
    coarse = features.coarse
    own_mean, own_std, gain = (leaf[None, None, None] for leaf in (found.mean, own, model.gain))
    target = rest * coarse + mean + (coarse - own_mean) / own_std * std * gain
    size = interface.inside(window, STRIDE, SMALLEST)
    out = _blur(model, _enlarge(target, 4), size)
    detail = window.pixels - _enlarge(features.fine, 2)
    return out + 0.25 * detail


def save(path: str | os.PathLike[str], model: Model, **metadata: str) -> None:
    """Writes the weight file of a model."""
    arrays = {"kernel": np.asarray(model.kernel, np.float16), "gain": np.asarray(model.gain, np.float32)}
    weights.save(path, arrays, {"kind": "recolour", **metadata})


def load(source: str = "recolour") -> Model:
    """The model of a weight file."""
    file = weights.load(source, kind="recolour")
    if set(file.arrays) != {"kernel", "gain"}:
        raise weights.WeightsError(f"{source}: its arrays are not those of this method")
    return Model(*(jnp.asarray(file.arrays[name], jnp.float32) for name in ("kernel", "gain")))


METHOD = interface.Method(
    kind="recolour",
    model=Model,
    load=load,
    save=save,
    needs=needs,
    encode_style=encode_style,
    encode=encode,
    survey=survey,
    merge=merge,
    paint=paint,
    style_of=lambda leaves: Style(*leaves),
)
