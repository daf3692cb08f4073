"""From content and style features to what the decoder sees: alignment (SAE, CGM), kernels (SKG), mixing."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxstyle.arrays import Array, ArrayLike, Features, Params, pytree
from jaxstyle.methods.style_kernel.attention import Keys, attend, unit
from jaxstyle.methods.style_kernel.kernels import separable, shuffle
from jaxstyle.methods.style_kernel.network import STYLE_TAPS, Config, Model
from jaxstyle.nets.stats import Moments, moments

_USUAL = 1024  # style positions at which sharpness is as learned
_WHOLE = 1 << 20  # pairs of positions, up to which attention is not computed in blocks
_LEAST = 0.05  # of the painting's deviation, whatever attention and gain say
_EVEN = 1e-4  # where the shares' sum is much less, all styles have the same share of the kernels


@pytree
class Style:
    """What is kept of K paintings.

    Attributes:
      keys: ``(K, P, G, D)`` and values ``(K, P, G, V)``, standardised, of the first ``there`` of P positions.
      own: moments ``(K, C)`` that the values had.
      target: moments ``(K, C)`` that features should get: the values' own, or what `Aim` makes of them.
    """

    keys: Keys
    own: Moments
    target: Moments


class Seen(NamedTuple):
    """Content features, as they are compared with a style.

    Attributes:
      x: ``(N, H, W, C)``, IN(Z_c), float32.
      query: ``(N, H W, G, D)``, vectors of length 1.
      threshold: T ``(N, H W, G)``, or None without a gate.
    """

    x: Array
    query: Array
    threshold: Array | None


@pytree
class Aligned:
    """A style at the content's positions, all ``(N, H, W, C)`` float32.

    Attributes:
      z_cs: the aligned style feature (Eq. 2).
      mean, std: M and S, which standardised features get.
      kept: ``(N, H, W, G)``, share of the style's positions that the gate lets through; None of a mixture.
    """

    z_cs: Array
    mean: Array
    std: Array
    kept: Array | None


class Transformed(NamedTuple):
    """What comes of content and style features.

    Attributes:
      z: ``(N, H, W, 512)``, what the decoder sees.
      z_cs: ``(N, H, W, 512)`` float32, the aligned style feature.
      kept: ``(N, H, W)``, share of the style's positions that the gate lets through, the mean of all heads.
    """

    z: Features
    z_cs: Array
    kept: Array


# ---- the style's side --------------------------------------------------------------------------------------


def describe(
    params: Params,
    model: Model,
    features: Mapping[str, Features],
    *,
    size: Array | None = None,
    positions: int | None = None,
) -> Style:
    """What there is to know of styles.

    Args:
      params: as `Model.params`; ``model.params`` are not looked at.
      model: the static configuration.
      features: of N styles, by layer: ``relu4_1``, and with a learned aim those of `STYLE_TAPS`.
      size: (2,), height and width of the pictures where they are smaller than the features, pixels.
      positions: P, so many are kept, whatever is in them; by default as many as needed, at most ``config.positions``.

    Returns:
      N styles.
    """
    config, f = model.config, features["relu4_1"]
    n, h, w, _ = f.shape
    grid = None if size is None else size // 8
    found = moments(f, size=grid)
    from jaxstyle.methods.style_kernel.parts import parts

    nets = parts(config, model.arch, model.dtype)
    standard = _standard(f, found)
    keys = nets["key"].apply({"params": params["key"]}, standard, grid)
    values, own = standard, found
    if config.values:
        mapped = nets["value"].apply({"params": params["value"]}, f, grid)
        own = moments(mapped, size=grid)  # type: ignore[arg-type]
        values = _standard(mapped, own)  # type: ignore[arg-type]
    target = own
    if config.aim:
        seen = {tap: moments(features[tap], size=_at(tap, size)) for tap in STYLE_TAPS}
        aimed = nets["aim"].apply({"params": params["aim"]}, seen)
        target = Moments(own.mean + (aimed.mean - found.mean), own.std + (aimed.std - found.std))  # type: ignore[union-attr]
    most = min(config.positions, h * w) if positions is None else positions
    taken, count = _evenly(h, w, most, grid)
    keys, values = (jnp.take(x.reshape(n, h * w, -1), taken, axis=1) for x in (keys, values))  # type: ignore[union-attr]
    keys, values = (x.reshape(n, most, config.heads, -1) for x in (keys, values))
    return Style(Keys(unit(keys), values, jnp.broadcast_to(count, (n,))), own, target)


def _standard(x: Features, found: Moments) -> Array:
    """Features ``(N, H, W, C)`` of mean 0 and deviation 1, float32."""
    return (x.astype(jnp.float32) - found.mean[:, None, None]) / found.std[:, None, None]


def _at(tap: str, size: Array | None) -> Array | None:
    """The picture's size in pixels at a layer."""
    return None if size is None else size // 2 ** (int(tap[4]) - 1)


