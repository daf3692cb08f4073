"""The coordinate network of INR-st (arXiv:2210.07762, Appendix A): parameters and evaluation.

`Network` is the network as the paper draws it. `evaluate` and `evaluate_grid` compute the same function with fewer
operations; they differ from it, and from each other, in rounding only:

* What the latent adds to a layer is an affine function of the degree of style, ``(1 - alpha) A + alpha B`` with two
  vectors A and B that are the same for all points. So the latent costs no matrix product, and with one alpha for all
  points it is a bias.
* The encoding of (x, y) is one of x beside one of y. On a grid the first layer, and the input's second entry, are sums
  of a term per column and a term per row: H + W evaluations instead of H W.
* Nothing lies between the last two layers: they are one matrix.

What is left per point of the paper's network is 7 products with 256 x 256 matrices and one with 256 x 3: 0.92 MFLOP of
the plain 1.03. Learned grids, which the paper does not have, are in `jaxstyle.methods.inr.grids`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax import struct
from jax import lax

from jaxstyle.arrays import Array, Params
from jaxstyle.methods.inr import detail as inr_detail
from jaxstyle.methods.inr import grids as inr_grids
from jaxstyle.nets import coords as places

_EXACT = lax.Precision.HIGHEST  # accelerators round a product's factors to 10 bits: too coarse for coordinates


@dataclass(frozen=True)
class Spec:
    """The shape of a network; the defaults are the paper's and its code's.

    Attributes:
      octaves: frequencies of the positional encoding; 0 switches it off.
      omega: the lowest of them; 1 is the authors' code, pi is Eq. 9.
      grids: cells along either side of learned grids; empty, as in the paper: there are none. A grid is two quadratic
        B-splines over the picture, one of content and one of style: latents that change from place to place, mixed as
        the others are, ``(1 - alpha) content + alpha style``. With them a narrow network is enough.
      features: numbers that one grid has at a place.
      latent: numbers in a latent vector.
      width: of the ReLU layers.
      depth: number of ReLU layers.
      skip: layer (from 0) that gets the input once more; 0: none does.
      bottleneck: width of the linear layer before the colours.
      detail: cells along either side of the grid of strokes' directions, see `jaxstyle.methods.inr.detail`; 0, as in
        the paper: there is no detail beyond the pixels fitted at.
    """

    octaves: int = 6
    omega: float = 1.0
    grids: tuple[int, ...] = ()
    features: int = 4
    latent: int = 16
    width: int = 256
    depth: int = 8
    skip: int = 5
    bottleneck: int = 128
    detail: int = 0

    def __post_init__(self) -> None:
        """Raises ValueError naming the field that no network can have."""
        object.__setattr__(self, "grids", tuple(self.grids))
        if any(isinstance(n, bool) or not isinstance(n, int) or n < 1 for n in self.grids):
            raise ValueError(f"grids: expected whole numbers of at least 1, got {self.grids!r}")
        if len(set(self.grids)) < len(self.grids):
            raise ValueError(f"grids: expected different numbers, got {self.grids!r}")
        least = {
            "octaves": 0,
            "features": 1,
            "latent": 1,
            "width": 1,
            "depth": 1,
            "skip": 0,
            "bottleneck": 1,
            "detail": 0,
        }
        for name, low in least.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < low:
                raise ValueError(f"{name}: expected a whole number of at least {low}, got {value!r}")
        if self.skip >= self.depth:
            raise ValueError(f"skip: expected a layer from 1 to {self.depth - 1}, or 0 for none, got {self.skip}")
        if isinstance(self.omega, bool) or not isinstance(self.omega, int | float) or not 0 < self.omega < math.inf:
            raise ValueError(f"omega: expected a positive number, got {self.omega!r}")


@struct.dataclass
class InrParams:
    """A fitted picture: a pytree that `jaxstyle.render` turns into colours.

    Attributes:
      network: ``{"layer0": {"kernel", "bias"}, ..., "linear": ..., "rgb": ...}``, what fitting changes.
      z_c, z_s: the latents of content and style, ``(latent,)``; drawn once and kept.
      spec: static, the shape of the network.
      size: static, (width, height) in pixels of the picture it was fitted to; its shape is the picture's.
    """

    network: Params
    z_c: Array
    z_s: Array
    spec: Spec = struct.field(pytree_node=False, default=Spec())
    size: tuple[int, int] = struct.field(pytree_node=False, default=(256, 256))

    @property
    def several(self) -> str:
        """What shows that these are the parameters of several pictures; empty for those of one."""
        return "" if np.shape(self.z_c) == (self.spec.latent,) else f"latents of shape {np.shape(self.z_c)}"

    def view(self, zoom: float | Array | None) -> inr_detail.View | None:
        """How it is looked at where so many points lie along a pixel of the photo; None: it has no detail."""
        return inr_detail.view(self.size, inr_detail.FINEST if zoom is None else zoom) if self.spec.detail else None

    def at_points(
        self, coords: Array, alpha: Array, dtype: Any = jnp.float32, seen: inr_detail.View | None = None
    ) -> Array:
        """See `evaluate`."""
        return evaluate(self, coords, alpha, seen=seen, dtype=dtype)

    def on_grid(
        self, x: Array, y: Array, alpha: Array, dtype: Any = jnp.float32, seen: inr_detail.View | None = None
    ) -> Array:
        """See `evaluate_grid`."""
        return evaluate_grid(self, x, y, alpha, seen=seen, dtype=dtype)


class Network(nn.Module):
    """The network as the paper draws it (its Fig. 14), for reading; `init` takes the names and shapes from it.

    Attributes:
      spec: its shape.
    """

    spec: Spec

    @nn.compact
    def __call__(self, coords: Array, z: Array, alpha: Array | None = None) -> Array:
        """Colours ``(..., 3)`` in [0, 1] of coordinates ``(..., 2)`` with latents ``(..., latent)``.

        ``alpha``, the degrees of style ``(...)`` that ``z`` is mixed by, is looked at by learned grids only; without it
        theirs is 1.
        """
        spec = self.spec
        alpha = jnp.ones(coords.shape[:-1], coords.dtype) if alpha is None else alpha
        grids = [
            inr_grids.Grid(cells, spec.features, name=inr_grids.name(cells))(coords, alpha) for cells in spec.grids
        ]
        entry = jnp.concatenate([places.encode(coords, spec.octaves, spec.omega), *grids, z], axis=-1)
        x = entry
        for i in range(spec.depth):
            if i and i == spec.skip:
                x = jnp.concatenate([x, entry], axis=-1)
            x = nn.relu(nn.Dense(spec.width, name=f"layer{i}")(x))
        x = nn.Dense(spec.bottleneck, name="linear")(x)
        return nn.sigmoid(nn.Dense(3, name="rgb")(x))


@partial(jax.jit, static_argnames=("spec", "size"))
def init(key: Array, spec: Spec = Spec(), *, size: tuple[int, int] = (256, 256)) -> InrParams:
    """Fresh parameters: Xavier-uniform kernels, and latents from N(0, 1).

    Args:
      key: decides all of them.
      spec: the shape of the network.
      size: (width, height) in pixels of the picture that it will be fitted to.

    Returns:
      `InrParams`, float32.

    Differs from the paper: it says nothing of the biases; they are uniform in +-1/sqrt(fan in), as its code leaves
    them. That leaves the last two kernels at its framework's default too; here they are Xavier-uniform like the rest.
    """
    k_network, k_latents = jax.random.split(key)
    shapes = network_shapes(spec)
    count = sum(math.prod(shape) for layer in shapes.values() for shape in layer.values())
    # at once: each draw takes long to compile
    drawn = jax.random.uniform(k_network, (count,), jnp.float32, minval=-1, maxval=1)
    network: Params = {}
    for name, layer in shapes.items():
        bounds = dict.fromkeys(layer, inr_grids.START)
        if "kernel" in layer:
            fan_in, fan_out = layer["kernel"]
            bounds = {"kernel": math.sqrt(6 / (fan_in + fan_out)), "bias": fan_in**-0.5}
        if name in (inr_detail.NAMES[-1], inr_detail.FLOW):
            bounds = dict.fromkeys(layer, 0.0)  # no detail yet
        for part, bound in bounds.items():
            values, drawn = jnp.split(drawn, [math.prod(layer[part])])
            network.setdefault(name, {})[part] = bound * values.reshape(layer[part])
    z_c, z_s = jax.random.normal(k_latents, (2, spec.latent), jnp.float32)
    return InrParams(network, z_c, z_s, spec, size)


def network_shapes(spec: Spec) -> dict[str, dict[str, tuple[int, ...]]]:
    """The shapes of ``InrParams.network``."""
    key = jax.eval_shape(jax.random.key, 0)
    arrays = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((2,), (spec.latent,), ())]
    found = jax.eval_shape(Network(spec).init, key, *arrays)["params"]
    coarse = {layer: {part: leaf.shape for part, leaf in parts.items()} for layer, parts in found.items()}
    return coarse | (inr_detail.layer_shapes(spec.detail, spec.width) if spec.detail else {})


# ---- evaluation --------------------------------------------------------------------------------------------


def evaluate(
    params: InrParams,
    coords: Array,
    alpha: Array,
    *,
    seen: inr_detail.View | None = None,
    dtype: Any = jnp.float32,
) -> Array:
    """Colours of points.

    Args:
      params: the network.
      coords: ``(..., 2)`` float32.
      alpha: degree of style, ``()`` or ``coords.shape[:-1]``.
      seen: how the picture is looked at; without it there is no detail.
      dtype: type of the hidden layers; what precedes them and the colours are float32.

    Returns:
      ``(..., 3)`` float32 in [0, 1].
    """
    encoded = places.encode(coords, params.spec.octaves, params.spec.omega)
    if params.spec.grids:
        encoded = jnp.concatenate(
            [encoded, inr_grids.at_points(params.network, params.spec.grids, coords, alpha)], axis=-1
        )
    latents = _latent_terms(params, alpha, coords.ndim - 1)
    kernels = [jnp.concatenate([layer.encoding, layer.grids]) for layer in _entries(params)]
    terms = [jnp.matmul(encoded, kernel, precision=_EXACT) + z for kernel, z in zip(kernels, latents, strict=True)]
    return _body(params, terms, dtype, _detail(params, coords, alpha, seen, dtype))


def evaluate_grid(
    params: InrParams,
    x: Array,
    y: Array,
    alpha: Array,
    *,
    seen: inr_detail.View | None = None,
    dtype: Any = jnp.float32,
) -> Array:
    """Colours of all points of a grid.

    Args:
      params: the network.
      x, y: ``(W,)`` and ``(H,)`` float32.
      alpha: degree of style, ``()`` or ``(H, W)``.
      seen, dtype: see `evaluate`.

    Returns:
      ``(H, W, 3)`` float32 in [0, 1].
    """
    columns, rows = grid_terms(params, x, y)
    latents = _latent_terms(params, alpha, 2)
    terms = [_down(c, y.shape[0]) + (r[:, None] + z) for c, r, z in zip(columns, rows, latents, strict=True)]
    if params.spec.grids:
        found = inr_grids.on_grid(params.network, params.spec.grids, x, y, alpha)
        terms = [t + jnp.matmul(found, layer.grids) for t, layer in zip(terms, _entries(params), strict=True)]
    coords = jnp.stack(jnp.meshgrid(x, y), axis=-1) if seen is not None else None
    return _body(params, terms, dtype, _detail(params, coords, alpha, seen, dtype))


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def _down(line: Array, count: int) -> Array:
    """(W, c) -> (count, W, c), the same in every row; XLA's CPU back end adds planes slowly, so it gets a product."""
    return jnp.broadcast_to(line[None], (count, *line.shape))


