"""A conditioned picture that is fitted to its own pair: a start for test-time training, close to where that ends.

What is fitted is the picture's own and the style's alone, its latent grids. At degree 0 they have no share, so that the
photo stays what it is, bit for bit, whatever is minimised. Moments of AdaIN over coordinates that are fitted, too,
change nothing to speak of; with the MLP the objective falls a little sooner, and the photo is lost.

Not in the paper, whose pictures are what the network makes of them.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jaxstyle.arrays import Array, Params, pytree, static
from jaxstyle.methods.generalizable_inr.field import Field, Spec

STYLE = ("styled",)
"""What of a `Field` is fitted."""


@pytree
class Fitted:
    """A conditioned picture in parts, those that a fit changes and the rest: a pytree that is rendered as others are.

    Attributes:
      network: the fields of `Field` that are fitted, by name.
      field: the conditioned picture, of which the others are.
      size: static, see `Field`.
    """

    network: Params
    field: Field
    size: tuple[int, int] = static(default=(256, 256))

    @property
    def picture(self) -> Field:
        """The picture as it is fitted so far."""
        return dataclasses.replace(self.field, **self.network, size=self.size)

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
    parts = {name: getattr(field, name) for name in STYLE}, field
    network, rest = jax.tree.map(lambda leaf: jnp.array(leaf, copy=True), parts)
    return Fitted(network, rest, size=field.size)
