"""What a method is to the rest of the library: a few pure functions of windows.

A picture as a whole, a picture in a larger array that several sizes share, and a tile of a picture larger than memory
are one thing here: a `Window`. Painting has three steps. `encode` turns a window into features; `survey` says what
painting a window must know of the whole picture, and `merge` adds up the surveys of its windows; `paint` makes the
pixels. Where one window holds all of the picture, the three steps are one compiled program.

A method is one module that makes a `Method`, a line in `jaxstyle.methods.METHODS`, and a weight file of its kind with a
card. What all of them promise is tested on all of them by ``tests/test_methods.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

import jax.numpy as jnp
import numpy as np

from jaxstyle.arrays import Array, ArrayLike, Params

Model: TypeAlias = Any  # the method's own pytrees: parameters
Style: TypeAlias = Any  # all leaves (K, ...)
Features: TypeAlias = Any  # all leaves (1, h / s, w / s, C) of a window (1, h, w, 3), s a divisor of the stride
Survey: TypeAlias = Any


class Needs(NamedTuple):
    """Static facts about a model, for planning.

    Attributes:
      stride: sides of windows, and where they begin, are multiples of it, pixels.
      smallest: the least side of a window, pixels.
      margins: what `encode` and what `paint` see beyond a pixel, pixels, multiples of ``stride``.
      windowed: False where only whole pictures will do.
      mixes: whether several styles at once are possible.
      bytes_per_pixel: memory that painting a window takes, its arrays included.
      style_bytes: memory of an encoded style, about.
    """

    stride: int
    smallest: int
    margins: tuple[int, int]
    windowed: bool
    mixes: bool
    bytes_per_pixel: int
    style_bytes: int


class Window(NamedTuple):
    """A part of a picture, or all of it; traced, so that all windows of a plan share one program.

    The picture is mirrored (edge repeated) at its bottom and right up to a multiple of the stride and to the smallest
    side, again and again if it must: `reach`. What a window holds beyond that is finite and means nothing; it has no
    influence but rounding on what lies inside. All numbers are pixels.

    Attributes:
      pixels: ``(1, h, w, 3)``, sRGB in [0, 1].
      corner: ``(2,)`` int32, row and column of the picture at which the window begins.
      core: ``(4,)`` int32, top, bottom, left, right in the picture: what the window is for. The cores of a picture's
        windows cover it, up to its reach, without gap or overlap.
      extent: ``(2,)`` int32, height and width of the picture.
      shares: what part each of K styles has, the degree of style included, ``(1, h / stride, w / stride, K)``, or
        ``(1, 1, 1, K)`` where it is the same everywhere; not negative, the sums at most 1, the rest is content.
    """

    pixels: Array
    corner: ArrayLike
    core: ArrayLike
    extent: ArrayLike
    shares: ArrayLike


class Objective(NamedTuple):
    """What paintings of a method are judged by, so that they can be refined (`jaxstyle.methods.refine`): the photo's
    structure in one layer, and in several the style's channel means and deviations.

    Attributes:
      features: ``(model, pictures (N, h, w, 3), size (2,))`` -> ``{layer: (N, h / s, w / s, C)}``, s a divisor of the
        stride. Pictures are mirrored up to their reach as a window's are, and ``size`` says how far they go.
      style: layers of whose features means and deviations are compared, see `jaxstyle.nets.losses.style_loss`.
      content: that of them whose standardised features are compared, see `jaxstyle.nets.losses.structure_loss`.
      weight: of the style, that of the content is 1.
      bytes_per_pixel: memory that the gradient of a window takes.
    """

    features: Callable[[Model, ArrayLike, ArrayLike], dict[str, Array]]
    style: tuple[str, ...]
    content: str
    weight: float
    bytes_per_pixel: int


class Adaptable(NamedTuple):
    """The part of a model that can be fitted to one painting (`jaxstyle.methods.fit_style`).

    Attributes:
      part: model -> its parameters that are fitted; no style depends on them.
      replaced: ``(model, part)`` -> the model with others.
    """

    part: Callable[[Model], Params]
    replaced: Callable[[Model, Params], Model]


class _Load(Protocol):
    def __call__(self, source: str, /) -> Model: ...


class Method(NamedTuple):
    """A method, all of whose functions are pure; jit, with the method static, is up to whoever calls them.

    Attributes:
      kind: what its weight files are called inside.
      model: the type of its models.
      load: name or path of a weight file -> model. Raises WeightsError.
      save: ``(path, model, **metadata)``: the weight file of a model, kernels in half precision.
      needs: model -> `Needs`.
      encode_style: ``(model, pictures (K, h, w, 3), extents (K, 2))`` -> style. The pictures are mirrored up to their
        reach as a window's are; not traced: it compiles what it needs itself.
      encode: ``(model, window)`` -> features.
      survey: ``(model, features, style, window)`` -> what painting must know of the whole picture, from the core alone.
      merge: two surveys -> the survey of both, on the host, NumPy arrays; float64 where sums need it.
      paint: ``(model, features, style, survey, window)`` -> pixels ``(1, h, w, 3)``, not clipped.
      style_of: ``jax.tree.leaves`` of a style -> the style, so that it can be kept on disk; None: it is not.
      objective: what its paintings are judged by; None: they cannot be refined.
      adaptable: what of a model can be fitted to a painting; None: nothing.
    """

    kind: str
    model: type
    load: _Load
    save: Callable[..., None]
    needs: Callable[[Model], Needs]
    encode_style: Callable[[Model, ArrayLike, np.ndarray], Style]
    encode: Callable[[Model, Window], Features]
    survey: Callable[[Model, Features, Style, Window], Survey]
    merge: Callable[[Survey, Survey], Survey]
    paint: Callable[[Model, Features, Style, Survey, Window], Array]
    style_of: Callable[[Sequence[np.ndarray]], Style] | None = None
    objective: Objective | None = None
    adaptable: Adaptable | None = None


class Loaded(NamedTuple):
    """A model with its method, and where it is from.

    Attributes:
      method, model: what computes.
      name: of shipped weights, or the path of a file.
      sha256: checksum over the file's arrays; empty for a model made in memory.
      steady: ``((height, width), survey)`` -> the survey that a picture of that size is painted with, on the host; for
        frames that know of those before them. None: its own.
    """

    method: Method
    model: Model
    name: str = ""
    sha256: str = ""
    steady: Callable[[tuple[int, int], Survey], Survey] | None = None

    @property
    def needs(self) -> Needs:
        """Facts for planning."""
        return self.method.needs(self.model)


def reach(extent: ArrayLike | tuple[int, ...], stride: int, smallest: int) -> Any:
    """How far a picture is mirrored: up to a multiple of the stride, and to the smallest side.

    Args:
      extent: height and width in pixels, in any shape; may be traced.
      stride, smallest: see `Needs`.

    Returns:
      int32 of the same shape; NumPy where ``extent`` is not a JAX array.
    """
    xnp: Any = np if isinstance(extent, np.ndarray | tuple | list | int) else jnp
    sides = xnp.maximum(xnp.asarray(extent, xnp.int32), smallest)
    return -(-sides // stride) * stride


def mirrored(images: Any, stride: int, smallest: int) -> Any:
    """Pictures ``(N, H, W, ...)``, NumPy or JAX, as far as they `reach`: mirrored at the bottom and the right, again
    and again if it must."""
    xnp: Any = np if isinstance(images, np.ndarray) else jnp
    height, width = (int(side) for side in reach(images.shape[1:3], stride, smallest))
    grow = ((0, 0), (0, height - images.shape[1]), (0, width - images.shape[2]))
    return xnp.pad(images, grow + ((0, 0),) * (images.ndim - 3), mode="symmetric")


def inside(window: Window, stride: int, smallest: int) -> Array:
    """``(2,)`` int32: how many of a window's rows and columns of pixels are the picture's, mirrored or not."""
    sides = jnp.asarray(window.pixels.shape[1:3], jnp.int32)
    return jnp.clip(reach(jnp.asarray(window.extent), stride, smallest) - window.corner, 0, sides)
