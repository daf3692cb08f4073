"""What is rendered of a fitted picture: how large, which part of it, and with which degree of style at every place.

A `View` is what is asked for, a `Scene` what can be rendered: the pictures among the options are open.

Degrees are those of `jaxstyle.controls.degree`, but as functions of a place, so that pictures of any size are
rendered window by window and a zoom shows what the whole picture has there. Alpha maps, masks and gradients lie over
the whole picture. Maps are interpolated linearly between the centres of their pixels; those that are larger than the
picture are averaged.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypedDict

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxstyle import image
from jaxstyle.arrays import Array
from jaxstyle.controls.controls import Controls, Size
from jaxstyle.controls.degree import ResizedMap, gradient_at, mix, open_maps, product, same_shape
from jaxstyle.image.windows import Source
from jaxstyle.methods.inr.picture import Picture, points_in, sizeless, view_of
from jaxstyle.methods.inr.rendering import CHUNK, checked_region, render_grid
from jaxstyle.nets import coords as places

TILE = {"cpu": 512}
"""Side of the tiles, by kind of device."""
_TILE_ELSEWHERE = 1024
_CHUNK_ELSEWHERE = _TILE_ELSEWHERE**2 // 8

Degree = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Rows' and columns' coordinates, float64 ``(h,)`` and ``(w,)`` -> degree of style, float32 ``(h, w)``."""


class ViewFields(TypedDict, total=False):
    """The fields of `View` that are always given by name, as keyword arguments."""

    alpha_map: image.Source | None
    gradient: str | None
    mask: image.Source | Sequence[image.Source] | None
    mask_alpha: float | Sequence[float] | None
    region: places.Box


@dataclass(frozen=True)
class View:
    """What is shown of a fitted picture.

    Attributes:
      size: (width, height) in pixels, or the short side; by default as the picture that was fitted to.
      alpha: degree of style in [0, 1], 0 = content, 1 = full style.
      alpha_map: a grey picture of the degree of style, white = 1; multiplies ``alpha``.
      gradient: the same from a line such as ``"left:0,right:1"``, see `jaxstyle.controls.controls.parse_gradient`;
        multiplies both.
      mask: grey pictures, white where ``mask_alpha`` holds; elsewhere it is ``alpha`` with its map and gradient. Soft
        masks mix. Maps and masks may have any size, but the shape of the picture.
      mask_alpha: a degree of style for every mask; a number where there is one mask.
      region: left, top, right and bottom edge of the part to show; the whole is (-1, -1, 1, 1). Alpha map, gradient and
        masks stay where they are on the whole picture.
    """

    size: Size | None = None
    alpha: float = 1.0
    alpha_map: image.Source | None = None
    gradient: str | None = None
    mask: tuple[image.Source, ...] | None = None
    mask_alpha: tuple[float, ...] | None = None
    region: places.Box = places.WHOLE

    def __post_init__(self) -> None:
        """Brings lists to tuples; raises ValueError naming the field that is out of range."""
        chosen = self.controls
        for name in ("size", "alpha", "alpha_map", "mask"):
            object.__setattr__(self, name, getattr(chosen, name))
        object.__setattr__(self, "mask_alpha", _checked_mask_alpha(len(self.mask or ()), self.mask_alpha))
        object.__setattr__(self, "region", checked_region(self.region))

    @property
    def controls(self) -> Controls:
        """Those of its fields that are controls."""
        return Controls(
            alpha=self.alpha, alpha_map=self.alpha_map, gradient=self.gradient, mask=self.mask, size=self.size
        )


@dataclass(frozen=True, eq=False)
class Scene:
    """A picture that can be rendered.

    Attributes:
      params: of the fitted network.
      width, height: in pixels.
      region: what is shown, see `View`.
      degree: of style, a number or a function of the place.
      notices: sentences for the user about maps and masks.
    """

    params: Picture
    width: int
    height: int
    region: places.Box
    degree: float | Degree
    notices: tuple[str, ...] = ()


def shown_size(
    fitted: tuple[int, int], size: int | tuple[int, int] | None, region: places.Box = places.WHOLE
) -> tuple[int, int]:
    """(width, height) in pixels.

    Args:
      fitted: (width, height) of the picture fitted to, which gives the shape.
      size: (width, height), or the short side; by default the region fills as much as it can of ``fitted``.
      region: the part that is shown.
    """
    if isinstance(size, tuple):
        return size
    wide, tall = (fitted[i] * (region[i + 2] - region[i]) / 2 for i in (0, 1))
    scale = min(fitted[0] / wide, fitted[1] / tall) if size is None else size / min(wide, tall)
    return max(1, math.floor(wide * scale + 0.5)), max(1, math.floor(tall * scale + 0.5))


