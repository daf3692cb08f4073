"""A conditioned picture that is fitted to its own pair: a start for test-time training, close to where that ends.

What is fitted is the picture's own and the style's alone, its latent grids. At degree 0 they have no share, so that the
photo stays what it is, bit for bit, whatever is minimised. Moments of AdaIN over coordinates that are fitted, too,
change nothing to speak of; with the MLP the objective falls a little sooner, and the photo is lost.

Steps of Adam change every number alike, and one control point is a small part of a picture. So a fit has besides the
grids themselves such of fewer control points, zero at the start, which are enlarged and added: colours of large parts
then change in few steps.

Not in the paper, whose pictures are what the network makes of them.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jaxstyle.arrays import Array, Params, pytree, static
from jaxstyle.methods.generalizable_inr.code import Code
from jaxstyle.methods.generalizable_inr.field import Field, Spec

COARSE = (2, 4, 8, 16)
"""How many times fewer control points a side the added grids have."""


@pytree
class Fitted:
    """A conditioned picture in parts, those that a fit changes and the rest: a pytree that is rendered as others are.

    Attributes:
      network: what is fitted: ``styled``, see `Field`, and ``coarse``, such grids of fewer control points, by
        `COARSE`.
      field: the conditioned picture, of which the rest is.
      size: static, see `Field`.
    """

    network: Params
    field: Field
    size: tuple[int, int] = static(default=(256, 256))

    @property
    def picture(self) -> Field:
        """The picture as it is fitted so far."""
        styled = self.network["styled"]
        for level in self.network["coarse"]:
            styled = Code(*(grid + _enlarged(part, grid.shape) for grid, part in zip(styled, level, strict=True)))
        return dataclasses.replace(self.field, styled=styled, size=self.size)

    @property
    def spec(self) -> Spec:
        """See `Field`."""
        return self.field.spec

    @property
    def several(self) -> str:
        """See `Field`."""
        return self.field.several

    def view(self, zoom: float | Array | None) -> None:
        """It is the same at all zooms."""

    def at_points(self, coords: Array, alpha: Array, dtype: Any = jnp.float32, seen: None = None) -> Array:
        """See `Field.at_points`."""
        return self.picture.at_points(coords, alpha, dtype)

    def on_grid(self, x: Array, y: Array, alpha: Array, dtype: Any = jnp.float32, seen: None = None) -> Array:
        """See `Field.on_grid`."""
        return self.picture.on_grid(x, y, alpha, dtype)


def start(field: Field) -> Fitted:
    """A conditioned picture before its first step; all arrays are copies, which a step may overwrite."""
    styled, rest = jax.tree.map(lambda leaf: jnp.array(leaf, copy=True), (field.styled, field))
    coarse = tuple(Code(*(_zeros(grid.shape, times) for grid in styled)) for times in COARSE)
    return Fitted({"styled": styled, "coarse": coarse}, rest, size=field.size)


def _zeros(shape: tuple[int, ...], times: int) -> Array:
    """A grid of so many times fewer control points a side, at least one."""
    rows, columns, channels = shape
    return jnp.zeros((max(1, rows // times), max(1, columns // times), channels), jnp.float32)


def _enlarged(grid: Array, shape: tuple[int, ...]) -> Array:
    """Control points in between, linearly interpolated."""
    return jax.image.resize(grid, shape, "linear")
