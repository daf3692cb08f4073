"""A conditioned picture as a function of place and degree of style: what `jaxstyle.render` renders.

``F(p)`` are features of a place: an affine map, with a matrix of the picture's own, of the code's colours there, of a
coarse grid of context, and of the Fourier features of the place. "Content feature F_c and style feature F_s are
combined using the coordinates (x, y) and passed through AdaIN" (Eq. 1): ``F_c`` gets the mean and deviation that
``F_s`` has over the style, both taken at the points of one fixed grid and kept in the parameters. So what a point is
depends on nothing but the point, at any resolution and in any chunk. A small shared MLP makes of the result what is
added to the colours of the latent grids.

Every number that differs from place to place is interpolated by B-splines: there are no seams.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxstyle.arrays import Array, Params, pytree, static
from jaxstyle.methods.generalizable_inr import code as codes
from jaxstyle.methods.generalizable_inr.code import Code
from jaxstyle.nets import coords as places
from jaxstyle.nets.stats import EPS, Moments

REFERENCE = 32
"""Rows and columns of the fixed grid at which the statistics of AdaIN are taken."""
_EXACT = lax.Precision.HIGHEST


@dataclasses.dataclass(frozen=True)
class Spec:
    """What the field's functions must know beside arrays.

    Attributes:
      octaves: frequencies of the Fourier features, ``pi 2^k`` over the picture.
      within: whether the field sees where in its cell of the code a place is.
    """

    octaves: int = 4
    within: bool = False


@pytree
class View:
    """What a picture alone decides.

    Attributes:
      code: its latent grids of colours.
      context: ``(T, T, K)`` control points of a quadratic B-spline over the picture, whose edges are repeated.
      matrix: ``(inputs, C)``, of its features.
      extent: ``(2,)`` its width and height in the code's pixels.
    """

    code: Code
    context: Array
    matrix: Array
    extent: Array


@pytree
class Field:
    """A conditioned picture: a pytree that `jaxstyle.render` turns into colours.

    Attributes:
      shared: ``{"bias": (C,), "hidden": {kernel, bias}, "colours": {kernel, bias}}``, the same for all pictures.
      content: the photo.
      styled: the latent grids of the photo in the style, which full style shows.
      own, target: moments ``(C,)`` of F_c and of F_s over the reference grid.
      spec: static.
      size: static, (width, height) in pixels of the photo.
    """

    shared: Params
    content: View
    styled: Code
    own: Moments
    target: Moments
    spec: Spec = static(default=Spec())
    size: tuple[int, int] = static(default=(256, 256))

    @property
    def several(self) -> str:
        """What shows that these are several pictures stacked; empty for one."""
        return "" if jnp.ndim(self.own.mean) == 1 else f"moments of shape {jnp.shape(self.own.mean)}"

    @property
    def axes(self) -> Field:
        """What `jax.vmap` takes as ``in_axes`` for pictures of one batch."""
        return Field(None, 0, 0, 0, 0, self.spec, self.size)  # type: ignore[arg-type]

    def view(self, zoom: float | Array | None) -> None:
        """It is the same at all zooms."""

    def at_points(self, coords: Array, alpha: Array, dtype: Any = jnp.float32, seen: None = None) -> Array:
        """Colours ``(..., 3)`` in [0, 1] of ``(..., 2)`` with degrees of style ``()`` or ``(...)``."""
        x, y = pixels(self.content, coords[..., 0], 0), pixels(self.content, coords[..., 1], 1)
        content = codes.at_points(self.content.code, x, y)
        shown = _blend(content, codes.at_points(self.styled, x, y, codes.PAINTED), alpha)
        return jnp.clip(self._colours(at_points(self.content, self.spec, coords, content), shown, alpha, dtype), 0, 1)

    def on_grid(self, x: Array, y: Array, alpha: Array, dtype: Any = jnp.float32, seen: None = None) -> Array:
        """The same at all points of a grid, columns ``x`` ``(W,)`` and rows ``y`` ``(H,)``: ``(H, W, 3)``."""
        return jnp.clip(self.unclipped(x, y, alpha, dtype), 0, 1)

    def unclipped(self, x: Array, y: Array, alpha: Array, dtype: Any = jnp.float32) -> Array:
        """`on_grid` before it is clipped, for losses."""
        at = pixels(self.content, x, 0), pixels(self.content, y, 1)
        content = codes.on_grid(self.content.code, *at)
        shown = _blend(content, codes.on_grid(self.styled, *at, codes.PAINTED), alpha)
        return self._colours(on_grid(self.content, self.spec, x, y, content), shown, alpha, dtype)

    def _colours(self, features: Array, shown: Array, alpha: Array, dtype: Any) -> Array:
        """AdaIN, the shared MLP, and the colours it is added to."""
        scale = self.target.std / self.own.std
        shift = self.target.mean - self.own.mean * scale
        return colours(self.shared, features, shown, alpha, (scale, shift), dtype)


def colours(
    shared: Params, features: Array, shown: Array, alpha: Array, change: tuple[Array, Array], dtype: Any
) -> Array:
    """Features of places -> their colours, not clipped.

    Args:
      shared: see `Field`.
      features: F_c, ``(..., C)``.
      shown: ``(..., 3)``, of the latent grids of both mixed, in the axes of `codes.COLOURS`.
      alpha: ``()`` or ``(...)``.
      change: scale and shift of AdaIN, ``(C,)`` or ``(..., C)``.
      dtype: of the hidden layer.
    """
    degree = alpha[..., None] if alpha.ndim else alpha
    scale, shift = (lifted(part, features) for part in change)
    restyled = features + degree * (features * (scale - 1) + shift)
    seen = jnp.concatenate([jax.nn.relu(restyled), shown], axis=-1).astype(dtype)
    hidden, last = shared["hidden"], shared["colours"]
    x = jax.nn.relu(dense(seen, hidden)).astype(dtype)
    return jnp.matmul(shown + dense(x, last), codes.COLOURS, precision=_EXACT)


def dense(x: Array, layer: Params) -> Array:
    """A dense layer of float32 sums."""
    found = jnp.matmul(x, layer["kernel"].astype(x.dtype), preferred_element_type=jnp.float32)
    return found + lifted(layer["bias"], found)


def lifted(vector: Array, like: Array) -> Array:
    """A vector with axes of length 1 in front."""
    return vector.reshape((1,) * (like.ndim - vector.ndim) + vector.shape)


def reference(view: View, spec: Spec) -> Moments:
    """Mean and deviation ``(C,)`` of a picture's features over the fixed grid."""
    line = jnp.asarray(places.axis(REFERENCE), jnp.float32)
    at = pixels(view, line, 0), pixels(view, line, 1)
    features = on_grid(view, spec, line, line, codes.on_grid(view.code, *at))
    mean = features.mean((0, 1))
    return Moments(mean, jnp.sqrt(jnp.square(features - mean[None, None]).mean((0, 1)) + EPS))


