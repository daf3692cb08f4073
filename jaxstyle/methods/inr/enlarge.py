"""The objective of detail: an enlarged render looks like the painting at the same pixel scale.

A step looks at windows of the picture at full style, all at one random zoom. Their Gram matrices, together and each on
its own, come near those of the painting at the same pixel scale, which has its own pixels and is never enlarged; every
place of a window comes near some place of the painting in features, and the other way round (a relaxed earth mover's
distance: without it noise of the right spectrum would do). And every window, averaged over the pixels of the coarse
picture, stays the coarse picture. How much that weighs follows the pair: as much as its PSNR needs, and no more.

Not in the paper (arXiv:2210.07762).
"""

from __future__ import annotations

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxstyle.arrays import Array, Features, Image, Params
from jaxstyle.image import resize
from jaxstyle.methods.inr import detail
from jaxstyle.methods.inr.loss import Loss
from jaxstyle.methods.inr.network import InrParams, evaluate_grid
from jaxstyle.methods.inr.rendering import CHUNK, render_grid, render_image
from jaxstyle.methods.inr.schedule import Enlarge
from jaxstyle.nets.losses import remd, sample_positions
from jaxstyle.nets.stats import gram

ZOOMS = (1.0, 2.0, 4.0, 8.0)
"""At which the painting is looked at; between them its statistics are interpolated."""
MOST = 16
"""Windows of the painting that are looked at, for each zoom."""
VECTORS = 1024
"""Feature vectors of the painting that windows are compared with, evenly spaced, for each zoom and layer."""
_BLUR = 3.0  # pixels of the coarse picture over which the direction of its edges is averaged


@struct.dataclass
class Scales:
    """What windows are compared with, from `targets`: a pytree.

    Attributes:
      grams: ``{tap: (len(ZOOMS), C, C)}``.
      vectors: ``{tap: (len(ZOOMS), VECTORS, C)}``.
      flow: control points of the strokes' directions, see `jaxstyle.methods.inr.detail`.
      fitted: ``(2,)``, width and height in pixels of the coarse picture.
      side: static, pixels along a window's side.
    """

    grams: dict[str, Array]
    vectors: dict[str, Array]
    flow: Array
    fitted: Array
    side: int = struct.field(pytree_node=False)


def vector_taps(loss: Loss) -> tuple[str, ...]:
    """The layers whose vectors are compared: the third and the last one of the style loss."""
    return loss.style_taps[2], loss.style_taps[-1]


def targets(params: InrParams, encoder: Params, painting: np.ndarray, loss: Loss, stage: Enlarge) -> Scales:
    """Everything that `objective` needs of a pair, computed once.

    Args:
      params: the picture so far, with the size that it is fitted at.
      encoder: VGG's parameters.
      painting: ``(H', W', 3)`` in [0, 1], with its own pixels.
      loss: its layers of style are compared.
      stage: how large windows are.
    """
    coarse = np.asarray(render_image(params))
    height, width = coarse.shape[:2]
    area, side = math.sqrt(height * width), window_side(stage, coarse.shape)
    ratio = math.sqrt(painting.shape[1] / painting.shape[0])
    grams: dict[str, list[Array]] = {}
    vectors: dict[str, list[np.ndarray]] = {}
    for zoom in ZOOMS:
        shape = max(1, round(zoom * area / ratio)), max(1, round(zoom * area * ratio))
        shown = painting if math.prod(shape) >= math.prod(painting.shape[:2]) else resize(painting, shape)
        found = _features(encoder, windows(shown, side), loss)
        for tap in loss.style_taps:
            grams.setdefault(tap, []).append(gram(found[tap]).mean(0))
        for tap in vector_taps(loss):
            every = np.asarray(found[tap]).reshape(-1, found[tap].shape[-1])
            chosen = np.linspace(0, len(every) - 1, VECTORS).round().astype(int)
            vectors.setdefault(tap, []).append(every[chosen])
    return Scales(
        {tap: jnp.stack(values) for tap, values in grams.items()},
        {tap: jnp.asarray(np.stack(values)) for tap, values in vectors.items()},
        jnp.asarray(flow(coarse, params.spec.detail)),
        jnp.asarray([width, height], jnp.float32),
        side,
    )