def _down_forward(line: Array, count: int) -> tuple[Array, None]:
    return _down(line, count), None


def _down_backward(count: int, _: None, gradient: Array) -> tuple[Array]:
    total = jnp.matmul(jnp.ones((1, count), gradient.dtype), gradient.reshape(count, -1), precision=_EXACT)
    return (total.reshape(gradient.shape[1:]),)


_down.defvjp(_down_forward, _down_backward)


def evaluate_sparse(
    params: InrParams, x: Array, y: Array, alpha: Array, index: Array, *, dtype: Any = jnp.float32
) -> Array:
    """Colours of some points of a grid with one degree of style.

    Args:
      params: the network.
      x, y: ``(W,)`` and ``(H,)`` float32.
      alpha: degree of style, ``()``.
      index: ``(n,)`` places of the points in the grid's raster order.
      dtype: see `evaluate`.

    Returns:
      ``(n, 3)`` float32 in [0, 1].
    """
    columns, rows = grid_terms(params, x, y)
    latents = _latent_terms(params, alpha, 1)
    i, j = index // x.shape[0], index % x.shape[0]
    terms = [c[j] + r[i] + z for c, r, z in zip(columns, rows, latents, strict=True)]
    if params.spec.grids:
        found = inr_grids.at_points(params.network, params.spec.grids, jnp.stack([x[j], y[i]], axis=-1), alpha)
        terms = [t + jnp.matmul(found, layer.grids) for t, layer in zip(terms, _entries(params), strict=True)]
    return _body(params, terms, dtype)


