"""Learned grids: latents of a coordinate network that change from place to place.

A grid is two quadratic B-splines over the picture, with control points that fitting changes, one of content and one of
style. Its features at a point are mixed as the two latents of INR-st are, ``(1 - alpha) content + alpha style``, and
enter the network beside the encoding of the place. The control points do what many layers would have to learn
otherwise; a network of 64 units then is enough, at a small part of the time per point of the paper's.

Not in the paper (arXiv:2210.07762), whose network has latents that are the same at all places.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
from flax import linen as nn
from jax import lax

from jaxstyle.arrays import Array, Params
from jaxstyle.nets import coords as places

PARTS = ("content", "style")
START = 0.01
"""Largest control point before fitting."""
_EXACT = lax.Precision.HIGHEST


def name(cells: int) -> str:
    """What the grid of so many cells is called among a network's parameters."""
    return f"grid{cells}"


class Grid(nn.Module):
    """One grid, for reading; `at_points` and `on_grid` compute the same.

    Attributes:
      cells: along either side of the picture.
      features: numbers at a place.
    """

    cells: int
    features: int

    @nn.compact
    def __call__(self, coords: Array, alpha: Array) -> Array:
        """``(..., 2)``, ``(...)`` -> ``(..., features)``."""
        shape, start = (self.cells + 2, self.cells + 2, self.features), nn.initializers.uniform()
        content, style = (places.spline_values(self.param(part, start, shape), coords) for part in PARTS)
        return (1 - alpha[..., None]) * content + alpha[..., None] * style


def at_points(network: Params, grids: Sequence[int], coords: Array, alpha: Array) -> Array:
    """The features of all grids at points.

    Args:
      network: ``{"grid16": {"content", "style"}, ...}``, each ``(cells + 2, cells + 2, features)``.
      grids: the cells of each.
      coords: ``(..., 2)``.
      alpha: degree of style, ``()`` or ``(...)``.

    Returns:
      ``(..., len(grids) * features)``.
    """
    found = [[network[name(cells)][part] for part in PARTS] for cells in grids]
    if alpha.ndim == 0:  # the control points are fewer than what they make
        return jnp.concatenate([places.spline_values((1 - alpha) * c + alpha * s, coords) for c, s in found], axis=-1)
    content, style = (
        jnp.concatenate([places.spline_values(grid[k], coords) for grid in found], axis=-1) for k in (0, 1)
    )
    return (1 - alpha[..., None]) * content + alpha[..., None] * style


def on_grid(network: Params, grids: Sequence[int], x: Array, y: Array, alpha: Array) -> Array:
    """The same at all points of a grid, columns ``x`` ``(W,)`` and rows ``y`` ``(H,)``, as products with matrices.

    Args:
      network, grids: see `at_points`.
      x, y: ``(W,)`` and ``(H,)``.
      alpha: ``()`` or ``(H, W)``.

    Returns:
      ``(H, W, len(grids) * features)``.
    """
    found = []
    for cells in grids:
        content, style = (network[name(cells)][part] for part in PARTS)
        points = (1 - alpha) * content + alpha * style if alpha.ndim == 0 else jnp.concatenate([content, style], -1)
        down, across = places.spline_matrix(y, cells), places.spline_matrix(x, cells)
        rows = jnp.matmul(down, points.reshape(cells + 2, -1), precision=_EXACT).reshape(-1, *points.shape[1:])
        here = jnp.einsum("wc,hcf->hwf", across, rows, precision=_EXACT)
        if alpha.ndim:
            content, style = jnp.split(here, 2, axis=-1)
            here = (1 - alpha[..., None]) * content + alpha[..., None] * style
        found.append(here)
    return jnp.concatenate(found, axis=-1)
