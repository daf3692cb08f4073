"""Conditioned pictures that need no network and no weights."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxstyle.methods import generalizable_inr as ginr
from jaxstyle.methods.generalizable_inr import code as codes
from jaxstyle.methods.generalizable_inr import field as fields

SPEC = ginr.Config().spec


def field_of(photo: np.ndarray, styled: np.ndarray) -> ginr.Field:
    """The codes of two pictures, a matrix and an MLP drawn at random, and moments of another style."""
    pairs = ((photo, codes.PHOTO), (styled, codes.PAINTED))
    found = (codes.analyse(jnp.asarray(pixels)[None], points=points) for pixels, points in pairs)
    code, style = (jax.tree.map(lambda leaf: leaf[0], each) for each in found)
    count, wide = fields.inputs(SPEC, 4), 8
    rng = np.random.default_rng(2)
    matrix, hidden, last = (
        jnp.asarray(0.1 * rng.normal(size=shape), jnp.float32) for shape in ((count, wide), (wide + 3, 8), (8, 3))
    )
    shared = {"hidden": {"kernel": hidden, "bias": jnp.zeros(8)}, "colours": {"kernel": last, "bias": jnp.zeros(3)}}
    height, width = photo.shape[:2]
    view = fields.View(code, jnp.zeros((4, 4, 4)), matrix, jnp.array([width, height], jnp.float32))
    own = fields.reference(view, SPEC)
    target = own._replace(mean=own.mean + 0.1, std=1.2 * own.std)
    return ginr.Field(shared, view, style, own, target, SPEC, (width, height))
