"""Names for the arrays that travel through jaxstyle, and checks that say what was wrong.

Conventions, once for the whole library:

* images are float32, ``(N, H, W, 3)`` or ``(H, W, 3)``, sRGB-encoded values in [0, 1];
* features are ``(N, H, W, C)``;
* ``alpha`` is the degree of style: 0 = content, 1 = full style.
"""

from __future__ import annotations

import dataclasses
from typing import Any, TypeAlias, TypeVar, dataclass_transform

import jax
import jax.numpy as jnp
import numpy as np

Array: TypeAlias = jax.Array
ArrayLike: TypeAlias = jax.Array | np.ndarray
Image: TypeAlias = jax.Array  # (N, H, W, 3) or (H, W, 3), sRGB in [0, 1]
Features: TypeAlias = jax.Array  # (N, H, W, C)
Params: TypeAlias = dict[str, Any]  # a pytree of arrays, as Flax makes them

T = TypeVar("T")


def static(*, default: Any) -> Any:
    """A field of a `pytree` that is part of its structure, not an array."""
    return dataclasses.field(default=default, metadata={"static": True})


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field, static))
def pytree(cls: type[T]) -> type[T]:
    """Makes a class a frozen dataclass and a pytree, with a method ``replace``: Flax' ``struct.dataclass``, but without
    the quarter of a second that importing Flax takes, which those who only use a model do not need."""
    made = jax.tree_util.register_dataclass(dataclasses.dataclass(frozen=True)(cls))
    made.replace = dataclasses.replace  # type: ignore[attr-defined]
    return made


LIMITS = (-1.0, 2.0)
"""Values of pictures that are surely of another scale, such as 0 to 255, lie outside these. Resampling, a network or an
optimiser may leave [0, 1], but not by so much."""


def as_images(images: ArrayLike, name: str) -> tuple[Array, bool]:
    """Returns the images as a float32 batch.

    Args:
      images: ``(H, W, 3)`` or ``(N, H, W, 3)``, float values in [0, 1] or unsigned integers. The values are looked at
        where that costs little, in NumPy arrays.
      name: the argument's name, for the error message.

    Returns:
      ``(batch, single)``: the batch ``(N, H, W, 3)``, and whether one image without a batch axis came in.

    Raises:
      ValueError: not an image, or no pixels in it, or values that are NaN or beyond `LIMITS`.
    """
    if not hasattr(images, "dtype"):
        raise ValueError(f"{name}: expected a NumPy or JAX array, got {type(images).__name__}")
    shape = np.shape(images)
    if len(shape) not in (3, 4) or shape[-1] != 3:
        raise ValueError(f"{name}: expected an image (H, W, 3) or a batch (N, H, W, 3), got shape {shape}")
    if 0 in shape:
        raise ValueError(f"{name}: there are no pixels in an array of shape {shape}")
    dtype = np.dtype(images.dtype)
    if np.issubdtype(dtype, np.unsignedinteger):
        batch = jnp.asarray(images).astype(jnp.float32) / float(np.iinfo(dtype).max)
    elif jnp.issubdtype(dtype, jnp.floating):
        if isinstance(images, np.ndarray):
            least, most = float(images.min()), float(images.max())
            if not (least >= LIMITS[0] and most <= LIMITS[1]):
                raise ValueError(f"{name}: expected float values in [0, 1], found {least:g} .. {most:g}")
        batch = jnp.asarray(images, jnp.float32)
    else:
        raise ValueError(f"{name}: expected float values in [0, 1] or unsigned integers, got {dtype}")
    return (batch[None], True) if len(shape) == 3 else (batch, False)


def check_alpha(alpha: float | ArrayLike, name: str = "alpha") -> None:
    """Checks a degree of style; values traced by jit are not looked at.

    Args:
      alpha: a number or an array of any shape.
      name: the argument's name, for the error message.

    Raises:
      ValueError: not numbers, or not all in [0, 1].
    """
    if isinstance(alpha, jax.core.Tracer):
        return
    values = np.asarray(alpha)
    if not (jnp.issubdtype(values.dtype, jnp.floating) or jnp.issubdtype(values.dtype, jnp.integer)):
        raise ValueError(f"{name}: expected numbers in [0, 1], got {values.dtype}")
    values = values.astype(np.float32)
    if not bool(np.all((values >= 0) & (values <= 1))):
        raise ValueError(f"{name}: expected values in [0, 1], found {values.min():g} .. {values.max():g}")
