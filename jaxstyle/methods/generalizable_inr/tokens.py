"""What a transformer sees of a picture of any size: means over equal parts."""

from __future__ import annotations

import jax.numpy as jnp

from jaxstyle.arrays import Array, Features


def pooled(x: Features, cells: int, size: Array) -> Features:
    """Means over ``cells`` x ``cells`` equal parts of the first ``size`` (2,) rows and columns of ``(N, H, W, C)``.

    ``size`` need not be whole numbers; of less than ``cells`` rows or columns some are seen several times.
    """

    def matrix(length: int, end: Array) -> Array:
        edges = jnp.arange(cells + 1, dtype=jnp.float32)[:, None] * (end / cells)
        at = jnp.arange(length, dtype=jnp.float32)[None]
        shared = jnp.clip(jnp.minimum(edges[1:], at + 1) - jnp.maximum(edges[:-1], at), 0, None)
        return shared * (cells / end)

    down, across = matrix(x.shape[1], size[0]), matrix(x.shape[2], size[1])
    return jnp.einsum("ih,nhwc,jw->nijc", down, x, across)
