"""Where in a painting the strokes at a point of a picture come from (the paper's figure 14)."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxstyle.arrays import Array, ArrayLike, as_images
from jaxstyle.methods.adain import SMALLEST, STRIDE
from jaxstyle.methods.interface import mirrored
from jaxstyle.methods.style_kernel.attention import weights
from jaxstyle.methods.style_kernel.network import STYLE_TAPS, Model
from jaxstyle.methods.style_kernel.transform import describe, kept_grid, look, sharpness_of
from jaxstyle.nets.stats import moments
from jaxstyle.nets.vgg import encode


class Focus(NamedTuple):
    """What a point of the content looks at, at the positions of the style, top left to bottom right.

    Attributes:
      weights: ``(h, w)`` float32, the attention, the mean of all heads; the sum is 1.
      kept: ``(h, w)`` float32, by how many of the heads the gate lets the position through, 0 to 1.
    """

    weights: np.ndarray
    kept: np.ndarray


def focus(model: Model, content: ArrayLike, style: ArrayLike, at: tuple[int, int]) -> Focus:
    """Looks up the attention of one point.

    Args:
      model: see `load`.
      content: ``(H, W, 3)`` in [0, 1].
      style: ``(H', W', 3)``, of any size.
      at: column x and row y of the point, pixels from the top left.

    Returns:
      A `Focus`.

    Raises:
      ValueError: ``content`` or ``style`` is not one image, or the point is not in it.
    """
    pictures = [as_images(picture, name) for picture, name in ((content, "content"), (style, "style"))]
    for name, (_, single) in zip(("content", "style"), pictures, strict=True):
        if not single:
            raise ValueError(f"{name}: expected one image (H, W, 3)")
    (images, _), (painting, _) = pictures
    height, width = images.shape[1:3]
    x, y = at
    if not (0 <= x < width and 0 <= y < height):
        raise ValueError(f"at: expected a point of a picture of {width} x {height} pixels, got {x},{y}")
    rows, columns = (max(side, SMALLEST) // STRIDE for side in painting.shape[1:3])
    tall, wide = kept_grid(model.config, rows, columns)
    images, painting = (mirrored(some, STRIDE, SMALLEST) for some in (images, painting))
    found = _looked_up(model, images, painting[:, : rows * STRIDE, : columns * STRIDE], y, x)
    return Focus(*(np.asarray(part[: tall * wide]).reshape(tall, wide) for part in found))


@jax.jit
def _looked_up(model: Model, content: Array, style: Array, y: Array, x: Array) -> tuple[Array, Array]:
    """Weights and kept, each ``(P,)``."""
    z_c = encode(model, content)["relu4_1"]
    seen = look(model.params, model, z_c, moments(z_c))
    found = describe(model.params, model, encode(model, style, STYLE_TAPS))
    here = y // STRIDE * z_c.shape[2] + x // STRIDE
    query, threshold = (
        None if part is None else jax.lax.dynamic_slice_in_dim(part, here, 1, 1)
        for part in (seen.query, seen.threshold)
    )
    sharpness = sharpness_of(model.params, model.config, found.keys.there)
    a, kept = weights(query, found.keys, sharpness, threshold)  # type: ignore[arg-type]
    return a[0, 0].mean(0), kept[0, 0].astype(jnp.float32).mean(0)