@contextlib.contextmanager
def open_scene(params: Picture, view: View, *, max_pixels: int = image.MAX_PIXELS) -> Iterator[Scene]:
    """Opens the maps and masks of a view.

    Args:
      params: a fitted picture.
      view: what is shown of it.
      max_pixels: of each map and mask.

    Raises:
      ImageError: a map or mask cannot be read, or has another shape than the picture.
    """
    region = view.region
    width, height = shown_size(params.size, view.size, region)
    whole = (2 * width / (region[2] - region[0]), 2 * height / (region[3] - region[1]))
    with open_maps(view.controls, max_pixels=max_pixels) as maps:
        masks = maps.mask or ()
        names = [name if isinstance(name, str) else "mask" for name in view.mask or ()]
        named = list(zip(names, masks, strict=True))
        if maps.alpha_map is not None:
            named.append((view.alpha_map if isinstance(view.alpha_map, str) else "alpha_map", maps.alpha_map))
        for name, source in named:
            _check_shape(name, source.shape, whole, params.size)
        base = _base(view, maps.alpha_map, whole)
        degree = _masked(base, [_placed(mask, whole) for mask in masks], view.mask_alpha or ()) if masks else base
        yield Scene(params, width, height, region, degree, maps.notices)


def _checked_mask_alpha(count: int, mask_alpha: Any) -> tuple[float, ...]:
    """A degree of style in [0, 1] for every one of ``count`` masks; of a single one it may be given as a number.

    Raises:
      ValueError: there is not.
    """
    if mask_alpha is None:
        if count:
            raise ValueError("mask: needs mask_alpha, one degree of style per mask (or give the picture as alpha_map)")
        return ()
    try:
        given = tuple(np.asarray(mask_alpha, np.float64).reshape(-1).tolist())
    except (TypeError, ValueError):
        raise ValueError(f"mask_alpha: expected numbers in [0, 1], one per mask, got {mask_alpha!r}") from None
    if given and not count:
        raise ValueError("mask_alpha: is for masks, and there is none")
    if len(given) != count:
        raise ValueError(f"mask_alpha: expected {count}, one per mask, got {len(given)}")
    for value in given:
        if not 0 <= value <= 1:  # NaN neither
            raise ValueError(f"mask_alpha: expected numbers in [0, 1], got {value!r}")
    return given


def _check_shape(name: str, shape: tuple[int, ...], whole: tuple[float, float], fitted: tuple[int, int]) -> None:
    """A map may have any size, but the shape of the whole picture: of that which is fitted, or as it is rendered."""
    if not any(same_shape(shape, tall, wide) for wide, tall in (whole, fitted)):
        (height, width), (wide, tall) = shape, (round(side) for side in whole)
        raise image.ImageError(
            name,
            f"its {width} x {height} pixels have another shape than the picture, {wide} x {tall}; "
            "any size of the same shape will do",
        )


# ---- degree of style ---------------------------------------------------------------------------------------


def _base(view: View, alpha_map: Source | None, whole: tuple[float, float]) -> float | Degree:
    """``alpha`` times the alpha map times the gradient, as in `jaxstyle.controls.degree.degree`."""
    parts: list[Degree] = []
    if alpha_map is not None:
        parts.append(_placed(alpha_map, whole))
    if view.gradient is not None:
        spec = view.gradient

        def gradient(y: np.ndarray, x: np.ndarray) -> np.ndarray:
            return gradient_at(spec, _between_centres(y, whole[1]), _between_centres(x, whole[0]))

        parts.append(gradient)
    return product(view.alpha, parts) if parts else view.alpha


def _between_centres(values: np.ndarray, size: float) -> np.ndarray:
    """Coordinates on a scale that is 0 at the first of ``size`` pixels and 1 at the last."""
    return ((values + 1) / 2 * size - 0.5) / (size - 1) if size > 1 else np.full(len(values), 0.5)


def _masked(base: float | Degree, masks: list[Degree], alphas: Sequence[float]) -> Degree:
    """Where masks are, their own degrees; they share a place as styles do, see `jaxstyle.controls.degree.mix`."""

    def degree(y: np.ndarray, x: np.ndarray) -> np.ndarray:
        shares = mix(len(masks), None, [mask(y, x) for mask in masks])
        rest = base(y, x) if callable(base) else np.float32(base)
        found = (1 - shares.sum(-1)) * rest + (shares * np.asarray(alphas, np.float32)).sum(-1)
        return np.clip(found, 0, 1).astype(np.float32)

    return degree