def grid_terms(params: InrParams, x: Array, y: Array) -> tuple[list[Array], list[Array]]:
    """What the columns' and the rows' coordinates add to the layers that see them: lists of (W, width), (H, width)."""
    spec = params.spec
    found = []
    for values, rows in zip((x, y), places.encoding_rows(spec.octaves), strict=True):
        encoded = places.encode_axis(values, spec.octaves, spec.omega)
        kernels = [layer.encoding[rows] for layer in _entries(params)]
        found.append([jnp.matmul(encoded, kernel, precision=_EXACT) for kernel in kernels])
    return found[0], found[1]


class _Entry(NamedTuple):
    """A layer that sees the input: its kernel's rows for the encoding, the grids and the latent, and its bias."""

    encoding: Array
    grids: Array
    latent: Array
    bias: Array


def _entries(params: InrParams) -> list[_Entry]:
    """The first layer and, if there is one, the layer with the skip."""
    spec, size = params.spec, places.encoding_size(params.spec.octaves)
    more = size + len(spec.grids) * spec.features
    found = []
    for i in (0, spec.skip) if spec.skip else (0,):
        layer = params.network[f"layer{i}"]
        rows = layer["kernel"][spec.width if i else 0 :]  # the skip's input stands behind the hidden units
        found.append(_Entry(rows[:size], rows[size:more], rows[more:], layer["bias"]))
    return found


