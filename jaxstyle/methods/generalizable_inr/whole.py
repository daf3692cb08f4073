"""The paper's own configuration: one matrix for a whole picture.

A ViT sees patches of the picture at one size, with weight tokens. What comes out at these is the low-rank,
instance-specific part of the weights of the second layer of a coordinate MLP (TransINR, arXiv:2208.02801; Instance
Pattern Composers, arXiv:2211.13223); everything else is shared. F are the outputs of that layer: content and style
features are "combined using the coordinates (x, y) and passed through AdaIN" (Eq. 1), then the rest of the MLP renders.

It has no latent of a place, and is as sharp as 64 vectors and long training make it: the works it is taken from train
42 million parameters for days on four accelerators.

Differs from the paper, which leaves them open: sizes are those of the works it cites; the statistics of AdaIN are those
of a fixed grid of 32 x 32 places; the degree of style interpolates between F_c and what AdaIN makes of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from jaxstyle.arrays import Array, Image, Params, pytree, static
from jaxstyle.methods.generalizable_inr.field import REFERENCE, dense, lifted
from jaxstyle.methods.generalizable_inr.tokens import pooled
from jaxstyle.nets import coords as places
from jaxstyle.nets.stats import EPS, Moments

if TYPE_CHECKING:
    from jaxstyle.methods.generalizable_inr.hyper import Transformer


@dataclass(frozen=True)
class Whole:
    """What the networks of the paper's configuration are made of.

    Attributes:
      view: side of what the ViT sees, pixels; patch: of its tokens.
      width, depth, heads: of the ViT.
      weight_tokens: the rank of the instance matrix.
      octaves: frequencies of the Fourier features, ``pi 2^k`` over the picture.
      hidden: width of the MLP.
      layers: of that width.
    """

    view: int = 128
    patch: int = 8
    width: int = 256
    depth: int = 6
    heads: int = 8
    weight_tokens: int = 64
    octaves: int = 8
    hidden: int = 256
    layers: int = 5

    def __post_init__(self) -> None:
        """Raises ValueError for what cannot be built."""
        least = {"layers": 2}
        for name, value in vars(self).items():
            if value < least.get(name, 1):
                raise ValueError(f"{name}: expected at least {least.get(name, 1)}, got {value}")
        for name, of, part in (("view", self.view, self.patch), ("width", self.width, self.heads)):
            if of % part:
                raise ValueError(f"{name}: expected a multiple of {part}, got {of}")


@pytree
class WholeField:
    """A conditioned picture of the paper's configuration: a pytree that `jaxstyle.render` turns into colours.

    Attributes:
      shared: ``{"layer0": {kernel, bias}, "bias": (C,), "layer2": ..., "colours": {kernel, bias}}``.
      matrix: ``(C, C)``, of the second layer, the photo's.
      own, target: moments ``(C,)`` of F_c and of F_s over the reference grid.
      spec: static, the configuration.
      size: static, (width, height) in pixels of the photo.
    """

    shared: Params
    matrix: Array
    own: Moments
    target: Moments
    spec: Whole = static(default=Whole())
    size: tuple[int, int] = static(default=(256, 256))

    @property
    def several(self) -> str:
        """What shows that these are several pictures stacked; empty for one."""
        return "" if jnp.ndim(self.matrix) == 2 else f"matrices of shape {jnp.shape(self.matrix)}"

    @property
    def axes(self) -> WholeField:
        """What `jax.vmap` takes as ``in_axes`` for pictures of one batch."""
        return WholeField(None, 0, 0, 0, self.spec, self.size)  # type: ignore[arg-type]

    def view(self, zoom: float | Array | None) -> None:
        """It is the same at all zooms."""

    def at_points(self, coords: Array, alpha: Array, dtype: Any = jnp.float32, seen: None = None) -> Array:
        """Colours ``(..., 3)`` in [0, 1] of ``(..., 2)`` with degrees of style ``()`` or ``(...)``."""
        scale = self.target.std / self.own.std
        change = scale, self.target.mean - self.own.mean * scale
        found = features(self.shared, self.matrix, self.spec, coords)
        return jnp.clip(colours(self.shared, self.spec, found, alpha, change, dtype), 0, 1)

    def on_grid(self, x: Array, y: Array, alpha: Array, dtype: Any = jnp.float32, seen: None = None) -> Array:
        """The same at all points of a grid, columns ``x`` ``(W,)`` and rows ``y`` ``(H,)``: ``(H, W, 3)``."""
        return self.at_points(jnp.stack(jnp.meshgrid(x, y), axis=-1), alpha, dtype)

    def unclipped(self, x: Array, y: Array, alpha: Array, dtype: Any = jnp.float32) -> Array:
        """`on_grid` before it is clipped, for losses."""
        scale = self.target.std / self.own.std
        change = scale, self.target.mean - self.own.mean * scale
        found = features(self.shared, self.matrix, self.spec, jnp.stack(jnp.meshgrid(x, y), axis=-1))
        return colours(self.shared, self.spec, found, alpha, change, dtype)


def features(shared: Params, matrix: Array, spec: Whole, coords: Array) -> Array:
    """F of places ``(..., 2)``: the outputs of the second layer, ``(..., C)``."""
    encoded = places.encode(coords, spec.octaves, jnp.pi)
    found = jnp.matmul(jax.nn.relu(dense(encoded, shared["layer0"])), matrix)
    return found + lifted(shared["bias"], found)


def colours(shared: Params, spec: Whole, found: Array, alpha: Array, change: tuple[Array, Array], dtype: Any) -> Array:
    """AdaIN and the rest of the MLP: F_c ``(..., C)`` -> colours ``(..., 3)``, not clipped; see `field.colours`."""
    degree = alpha[..., None] if alpha.ndim else alpha
    scale, shift = (lifted(part, found) for part in change)
    x = jax.nn.relu(found + degree * (found * (scale - 1) + shift)).astype(dtype)
    for i in range(2, spec.layers):
        x = jax.nn.relu(dense(x, shared[f"layer{i}"])).astype(dtype)
    return dense(x, shared["colours"]) + 0.5


def reference(shared: Params, matrix: Array, spec: Whole) -> Moments:
    """Mean and deviation ``(C,)`` of a picture's features over the fixed grid."""
    line = jnp.asarray(places.axis(REFERENCE), jnp.float32)
    found = features(shared, matrix, spec, jnp.stack(jnp.meshgrid(line, line), axis=-1))
    mean = found.mean((0, 1))
    return Moments(mean, jnp.sqrt(jnp.square(found - mean[None, None]).mean((0, 1)) + EPS))


