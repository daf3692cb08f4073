"""Pixels changed step by step until a picture is what its method is judged by: the photo's structure, the style's
statistics.

The objective is ``content + weight style``, see `Objective`: `structure_loss` of the deep features to the photo's, and
`style_loss` relative to the photo, of channel means and deviations. All that either must know of the picture are sums
over positions, `Sums`. So a picture in windows has the gradient of the picture as a whole: the windows' sums are added
up, `slope` says how the objective changes with them, and `pull` brings that back to a window's pixels. A picture that
one window holds takes all of it in one program, `descend`.

**Mixtures.** The photo counts as one more style, with what the shares leave to 1. Where shares are the same everywhere
the aim is the mixture of the moments, as AdaIN mixes (Eq. 15 of arXiv:1703.06868). Where they differ every style has
its own statistics, weighted by its share, and the content is compared weighted so as well; all weigh by their area.

**Steps.** A picture is a sum of coarser and coarser pictures (`drawn`), whose samples are what is changed, each by
Adam: large areas then change colour in few steps, and not by noise of the pixels.
"""

from __future__ import annotations

import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxstyle.arrays import Array, ArrayLike, Features
from jaxstyle.methods.interface import Model, Objective, Window, inside, reach
from jaxstyle.nets.losses import OWN, STANDARDISE_EPS
from jaxstyle.nets.stats import EPS, Moments, moments

LEVELS = 4
"""How many coarser pictures there are beside that of the pixels, each half as large."""

RATE = 0.01
"""The first step of every level, where 1 is from black to white."""
_KEEP, _REMEMBER = 0.6, 0.95  # of the momentum, and of the mean of squares
_FINEST = 0.7  # of the rate at the pixels, whose noise is seen first
_STILL = 1e-8  # where there is no gradient
_FEW = 1e-6  # of positions: groups that are nowhere

Aim = dict[str, Moments]
"""Statistics of K styles by layer, each ``(K, C)``."""


class Judging(NamedTuple):
    """Static facts: a method's objective, and of its windows those of `jaxstyle.methods.interface.Needs`."""

    objective: Objective
    stride: int
    smallest: int


class Sums(NamedTuple):
    """What a window adds to the objective: sums over its core, weighted by the shares of G groups.

    Features are taken less a reference, one number a channel, so that sums of squares keep their precision; channels
    that hardly respond in a small picture may lose some of it, up to 0.2 % of the objective.

    Attributes:
      weight: by layer ``(G,)``, of the weights.
      first, second: by layer ``(G, C)``, of the values and their squares.
      cross: ``(G, C)``, of the products with the photo's, content layer.
    """

    weight: dict[str, Array]
    first: dict[str, Array]
    second: dict[str, Array]
    cross: Array


class Held(NamedTuple):
    """What stays as it is while a picture is refined.

    Attributes:
      aim: of the styles.
      parts: ``(K,)``, the mean share of each style.
      reference: by layer ``(C,)``.
      photo: the sums of the photo. This and ``parts`` are None while they are being found.
    """

    aim: Aim
    parts: Array | None
    reference: dict[str, Array]
    photo: Sums | None


class State(NamedTuple):
    """A picture that is being refined.

    Attributes:
      levels: the picture and coarser ones, ``(1, h / 2^i, w / 2^i, 3)``; it is their sum.
      momentum: of the same shapes.
      power: of the same shapes, the running mean of squared gradients.
    """

    levels: list[Array]
    momentum: list[Array]
    power: list[Array]


# ---- the objective -----------------------------------------------------------------------------------------