def _coarser(grid: ArrayLike | tuple[int, int], most: int) -> tuple[Array, Array, Array, Array]:
    """Rows and columns, and how many rows and columns of about the same proportions have at most so many positions."""
    rows, columns = jnp.asarray(grid, jnp.int32)
    by = jnp.sqrt(jnp.maximum(rows.astype(jnp.float32) * columns / most, 1))
    tall = jnp.clip((rows / by).astype(jnp.int32), 1, jnp.minimum(rows, most))
    return rows, columns, tall, jnp.clip(most // tall, 1, columns)


def kept_grid(config: Config, h: int, w: int) -> tuple[int, int]:
    """Rows and columns of the positions that `describe` keeps of a style of so many."""
    _, _, tall, wide = _coarser((h, w), min(config.positions, h * w))
    return int(tall), int(wide)


def _evenly(h: int, w: int, most: int, grid: Array | None) -> tuple[Array, Array]:
    """Which of ``h * w`` positions are taken: at most so many of the first ``grid`` rows and columns, a regular grid.

    Returns:
      Indices ``(most,)``, and how many of them, the first ones, are positions: a float, as all in a style.
    """
    rows, columns, tall, wide = _coarser((h, w) if grid is None else grid, most)
    at = jnp.arange(most, dtype=jnp.int32)
    y, x = ((2 * i + 1) * many // (2 * few) for i, many, few in ((at // wide, rows, tall), (at % wide, columns, wide)))
    return jnp.minimum(y, h - 1) * w + jnp.minimum(x, w - 1), (tall * wide).astype(jnp.float32)


# ---- the content's side ------------------------------------------------------------------------------------


def look(params: Params, model: Model, z_c: Features, own: Moments, *, size: Array | None = None) -> Seen:
    """What content features ask a style for.

    Args:
      params, model: as in `describe`.
      z_c: ``(N, H, W, C)``.
      own: moments of the whole picture's features.
      size: (2,), rows and columns of ``z_c`` that are the picture's; by default all.
    """
    config = model.config
    from jaxstyle.methods.style_kernel.parts import parts

    nets = parts(config, model.arch, model.dtype)
    x = _standard(z_c, own)
    n, h, w, _ = x.shape
    query = nets["query"].apply({"params": params["query"]}, x, size)
    threshold = None
    if config.gated:
        threshold = nets["psi"].apply({"params": params["psi"]}, x, size).reshape(n, h * w, config.heads)  # type: ignore[union-attr]
    return Seen(x, unit(query.reshape(n, h * w, config.heads, -1)), threshold)  # type: ignore[union-attr]


def aligned(params: Params, model: Model, seen: Seen, style: Style, *, block: int | None = None) -> Aligned:
    """The style at the content's positions (Eq. 1 to 5), and the moments that come of it.

    Args:
      params, model: as in `describe`.
      seen: N contents.
      style: N styles.
      block: content positions at a time, see `attend`.
    """
    config, shape = model.config, seen.x.shape
    found = attend(
        seen.query, style.keys, sharpness_of(params, config, style.keys.there), seen.threshold, block=block,
        dtype=model.dtype,
    )  # fmt: skip
    m, s = found.mean.reshape(shape), found.deviation.reshape(shape)
    own, target = (Moments(*(part[:, None, None] for part in each)) for each in (style.own, style.target))
    z_cs, mean = own.mean + own.std * m, target.mean + target.std * m
    if not config.normalised:
        mass = jnp.repeat(found.mass, shape[-1] // config.heads, axis=-1).reshape(shape)
        z_cs, mean = mass * z_cs, mass * mean
    std = target.std * s
    if config.base == "painting":
        of_mean, of_std = (params["gain"][i][None, None, None] for i in range(2))
        mean = target.mean + of_mean * target.std * m
        std = target.std * jnp.maximum(1 + of_std * (s - 1), _LEAST)
    return Aligned(z_cs, mean, std, found.kept.reshape(*shape[:3], config.heads))


def sharpness_of(params: Params, config: Config, count: Array) -> Array:
    """a of Eq. 1, ``(N, G)``: as learned, for styles of so many positions, ``(N,)``."""
    more = jnp.log(jnp.maximum(count, 2)) / jnp.log(float(_USUAL))
    return jnp.exp(params["sharpness"])[None] * (more**config.growth)[:, None]


def modulate(
    params: Params, model: Model, x: Array, seen: Array, found: Aligned, *, size: Array | None = None
) -> Array:
    """``Z~ = S [x * (d + F1) * (d + F2)] + M + S B`` (Eq. 6).

    Differs from the paper: kernels and bias are relative to the moments that the style has there, so that phi begins
    with zeros.

    Args:
      params, model: as in `describe`.
      x: IN(Z_c), or its channels in another order, ``(N, H, W, C)``.
      seen: IN(Z_c), which phi sees.
      found: the aligned style.
      size: (2,), rows and columns that are the picture's; by default all.

    Returns:
      ``(N, H, W, C)`` float32.
    """
    if not model.config.kernels:
        return found.std * x + found.mean
    sees = jnp.concatenate([found.z_cs, seen], axis=-1) if model.config.content else found.z_cs
    from jaxstyle.methods.style_kernel.parts import parts

    net = parts(model.config, model.arch, model.dtype)["phi"]
    column, row, bias = net.apply({"params": params["phi"]}, sees, size)  # type: ignore[misc]
    return found.std * (separable(x, column, row, size=size) + bias) + found.mean


def transform(
    params: Params,
    model: Model,
    f_c: Mapping[str, Features],
    f_s: Mapping[str, Features],
    *,
    key: Array | None = None,
) -> Transformed:
    """What the decoder sees of contents and styles, at full degree of style.

    Args:
      params: as `Model.params`, differentiable; ``model.params`` are not looked at.
      model: the static configuration.
      f_c: features of N contents by layer: ``relu4_1``.
      f_s: features of N styles by layer: ``relu4_1``, with a learned aim all of `STYLE_TAPS`.
      key: PRNG key of grouped shuffling, if the configuration has it; None: without, as at inference.

    Returns:
      Features for `decode`, and what losses and logs look at.
    """
    z_c = f_c["relu4_1"]
    style = describe(params, model, f_s)
    seen = look(params, model, z_c, moments(z_c))
    pairs = seen.query.shape[1] * style.keys.keys.shape[1]
    found = aligned(params, model, seen, style, block=None if pairs <= _WHOLE else model.config.block)
    x = shuffle(key, seen.x) if model.config.shuffled and key is not None else seen.x
    z = modulate(params, model, x, seen.x, found)
    return Transformed(z.astype(z_c.dtype), found.z_cs, found.kept.mean(-1))  # type: ignore[union-attr]


def mix(
    model: Model, z_c: Features, style: Style, shares: Array, *, source: Moments, size: Array | None = None
) -> Features:
    """What the decoder sees of several styles with shares: ``(1 - sum_k w_k) Z_c + sum_k w_k Z~`` at every position,
    w being ``model.full`` times the shares.

    There is one Z~: aligned styles and moments are mixed, relative to the sum of the shares, before the kernels are
    made of them (the supplement's style interpolation).

    Args:
      model: the model.
      z_c: ``(1, H, W, C)``.
      style: K styles.
      shares: ``(1, H, W, K)``, H and W may be 1; not negative, with sums of at most 1.
      source: the content's moments ``(1, C)``, of the whole picture.
      size: (2,), rows and columns of ``z_c`` that are the picture's; by default all.

    Returns:
      ``(1, H, W, C)`` in the type of ``z_c``.
    """
    params, config = model.params, model.config
    seen = look(params, model, z_c, source, size=size)
    total = shares.sum(-1, keepdims=True)
    parts_of = (shares + _EVEN / shares.shape[-1]) / (total + _EVEN)

    def add(sums: Aligned, one: tuple[Style, Array]) -> tuple[Aligned, None]:
        alone, part = one
        found = aligned(params, model, seen, jax.tree.map(lambda leaf: leaf[None], alone), block=config.block)
        found = dataclasses.replace(found, kept=None)  # nobody asks for it
        return jax.tree.map(lambda a, b: a + part[..., None] * b, sums, found), None

    none = jnp.zeros(seen.x.shape, jnp.float32)
    found, _ = jax.lax.scan(add, Aligned(none, none, none, None), (style, jnp.moveaxis(parts_of, -1, 0)))
    z = modulate(params, model, seen.x, seen.x, found, size=size)
    total *= model.full
    return (total * z + (1 - total) * z_c.astype(jnp.float32)).astype(z_c.dtype)