# ---- the hypernetwork ----------------------------------------------------------------------------------------


def transformer(config: Whole) -> Transformer:
    """The ViT."""
    from jaxstyle.methods.generalizable_inr.hyper import Transformer

    return Transformer(config.width, config.depth, config.heads, config.weight_tokens, config.hidden)


def init(key: Array, config: Whole) -> Params:
    """Fresh parameters, ``transformer`` and ``field``; the matrix of all pictures is the same yet."""
    count = config.view // config.patch
    tokens = jnp.zeros((1, count**2, 3 * config.patch**2), jnp.float32)
    keys, wide = jax.random.split(key, config.layers + 3), config.hidden
    normal = jax.nn.initializers.he_normal()

    def layer(k: int, inputs: int, outputs: int) -> Params:
        return {"kernel": normal(keys[k], (inputs, outputs), jnp.float32), "bias": jnp.zeros(outputs, jnp.float32)}

    field: Params = {"layer0": layer(0, places.encoding_size(config.octaves), wide), "bias": jnp.zeros(wide)}
    field |= {f"layer{i}": layer(i, wide, wide) for i in range(2, config.layers)}
    field["colours"] = layer(config.layers, wide, 3)
    field["base"] = normal(keys[1], (wide, wide), jnp.float32)
    field["up"] = normal(keys[config.layers + 1], (config.weight_tokens, wide), jnp.float32)
    return {"transformer": transformer(config).init(keys[-1], tokens)["params"], "field": field}


def shared(params: Params) -> Params:
    """The field's parameters that are the same for all pictures."""
    return {name: part for name, part in params["field"].items() if name not in ("base", "up")}


def matrices(params: Params, config: Whole, pictures: Image, size: Array | None = None) -> Array:
    """The matrix of the second layer of each picture ``(N, H, W, 3)``: ``(N, C, C)``; ``size``: (2,), floating, height
    and width of the pictures where they are smaller."""
    size = jnp.asarray(pictures.shape[1:3], jnp.float32) if size is None else size
    n, count, patch = len(pictures), config.view // config.patch, config.patch
    seen = pooled(jnp.asarray(pictures), config.view, size).reshape(n, count, patch, count, patch, 3)
    tokens = seen.transpose(0, 1, 3, 2, 4, 5).reshape(n, count**2, 3 * patch**2)
    vectors, _ = transformer(config).apply({"params": params["transformer"]}, tokens)
    return params["field"]["base"][None] + jnp.einsum("nri,rc->nic", vectors, params["field"]["up"])


def batch(params: Params, config: Whole, content: Image, style: Image) -> WholeField:
    """A `WholeField` of N pairs, leaves ``(N, ...)`` but ``shared``."""
    common = shared(params)
    photo, painting = (matrices(params, config, pictures) for pictures in (content, style))
    own, target = (jax.vmap(lambda matrix: reference(common, matrix, config))(each) for each in (photo, painting))
    return WholeField(common, photo, own, target, config, (content.shape[2], content.shape[1]))