def aim(objective: Objective, model: Model, pictures: Array, size: Array) -> Aim:
    """The statistics of styles.

    Args:
      objective, model: of the method.
      pictures: ``(K, h, w, 3)``, mirrored up to a multiple of the stride.
      size: (2,), height and width of what counts.
    """
    found = objective.features(model, pictures, size)
    tall = pictures.shape[1]
    return {tap: moments(found[tap], size=size // (tall // found[tap].shape[1])) for tap in objective.style}


def hold(aim: Aim) -> Held:
    """What is known before the photo is looked at."""
    return Held(aim, None, {tap: jnp.asarray(found.mean).mean(0) for tap, found in aim.items()}, None)


def held(before: Held, photo: Sums, shares: Array, tap: str) -> Held:
    """What is known once the photo was looked at.

    Args:
      before: from `hold`.
      photo: the sums of all of it.
      shares: of any of its windows.
      tap: any layer.
    """
    count = jnp.asarray(photo.weight[tap])
    parts = jnp.asarray(shares)[0, 0, 0] if len(count) == 1 else count[:-1] / count.sum()
    return before._replace(parts=parts, photo=photo)


def _features(judging: Judging, model: Model, pixels: Array, window: Window, held: Held) -> _Maps:
    """Of a window's pixels, less the reference: by layer ``(h, w, C)``."""
    found = judging.objective.features(model, pixels, inside(window, judging.stride, judging.smallest))
    return {tap: found[tap][0].astype(jnp.float32) - held.reference[tap][None, None] for tap in judging.objective.style}


_Maps = dict[str, Features]


def _weights(judging: Judging, window: Window) -> Array:
    """What part the groups have at the positions of a window's core, ``(h / stride, w / stride, G)``: one group that
    has all where shares are the same everywhere, else the styles and the photo."""
    shares = jnp.asarray(window.shares, jnp.float32)[0]
    grid = [side // judging.stride for side in window.pixels.shape[1:3]]
    core = jnp.asarray(window.core, jnp.int32).reshape(2, 2) - jnp.asarray(window.corner, jnp.int32)[:, None]
    core //= judging.stride
    rows, columns = (
        (jnp.arange(n, dtype=jnp.int32) >= first) & (jnp.arange(n, dtype=jnp.int32) < last)
        for n, (first, last) in zip(grid, core, strict=True)
    )
    counted = (rows[:, None] & columns[None, :])[..., None]
    if shares.shape[:2] == (1, 1):
        return counted.astype(jnp.float32)
    rest = jnp.maximum(0, 1 - shares.sum(-1, keepdims=True))
    return jnp.where(counted, jnp.concatenate([shares, rest], -1), 0)


def _sums(tap: str, weights: Array, found: _Maps, photo: Features) -> Sums:
    dot = partial(jnp.einsum, "hwg,hwc->gc", precision=lax.Precision.HIGHEST)
    count, first, second = {}, {}, {}
    for name, values in found.items():
        by = values.shape[0] // weights.shape[0]
        spread = jnp.repeat(jnp.repeat(weights, by, 0), by, 1)
        count[name] = weights.sum((0, 1)) * by**2
        first[name], second[name] = dot(spread, values), dot(spread, jnp.square(values))
    return Sums(count, first, second, dot(weights, found[tap] * photo))


def look(judging: Judging, model: Model, window: Window, held: Held) -> tuple[Features, Sums]:
    """The photo in a window: its features of the content layer ``(h, w, C)``, less the reference, and its sums."""
    found = _features(judging, model, window.pixels, window, held)
    photo = found[judging.objective.content]
    return photo, _sums(judging.objective.content, _weights(judging, window), found, photo)


def measure(judging: Judging, model: Model, pixels: Array, window: Window, photo: Features, held: Held) -> Sums:
    """The sums of a window with other pixels ``(1, h, w, 3)``; ``photo`` is what `look` found in it."""
    found = _features(judging, model, pixels, window, held)
    return _sums(judging.objective.content, _weights(judging, window), found, photo)


def value(objective: Objective, sums: Sums, held: Held) -> tuple[Array, dict[str, Array]]:
    """The objective of a picture with these sums.

    Args:
      objective: of the method.
      sums: of all of it.
      held: ``photo`` included.

    Returns:
      ``(loss, terms)``: a scalar, and the unweighted ``content`` and ``style``.
    """
    before = held.photo
    assert before is not None
    area = before.weight[objective.content] / before.weight[objective.content].sum()
    content = _content(objective.content, sums, before)
    style = jnp.zeros((), jnp.float32)
    for tap in objective.style:
        now, was = (_moments(tap, found, before.weight[tap]) for found in (sums, before))
        mixed, scale = _targets(tap, was, held)
        apart = jnp.square(now.mean - mixed.mean).mean(-1) + jnp.square(now.std - mixed.std).mean(-1)
        style += (area * apart).sum() / scale
    terms = {"content": (area * content).sum(), "style": style}
    return terms["content"] + objective.weight * style, terms


def _moments(tap: str, sums: Sums, count: Array) -> Moments:
    """Of every group, ``(G, C)``, less the reference."""
    n = jnp.maximum(count, _FEW)[:, None]
    mean = sums.first[tap] / n
    return Moments(mean, jnp.sqrt(jnp.maximum(sums.second[tap] / n - jnp.square(mean), 0) + EPS))


def _targets(tap: str, was: Moments, held: Held) -> tuple[Moments, Array]:
    """The moments that every group is to have, and what distances from them are divided by: see `style_loss`."""
    aims = held.aim[tap]
    reference, parts = held.reference[tap][None], held.parts
    assert parts is not None
    styles = Moments(aims.mean - reference, aims.std)
    one = was.mean.shape[0] == 1
    photos = was if one else Moments(was.mean[:-1], was.std[:-1])
    way = jnp.square(photos.mean - styles.mean).mean(-1) + jnp.square(photos.std - styles.std).mean(-1)
    own = jnp.square(aims.mean).mean(-1) + jnp.square(aims.std).mean(-1)
    some = parts.sum() > _FEW
    weights = jnp.where(some, parts, 1) / jnp.where(some, parts.sum(), len(parts))
    scale = (weights * (way + OWN * own)).sum()
    if one:
        rest = jnp.maximum(0, 1 - parts.sum())
        mixed = Moments(*((parts[:, None] * s).sum(0)[None] + rest * w for s, w in zip(styles, was, strict=True)))
    else:
        mixed = Moments(*(jnp.concatenate([s, w[-1:]]) for s, w in zip(styles, was, strict=True)))
    return mixed, jnp.maximum(scale, _FEW)


def _content(tap: str, sums: Sums, before: Sums) -> Array:
    """`structure_loss` of every group, (G,)."""
    n = jnp.maximum(before.weight[tap], _FEW)[:, None]
    mean, other = sums.first[tap] / n, before.first[tap] / n
    variance, fixed = (
        jnp.maximum(found.second[tap] / n - jnp.square(m), 0) for found, m in ((sums, mean), (before, other))
    )
    shared = sums.cross / n - mean * other
    a, b = variance + STANDARDISE_EPS, fixed + STANDARDISE_EPS
    return (variance / a + fixed / b - 2 * shared * lax.rsqrt(a * b)).mean(-1)


def slope(objective: Objective, sums: Sums, held: Held) -> tuple[Sums, dict[str, Array]]:
    """How the objective changes with the sums, and its terms, ``loss`` among them."""
    (loss, terms), found = jax.value_and_grad(partial(value, objective), has_aux=True)(sums, held)
    return found, {"loss": loss, **terms}


def pull(
    judging: Judging,
    model: Model,
    pixels: Array,
    window: Window,
    photo: Features,
    held: Held,
    slopes: Sums,
) -> Array:
    """What a window's core adds to the gradient of its pixels, ``(1, h, w, 3)``; it reaches beyond the core as far as
    the features see."""

    def along(pixels: Array) -> Array:
        found = measure(judging, model, pixels, window, photo, held)
        return sum(jnp.vdot(a, b) for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(slopes), strict=True))  # type: ignore[return-value]

    return jax.grad(along)(pixels)


# ---- steps -------------------------------------------------------------------------------------------------


def begin(pixels: ArrayLike) -> State:
    """A picture ``(1, h, w, 3)`` before the first step.

    Its levels reach a cell of the coarsest beyond it, at the bottom and right: what lies there and is no picture has no
    influence on the steps.
    """
    coarsest = 1 << LEVELS
    height, width = ((side // coarsest + 2) * coarsest for side in pixels.shape[1:3])  # type: ignore[union-attr]
    grow = ((0, 0), (0, height - pixels.shape[1]), (0, width - pixels.shape[2]), (0, 0))  # type: ignore[union-attr]
    finest = jnp.pad(jnp.asarray(pixels, jnp.float32), grow)
    levels = [finest, *(jnp.zeros((1, height >> i, width >> i, 3), jnp.float32) for i in range(1, LEVELS + 1))]
    return State(levels, [jnp.zeros_like(level) for level in levels], [jnp.zeros_like(level) for level in levels])


def drawn(levels: list[Array], height: int, width: int) -> Array:
    """The sum of the levels, ``(1, height, width, 3)``; coarser ones are enlarged, linear between centres of cells."""
    found = levels[-1]
    for level in levels[-2::-1]:
        found = _doubled(_doubled(found, 1), 2) + level
    return found[:, :height, :width]


def _doubled(x: Array, axis: int) -> Array:
    """Twice as many rows or columns; beyond the first and last are zeros."""
    size = x.shape[axis]
    around = jnp.pad(x, [(1, 1) if i == axis else (0, 0) for i in range(x.ndim)])
    before, after = (lax.slice_in_dim(around, start, start + size, axis=axis) for start in (0, 2))
    pairs = jnp.stack([0.75 * x + 0.25 * before, 0.75 * x + 0.25 * after], axis + 1)
    return pairs.reshape([2 * n if i == axis else n for i, n in enumerate(x.shape)])


def rate(step: int, steps: int) -> float:
    """How far the step with this number goes: half a cosine, from `RATE` down to a tenth of it."""
    return RATE * (0.1 + 0.45 * (1 + math.cos(math.pi * step / steps)))


def moved(state: State, gradient: list[Array], step: ArrayLike, size: ArrayLike, area: ArrayLike) -> State:
    """One step of Adam down the gradient of the levels (Kingma & Ba 2015, arXiv:1412.6980).

    Args:
      state: before.
      gradient: of the levels.
      step: its number, from 0 on.
      size: its `rate`.
      area: of the picture in pixels.
    """
    levels, momentum, power = [], [], []
    done = jnp.asarray(step, jnp.float32) + 1
    for number, (level, speed, mean, slopes) in enumerate(zip(*state, gradient, strict=True)):
        slopes = slopes * jnp.asarray(area, jnp.float32)  # of a size that does not depend on the picture's
        speed = _KEEP * speed + (1 - _KEEP) * slopes
        mean = _REMEMBER * mean + (1 - _REMEMBER) * jnp.square(slopes)
        root = jnp.sqrt(mean / (1 - _REMEMBER**done)) * (1 - _KEEP**done)
        levels.append(level - (size if number else _FINEST * size) * speed / (root + _STILL))
        momentum.append(speed)
        power.append(mean)
    return State(levels, momentum, power)


def descend(
    judging: Judging,
    model: Model,
    state: State,
    window: Window,
    photo: Features,
    held: Held,
    step: ArrayLike,
    size: ArrayLike,
) -> tuple[State, dict[str, Array]]:
    """A step of a picture that one window holds, all in one program; and the terms before it."""

    def loss(levels: list[Array]) -> tuple[Array, dict[str, Array]]:
        pixels = drawn(levels, *window.pixels.shape[1:3])
        return value(judging.objective, measure(judging, model, pixels, window, photo, held), held)

    (total, terms), gradient = jax.value_and_grad(loss, has_aux=True)(state.levels)
    return moved(state, gradient, step, size, _area(judging, window)), {"loss": total, **terms}


def descend_pixels(state: State, gradient: Array, step: ArrayLike, size: ArrayLike, area: ArrayLike) -> State:
    """The same step where the gradient of the pixels ``(1, h, w, 3)`` is there."""
    _, back = jax.vjp(lambda levels: drawn(levels, *gradient.shape[1:3]), state.levels)
    (slopes,) = back(gradient)
    return moved(state, slopes, step, size, area)


def _area(judging: Judging, window: Window) -> Array:
    far = reach(jnp.asarray(window.extent), judging.stride, judging.smallest)
    return (far[0] * far[1]).astype(jnp.float32)