@partial(jax.jit, static_argnames=("loss",))
def _features(encoder: Params, images: Image, loss: Loss) -> dict[str, Features]:
    return loss.features(encoder, images, loss.style_taps)


def window_side(stage: Enlarge, shape: tuple[int, ...]) -> int:
    """Pixels along a window's side: the stage's, or as many as a small picture has at the lowest zoom."""
    return min(stage.side, math.floor(min(shape[:2]) * stage.zooms[0]))


def windows(picture: np.ndarray, side: int) -> np.ndarray:
    """Square windows, evenly over a picture, that together cover it or are `MOST`: ``(n, side, side, 3)``.

    Of a picture with shorter sides they are as long as those.
    """
    sides = [min(side, n) for n in picture.shape[:2]]
    places = [
        np.linspace(0, n - s, -(-n // s)).round().astype(int) for n, s in zip(picture.shape[:2], sides, strict=True)
    ]
    corners = [(i, j) for i in places[0] for j in places[1]]
    chosen = np.unique(np.linspace(0, len(corners) - 1, min(MOST, len(corners))).round().astype(int))
    return np.stack([picture[i : i + sides[0], j : j + sides[1]] for i, j in (corners[k] for k in chosen)])


def flow(picture: np.ndarray, cells: int) -> np.ndarray:
    """Directions along the edges of a picture, from its structure tensor: control points of splines.

    Args:
      picture: ``(H, W, 3)``.
      cells: along either side.

    Returns:
      float32 ``(cells + 2, cells + 2, 2)``, cosine and sine of twice the angle, times how clear it is, in [0, 1].
    """
    grey = picture.mean(-1, dtype=np.float64)
    down, across = np.gradient(grey)
    tensor = np.stack([down**2 - across**2, -2 * down * across], axis=-1)  # the edge is normal to the gradient
    reach = math.ceil(3 * _BLUR)
    kernel = np.exp(-((np.arange(-reach, reach + 1) / _BLUR) ** 2) / 2)
    for axis in (0, 1):
        around = [(0, 0)] * 3
        around[axis] = (reach, reach)
        padded = np.pad(tensor, around, mode="edge")
        tensor = np.lib.stride_tricks.sliding_window_view(padded, len(kernel), axis) @ (kernel / kernel.sum())
    tensor /= np.linalg.norm(tensor, axis=-1, keepdims=True) + 1e-4
    at = [np.clip(np.round((np.arange(cells + 2) - 0.5) / cells * n - 0.5), 0, n - 1).astype(int) for n in grey.shape]
    return tensor[at[0]][:, at[1]].astype(np.float32)


# ---- the objective -----------------------------------------------------------------------------------------


def objective(
    key: Array, params: InrParams, encoder: Params, data: Scales, loss: Loss, stage: Enlarge, weight: Array
) -> tuple[Array, dict[str, Array]]:
    """The loss of one step.

    Args:
      key: decides zoom, places and vectors.
      params: the picture; only its layers of detail have a gradient.
      encoder: the VGG that ``data`` was made with.
      data: from `targets`.
      loss: the layers.
      stage: the weights, and how many windows there are.
      weight: of ``coarse``, see `followed`.

    Returns:
      ``(loss, terms)``: ``style``, the Gram matrices' squared distances relative to the painting's squared norm,
      summed over layers; ``vectors``, the relaxed earth mover's distances; ``coarse``, the mean squared difference of
      colours to the coarse picture.
    """
    k_zoom, k_places, k_vectors = jax.random.split(key, 3)
    low, high = stage.zooms
    zoom = low * jnp.power(high / low, jax.random.uniform(k_zoom, (), jnp.float32))
    corners = _corners(k_places, stage.windows) * (data.fitted - data.side / zoom)[None]
    one = partial(_window, params, detail.View(data.fitted, zoom), data.side, math.ceil(data.side / low), loss)
    shown, coarse = jax.lax.map(one, corners)
    found = loss.features(encoder, shown, loss.style_taps)
    place = jnp.clip(jnp.log2(zoom), 0, len(ZOOMS) - 1)
    first = jnp.minimum(place.astype(jnp.int32), len(ZOOMS) - 2)
    style = jnp.zeros((), jnp.float32)
    for tap, grams in data.grams.items():
        wanted = grams[first] + (place - first) * (grams[first + 1] - grams[first])
        own, matrices = jnp.square(wanted).sum(), gram(found[tap])
        together = jnp.square(matrices.mean(0) - wanted).sum() / own
        each = jnp.square(matrices - wanted[None]).sum((1, 2)) / own
        style += together + stage.each * each.mean()
    near = jnp.zeros((), jnp.float32)
    for number, (tap, vectors) in enumerate(data.vectors.items()):
        some = sample_positions(jax.random.fold_in(k_vectors, number), found[tap], stage.vectors)
        near += remd(some.reshape(1, -1, some.shape[-1]), vectors[jnp.round(place).astype(jnp.int32)][None])
    terms = {"style": style, "vectors": near, "coarse": coarse.mean()}
    return style + stage.near * near + weight * terms["coarse"], terms


def followed(weight: Array, coarse: Array, stage: Enlarge) -> Array:
    """The weight of the coarse term after a step: larger where windows were further from the coarse picture than
    ``stage.psnr`` says, smaller where they were nearer."""
    beyond = coarse * 10 ** (stage.psnr / 10) - 1
    return weight * jnp.exp(stage.pace * jnp.clip(beyond, -1, 1))


def _corners(key: Array, count: int) -> Array:
    """Where windows begin, ``(count, 2)`` in [0, 1): of every four one in each quarter."""
    places = jax.random.uniform(key, (count, 2), jnp.float32)
    quarter = np.arange(count // 4 * 4)[:, None] // np.array([[1, 2]]) % 2
    return places.at[: len(quarter)].set((places[: len(quarter)] + jnp.asarray(quarter, jnp.float32)) / 2)


def _window(
    params: InrParams, seen: detail.View, side: int, most: int, loss: Loss, corner: Array
) -> tuple[Image, Array]:
    """A window, ``(side, side, 3)``, and the mean squared difference of what it is on average over the pixels of the
    coarse picture that lie in it, at most ``most`` along either side, to that.

    ``corner`` is where the window begins, (x, y) in pixels of the coarse picture.
    """
    edges = [corner[k] + jnp.arange(side + 1, dtype=jnp.float32) / seen.zoom for k in (0, 1)]
    first = [jnp.ceil(corner[k]) for k in (0, 1)]
    whole = [first[k] + jnp.arange(most, dtype=jnp.float32) for k in (0, 1)]

    def coordinates(places: Array, k: int) -> Array:
        return places * (2 / seen.fitted[k]) - 1

    full, dtype = jnp.ones((), jnp.float32), jnp.dtype(loss.dtype)
    x, y = (coordinates((edges[k][1:] + edges[k][:-1]) / 2, k) for k in (0, 1))
    chunk = CHUNK.get(jax.default_backend(), side * side)
    shown = render_grid(params, x, y, full, chunk=chunk, seen=seen, dtype=dtype)
    across, down = (_shares(edges[k], cells) for k, cells in enumerate(whole))
    small = jnp.einsum("yi,ijc,xj->yxc", down, shown, across)
    columns, rows = (coordinates(cells + 0.5, k) for k, cells in enumerate(whole))
    wanted = evaluate_grid(params, columns, rows, full, dtype=dtype)
    inside = [cells + 1 <= edges[k][-1] for k, cells in enumerate(whole)]
    counts = (inside[1][:, None] & inside[0][None]).astype(jnp.float32)[..., None]
    difference = jnp.square(small - jax.lax.stop_gradient(wanted)) * counts
    return shown, difference.sum() / jnp.maximum(3 * counts.sum(), 1)


def _shares(edges: Array, cells: Array) -> Array:
    """How much of each pixel between ``edges`` ``(n + 1,)`` lies in the cells ``[c, c + 1]``: ``(len(cells), n)``."""
    ends = jnp.minimum(edges[None, 1:], cells[:, None] + 1)
    return jnp.maximum(ends - jnp.maximum(edges[None, :-1], cells[:, None]), 0)