def numbers(field: Field) -> int:
    """How many numbers of a picture are the photo's: its latent grids of colours and of context, and its matrix."""
    view = field.content
    return sum(np.size(leaf) for leaf in (*view.code, view.context, view.matrix))


def inputs(spec: Spec, context: int) -> int:
    """How many numbers F is an affine map of."""
    return 3 + context + places.encoding_size(spec.octaves) + 4 * spec.within + 1


def pixels(view: View, values: Array, axis: int) -> Array:
    """Coordinates in [-1, 1] -> pixels from the edge; what lies outside counts as the nearest edge."""
    return (jnp.clip(values, -1, 1) + 1) * (view.extent[axis] / 2)


def _blend(content: Array, styled: Array, alpha: Array) -> Array:
    degree = alpha[..., None] if alpha.ndim else alpha
    return (1 - degree) * content + degree * styled


def _edged(context: Array) -> Array:
    """The control points with one more on every side, which a spline over as many cells has."""
    return jnp.pad(context, ((1, 1), (1, 1), (0, 0)), mode="edge")


def _parts(view: View, spec: Spec) -> tuple[Array, Array, Array, Array]:
    """The rows of a picture's matrix for colours, context, Fourier features, and place within a cell; the last is the
    bias."""
    ends = [3, 3 + view.context.shape[-1]]
    ends.append(ends[-1] + places.encoding_size(spec.octaves))
    a, b, c, d = jnp.split(view.matrix, ends)
    return a, b, c, d


def at_points(view: View, spec: Spec, coords: Array, colour: Array) -> Array:
    """F of places ``(..., 2)``, from the code's colours there."""
    colour_part, context_part, place_part, rest = _parts(view, spec)
    encoded = places.encode(coords, spec.octaves, jnp.pi)
    found = jnp.matmul(colour, colour_part, precision=_EXACT) + jnp.matmul(encoded, place_part, precision=_EXACT)
    found += jnp.matmul(places.spline_values(_edged(view.context), coords), context_part, precision=_EXACT)
    if spec.within:
        phase = jnp.stack([pixels(view, coords[..., k], k) for k in (0, 1)], axis=-1) * (2 * jnp.pi / codes.CELL)
        found += jnp.matmul(jnp.concatenate([jnp.sin(phase), jnp.cos(phase)], -1), rest[:4], precision=_EXACT)
    return found + lifted(rest[-1], found)


def on_grid(view: View, spec: Spec, x: Array, y: Array, colour: Array) -> Array:
    """F at all points of a grid, from the code's colours ``(H, W, 3)``: the places are a term per column and row."""
    colour_part, context_part, place_part, rest = _parts(view, spec)
    cells = view.context.shape[0]
    context = jnp.matmul(_edged(view.context), context_part, precision=_EXACT)
    down, across = places.spline_matrix(y, cells), places.spline_matrix(x, cells)
    rows = jnp.einsum("hi,ijc->hjc", down, context, precision=_EXACT)
    found = jnp.einsum("wj,hjc->hwc", across, rows, precision=_EXACT)
    found += jnp.matmul(colour, colour_part, precision=_EXACT)
    lines = []
    for k, (values, index) in enumerate(zip((x, y), places.encoding_rows(spec.octaves), strict=True)):
        encoded = places.encode_axis(values, spec.octaves, jnp.pi)
        line = jnp.matmul(encoded, place_part[index], precision=_EXACT)
        if spec.within:
            phase = pixels(view, values, k)[:, None] * (2 * jnp.pi / codes.CELL)
            here = jnp.concatenate([jnp.sin(phase), jnp.cos(phase)], -1)
            line += jnp.matmul(here, rest[k:4:2], precision=_EXACT)
        lines.append(line)
    return found + lines[0][None] + (lines[1] + rest[-1:])[:, None]