def _latent_terms(params: InrParams, alpha: Array, rank: int) -> list[Array]:
    """What latent and bias add to each of `_entries`: ``alpha.shape + (width,)``, or ``(1,) * rank + (width,)``."""
    alpha = alpha.reshape(alpha.shape or (1,) * rank)[..., None]
    found = []
    for layer in _entries(params):
        content, style = (jnp.matmul(z, layer.latent, precision=_EXACT) for z in (params.z_c, params.z_s))
        content, style, bias = (v.reshape((1,) * rank + (-1,)) for v in (content, style, layer.bias))
        # the paper's z' = a z_c + (1 - a) z_s with its a, the share of content, 1 - alpha (Eq. 3)
        found.append((1 - alpha) * content + alpha * style + bias)
    return found


def _detail(
    params: InrParams, coords: Array | None, alpha: Array, seen: inr_detail.View | None, dtype: Any
) -> Callable[[Array], Array] | None:
    """What is added to the colours of points, a function of their hidden units."""
    if seen is None or coords is None or not params.spec.detail:
        return None

    def of(hidden: Array) -> Array:
        found = inr_detail.added(params.network, hidden, coords.reshape(-1, 2), seen, dtype)
        return (alpha if alpha.ndim == 0 else alpha.reshape(-1, 1)) * found

    return of


def _body(params: InrParams, terms: list[Array], dtype: Any, detail: Callable[[Array], Array] | None = None) -> Array:
    """The rest of the network, from what the input adds to the layers that see it."""
    spec, network = params.spec, params.network
    shape = terms[0].shape[:-1]
    terms = [term.reshape(-1, spec.width) for term in terms]
    x = nn.relu(terms[0]).astype(dtype)
    for i in range(1, spec.depth):
        layer = network[f"layer{i}"]
        kernel = layer["kernel"][: spec.width].astype(dtype)
        added = terms[1] if i == spec.skip else layer["bias"][None]
        x = nn.relu(jnp.matmul(x, kernel, preferred_element_type=jnp.float32) + added).astype(dtype)
    linear, rgb = network["linear"], network["rgb"]
    kernel = jnp.matmul(linear["kernel"], rgb["kernel"], precision=_EXACT)
    bias = jnp.matmul(linear["bias"], rgb["kernel"], precision=_EXACT) + rgb["bias"]
    colours = jnp.matmul(x, kernel.astype(dtype), preferred_element_type=jnp.float32) + bias[None]
    if detail is not None:
        colours += detail(x)
    return nn.sigmoid(colours).reshape(*shape, 3)