def _placed(source: Source, whole: tuple[float, float]) -> Degree:
    """`jaxstyle.nets.coords.resample` of a map that is read in windows."""
    sides = tuple(min(side, max(1, round(most))) for side, most in zip(source.shape, whole[::-1], strict=True))
    seen = source if sides == source.shape else ResizedMap(source, *sides)

    def values(y: np.ndarray, x: np.ndarray) -> np.ndarray:
        (y0, y1, down), (x0, x1, across) = (places.neighbours(v, n) for v, n in zip((y, x), sides, strict=True))
        top, left = int(y0.min()), int(x0.min())
        window = seen.read(top, int(y1.max()) + 1, left, int(x1.max()) + 1)
        rows = window[y0 - top] * (1 - down[:, None]) + window[y1 - top] * down[:, None]
        return rows[:, x0 - left] * (1 - across) + rows[:, x1 - left] * across

    return values


# ---- samples -----------------------------------------------------------------------------------------------


class Painter:
    """Renders tiles of a scene, all of one size, on all devices together.

    Attributes:
      scene, bits: what is rendered, and the bits of its samples.
      dtype: of the samples.
      rows, columns: of a tile, in pixels.
      down, across: how many tiles the picture has, in rows and columns of them; ``count`` in all.
      points: averaged in a pixel, across and down.
      platform, kind: of the devices.
    """

    def __init__(
        self,
        scene: Scene,
        bits: int = 8,
        *,
        tile: int | None = None,
        devices: Sequence[jax.Device] | None = None,
    ) -> None:
        """
        Args:
          scene: the picture.
          bits: 8 or 16, of the samples.
          tile: the largest side of a tile in pixels; by default `TILE` of the device.
          devices: by default all that this process has.
        """
        used = jax.local_devices() if devices is None else list(devices)
        self.platform, self.kind = used[0].platform, used[0].device_kind
        self.scene, self.bits, self.dtype = scene, bits, np.dtype(np.uint8 if bits == 8 else np.uint16)
        self._mesh = Mesh(np.array(used), ("chunks",)) if len(used) > 1 else None
        everywhere = NamedSharding(self._mesh, PartitionSpec()) if self._mesh else used[0]
        shown = scene.params, scene.width, scene.height, scene.region
        seen, self.points = view_of(*shown), points_in(*shown)
        bare = sizeless(scene.params)  # one program for all pictures
        self._params, self._seen = jax.device_put((bare, seen), everywhere)
        side = TILE.get(self.platform, _TILE_ELSEWHERE) if tile is None else tile
        self.down, self.across = -(-scene.height // side), -(-scene.width // side)
        self.count = self.down * self.across
        self.rows, self.columns = -(-scene.height // self.down), -(-scene.width // self.across)
        self._chunk = CHUNK.get(self.platform, _CHUNK_ELSEWHERE)

    def __call__(self, number: int, factor: float = 1.0) -> Array:
        """The tile ``number``, counted along the rows: uint8 or uint16 ``(rows, columns, 3)``; it may not be finished
        yet. What lies beyond the picture's edge repeats it.

        Args:
          number: from 0 to ``count - 1``.
          factor: of the degree of style, in [0, 1].
        """
        scene, (x0, y0, x1, y1) = self.scene, self.scene.region
        top, left = number // self.across * self.rows, number % self.across * self.columns
        y = places.axis(scene.height, y0, y1, top, min(top + self.rows, scene.height))
        x = places.axis(scene.width, x0, x1, left, min(left + self.columns, scene.width))
        missing = ((0, self.rows - len(y)), (0, self.columns - len(x)))
        if callable(scene.degree):
            alpha = np.pad(np.float32(factor) * scene.degree(y, x), missing, mode="edge")
        else:
            alpha = np.asarray(factor * scene.degree, np.float32)
        across, down = self.points
        if (across, down) != (1, 1):
            y = places.axis(scene.height * down, y0, y1, top * down, min(top + self.rows, scene.height) * down)
            x = places.axis(scene.width * across, x0, x1, left * across, min(left + self.columns, scene.width) * across)
            missing = (0, missing[0][1] * down), (0, missing[1][1] * across)
        y, x = (np.pad(values, grow, mode="edge") for values, grow in zip((y, x), missing, strict=True))
        if (across, down) != (1, 1):
            y, x = y.reshape(-1, down), x.reshape(-1, across)
        arrays = self._params, np.float32(x), np.float32(y), alpha, self._seen
        return _samples(*arrays, chunk=self._chunk, mesh=self._mesh, bits=self.bits)


@partial(jax.jit, static_argnames=("chunk", "mesh", "bits"))
def _samples(
    params: Picture,
    x: Array,
    y: Array,
    alpha: Array,
    seen: Any,
    *,
    chunk: int,
    mesh: Any,
    bits: int,
) -> Array:
    """`render_grid`, rounded as in `jaxstyle.image.encode.quantise`."""
    colours = render_grid(params, x, y, alpha, chunk=chunk, seen=seen, mesh=mesh)
    full = 2**bits - 1
    return jnp.floor(jnp.clip(colours, 0, 1) * full + 0.5).astype(jnp.uint8 if bits == 8 else jnp.uint16)
