"""What a picture without resolution is, whatever it was fitted to or conditioned on: colours as a function of place."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Protocol, TypeVar, runtime_checkable

import jax.numpy as jnp

from jaxstyle.arrays import Array
from jaxstyle.nets import coords as places

P = TypeVar("P", bound="Picture")


@runtime_checkable
class Picture(Protocol):
    """A picture without resolution, what is rendered here: a pytree, fitted to a pair of pictures or conditioned on it.

    Attributes:
      spec: static, whatever its functions have to know beside arrays.
      size: static, (width, height) in pixels of the photo; its shape is the picture's.
      several: what shows that it is not one picture but several stacked ones; empty for one.
    """

    @property
    def spec(self) -> Any:
        """See above."""

    @property
    def size(self) -> tuple[int, int]:
        """See above."""

    @property
    def several(self) -> str:
        """See above."""

    def view(self, zoom: float | Array | None) -> Any:
        """How it is looked at where so many points lie along a pixel of the photo, None: as many as there can be; a
        pytree, or None of a picture that is the same at all zooms. It depends on ``size``."""

    def at_points(self, coords: Array, alpha: Array, dtype: Any = jnp.float32, seen: Any = None) -> Array:
        """Colours of points.

        Args:
          coords: ``(..., 2)`` float32.
          alpha: degree of style, ``()`` or ``coords.shape[:-1]``.
          dtype: type of the hidden layers; what precedes them and the colours are float32.
          seen: from `view`; without it there is no detail.

        Returns:
          ``(..., 3)`` float32 in [0, 1].
        """

    def on_grid(self, x: Array, y: Array, alpha: Array, dtype: Any = jnp.float32, seen: Any = None) -> Array:
        """Colours ``(H, W, 3)`` of a grid's points, columns ``x`` ``(W,)``, rows ``y`` ``(H,)``, ``alpha`` ``()`` or
        ``(H, W)``."""


def check_params(params: Any, name: str = "params") -> None:
    """Checks that parameters are those of one picture.

    Raises:
      ValueError: they are not.
    """
    if not isinstance(params, Picture):
        found = type(params).__name__
        raise ValueError(f"{name}: expected a fitted picture, as jaxstyle.load_picture reads it, got {found}")
    if params.several:
        wanted = "the parameters of one picture"
        raise ValueError(f"{name}: expected {wanted}, got {params.several}; jax.vmap takes several")


def sizeless(params: P) -> P:
    """The same without the size of the picture, which would make every compiled function one for that size."""
    check_params(params)
    return dataclasses.replace(params, size=(0, 0))  # type: ignore[type-var]


def view_of(params: Picture, width: int, height: int, region: places.Box = places.WHOLE) -> Any:
    """How a render of ``width`` x ``height`` pixels of a region looks at a picture, see `Picture.view`.

    Where a pixel is no square, its longer side counts.
    """
    wide, tall = (params.size[i] * (region[i + 2] - region[i]) / 2 for i in (0, 1))
    return params.view(min(width / wide, height / tall))


def points_in(params: Picture, width: int, height: int, region: places.Box = places.WHOLE) -> tuple[int, int]:
    """How many points are averaged in a pixel of a render of ``width`` x ``height`` pixels of a region.

    Returns:
      ``(across, down)``: so many that they lie no further from each other than the pixels of the picture fitted to, and
      1 where a pixel is no larger than those.
    """
    sides = (params.size[i] * (region[i + 2] - region[i]) / 2 / (width, height)[i] for i in (0, 1))
    across, down = (max(1, math.ceil(side - 1e-9)) for side in sides)
    return across, down
