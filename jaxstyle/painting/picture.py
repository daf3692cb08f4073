"""The front door in memory: pictures in, pictures out, by every method.

Orientation, colour profile, transparency, bit depth and size are looked after here and in `jaxstyle.image`; methods
know only windows of arrays. `jaxstyle.painting.file` does the same from file to file.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Unpack

import jax
import jax.numpy as jnp
import numpy as np

from jaxstyle import image, methods
from jaxstyle.controls import colors
from jaxstyle.controls.controls import Controls, Fields
from jaxstyle.controls.degree import Maps, degree, read_maps, shares
from jaxstyle.image.windows import ArraySource, Source
from jaxstyle.methods.interface import Loaded, Style
from jaxstyle.painting import refine, stroke_size, style_cache
from jaxstyle.painting.finish import finish
from jaxstyle.painting.options import DEFAULT_WEIGHTS, Limits, sort
from jaxstyle.painting.paint import Job, paint
from jaxstyle.painting.plan import bucket, chosen_tile, fits, mirrored, plan_tiles, plan_whole
from jaxstyle.painting.shares import Shares
from jaxstyle.painting.stroke_size import Shelf
from jaxstyle.painting.style_file import read_style, weights_for

STYLE_SIZE, SMALLEST_STYLE_SIZE = 512, 256
"""The longest short side, in pixels, at which a style picture is looked at where `Controls.style_size` is not given;
and what is looked at for small contents, if the style picture has it."""

_STYLE_STEP = 64  # so that contents of many sizes share few encoded styles

OUT_OF_MEMORY = "the device is out of memory; a smaller size needs less"
"""What is said where a picture does not fit in memory after all."""

RECOLOUR = {"match": colors.match_covariance, "histogram": colors.match_histogram}
"""Values of `Controls.preserve_color` by which the styles take on the content's colours."""


def stylize(
    content: image.Source,
    style: image.Source | Sequence[image.Source],
    controls: Controls | None = None,
    *,
    model: Any = None,
    **fields: Unpack[Fields],
) -> Any:
    """Repaints a picture in the style of another, or of several.

    The controls may all be combined. What each means is said at `Controls`; they are given as one, as keyword
    arguments, or both: ``stylize(photo, painting, alpha=0.8)``,
    ``stylize(photo, [painting, drawing], weights=[2, 1], preserve_color="luminance")``. What ``style_size`` does is
    said at `jaxstyle.painting.stroke_size`.

    Args:
      content: path, PIL image, bytes or array; see `jaxstyle.image.read`.
      style: the same, or a list of them; ``"@name"`` of a built-in style (`jaxstyle.styles`); or the path of a fitted
        style (`jaxstyle.fit_style_file`), which brings its model.
      controls: how; by default ``Controls()``.
      model: the name of a method, such as ``"style_kernel"``, or of weights, or a file of them; or what
        `jaxstyle.methods.load` or a method's own ``load`` gives; by default the shipped AdaIN, loaded once. The styles
        of one that was made in memory are encoded at every call, those of others when they are new, see
        `jaxstyle.painting.style_cache`.
      fields: fields of `Controls`: ``alpha``, ``alpha_map``, ``gradient``, ``alpha_blend``, ``weights``, ``mask``,
        ``preserve_color``, ``size``, ``style_size``, ``refine``. They go before those of ``controls``.

    Returns:
      A ``PIL.Image.Image``; with the content's transparency, if it has any.

    Raises:
      ImageError: a picture cannot be read.
      StyleNameError: there is no built-in style of that name.
      TypeError: there is no such field, or ``model`` is none.
      WeightsError: there are no such weights.
      ValueError: a control is out of range or does not fit the styles, or the model cannot mix them.
    """
    chosen, sources = sort(Fields, controls, fields).controls, several(style)
    check(chosen, len(sources))
    picture, looks = image.read(content), [read_style(source) for source in sources]
    loaded = _model(model, sources)
    check(chosen, len(sources), loaded)
    return image.to_pil(render(picture, looks, chosen, read_maps(chosen), loaded))


def _model(model: Any, sources: Sequence[image.Source]) -> Loaded:
    """A model by whatever names it; by default that which the styles were fitted with, or the shipped one."""
    if model is None:
        return load_model(weights_for(sources, None))
    if isinstance(model, str | os.PathLike):
        name = os.fspath(model)
        named = (methods.shipped(name) or (name,))[0] if name in methods.METHODS else name
        return load_model(weights_for(sources, named))
    return methods.loaded(model)


def several(style: Any) -> tuple[Any, ...]:
    """One style or a list of them, as a tuple."""
    return tuple(style) if isinstance(style, list | tuple) else (style,)


def check(controls: Controls, styles: int, loaded: Loaded | None = None) -> None:
    """Checks what can be known of the controls before a picture is read.

    Args:
      controls: to be checked.
      styles: how many styles they are for.
      loaded: the model, if it is there.

    Raises:
      ValueError: there are no styles, or not as many weights or masks, or several for a model that cannot mix them, or
        paintings of the model cannot be refined.
    """
    if styles < 1:
        raise ValueError("style: expected at least one picture, got none")
    controls.check_styles(styles)
    if styles > 1 and loaded is not None and not loaded.needs.mixes:
        raise ValueError(f"style: this model takes one style, got {styles}")
    if controls.refine and loaded is not None:
        refine.check(loaded)


def default_model() -> Loaded:
    """The shipped model, loaded at the first call and kept."""
    return load_model(DEFAULT_WEIGHTS)


@functools.lru_cache(maxsize=2)
def load_model(name: str) -> Loaded:
    """A model by the name of shipped weights or the path of a file; the last two are kept.

    Raises:
      WeightsError: there is no such file, or it cannot be used.
    """
    return methods.load(name)


# ---- styles ------------------------------------------------------------------------------------------------


def recolours(controls: Controls) -> bool:
    """Whether the styles take on the content's colours, so that they are others for every content."""
    return controls.preserve_color in RECOLOUR


def style_side(controls: Controls, extent: tuple[int, ...]) -> int:
    """The short side, in pixels, at which styles are looked at: the one rule for all front doors.

    That of the result, to the nearest multiple of 64, at least `SMALLEST_STYLE_SIZE` and at most `STYLE_SIZE`. A style
    picture whose own is shorter is looked at as it is (`style_pixels`): enlarged it would be blurred, and the blur
    taken for its style. Where ``style_size`` is given, that, whatever the style's own and the result's: who asks for a
    size gets it.

    Args:
      controls: ``style_size`` is looked at.
      extent: of the result; begins with height and width.
    """
    if controls.style_size is not None:
        return controls.style_size
    nearest = (min(extent[:2]) + _STYLE_STEP // 2) // _STYLE_STEP * _STYLE_STEP
    return min(max(nearest, SMALLEST_STYLE_SIZE), STYLE_SIZE)


def style_pixels(pixels: np.ndarray, controls: Controls, side: int) -> np.ndarray:
    """A style picture (H, W, 3) as it is looked at.

    Args:
      pixels: in any size.
      controls: ``style_size`` is looked at: only where it is given are pictures enlarged.
      side: see `style_side`.

    Raises:
      ValueError: ``style_size`` makes it larger than any picture that is read.
    """
    if controls.style_size:
        height, width = image.short_side_size((pixels.shape[0], pixels.shape[1]), side)
        if height * width > image.MAX_PIXELS:
            most = f"{image.MAX_PIXELS / 1e6:.0f} megapixels"
            raise ValueError(f"style_size: expected styles of at most {most}, got {width} x {height} pixels")
    return image.resize_short_side(pixels, side if controls.style_size else min(side, *pixels.shape[:2]))


def encode_styles(
    looks: Sequence[image.Picture], controls: Controls, loaded: Loaded, side: int, content: np.ndarray | None = None
) -> Style:
    """All the styles, encoded as they are looked at; those seen before are there, see `style_cache`.

    Args:
      looks: the style pictures.
      controls: ``style_size``, ``preserve_color`` and ``refine`` are looked at.
      loaded: the model.
      side: the short side at which they are looked at, see `style_side`.
      content: pixels (..., 3) whose colours the styles take on; needed where ``preserve_color`` is ``"match"`` or
        ``"histogram"``. Otherwise what is returned serves any content for which ``side`` is the same.

    Returns:
      The method's style, with ``refine`` a `jaxstyle.painting.refine.Aimed`; all leaves have a first axis of
      ``len(looks)``.

    Raises:
      ValueError: as `check`.
    """
    check(controls, len(looks), loaded)
    recolour = RECOLOUR.get(controls.preserve_color or "")
    encoded = []
    for look in looks:
        pixels = style_pixels(look.pixels, controls, side)
        if recolour is not None and content is not None:  # a style for this content alone
            pixels = recolour(pixels, content)
            style = _encode_style(loaded, pixels)
        else:
            style = style_cache.encoded(loaded, pixels, _encode_style)
        encoded.append(refine.Aimed(style, refine.aim(loaded, *_laid(loaded, pixels))) if controls.refine else style)
    return encoded[0] if len(encoded) == 1 else jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *encoded)


def _encode_style(loaded: Loaded, pixels: np.ndarray) -> Style:
    """A style picture (H, W, 3)."""
    return loaded.method.encode_style(loaded.model, *_laid(loaded, pixels))


def _laid(loaded: Loaded, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A style picture (H, W, 3), in an array (1, h, w, 3) whose size others share, and its own size, (1, 2)."""
    height, width = pixels.shape[:2]
    tall, wide = bucket(height, width, loaded.needs.stride)
    laid = pixels[np.ix_(mirrored(height, tall), mirrored(width, wide))]
    return laid[None], np.asarray([[height, width]], np.int32)


def count(style: Style) -> int:
    """How many styles an encoded style is."""
    return int(jax.tree.leaves(style)[0].shape[0])


def kept_styles(controls: Controls, loaded: Loaded) -> int:
    """How many encoded styles it is worth keeping in memory: 40 MiB of them, at least 16."""
    return 16 if recolours(controls) else max(16, (40 << 20) // loaded.needs.style_bytes)


# ---- painting ----------------------------------------------------------------------------------------------


def render(
    picture: image.Picture,
    looks: Sequence[image.Picture],
    controls: Controls,
    maps: Maps,
    loaded: Loaded,
    *,
    style: Style | None = None,
    limits: Limits = Limits(),  # noqa: B008 (frozen)
    progress: Callable[[int, int], None] | None = None,
) -> image.Picture:
    """`stylize` on decoded pictures.

    Args:
      picture, looks: the content and the styles.
      controls: checked by `check`.
      maps: what `jaxstyle.controls.degree.read_maps` made of them.
      loaded: the model.
      style: what `encode_styles` returned for the same styles, controls and `style_side`, if it is there already; of no
        use where the styles take on the content's colours.
      limits, progress: see `paint_source`.

    Returns:
      The result, with the content's transparency, bit depth and EXIF data, and notices about the maps.
    """
    height, width = image.output_size(picture.pixels.shape, controls.size)
    pixels, opacity = picture.pixels, picture.alpha
    if (height, width) != pixels.shape[:2]:
        pixels = image.resize(pixels, (height, width))
        opacity = None if opacity is None else image.resize(opacity, (height, width))
    if style is None or recolours(controls):
        visible = pixels if opacity is None or not opacity.any() else pixels[opacity > 0]
        style = encode_styles(looks, controls, loaded, style_side(controls, (height, width)), visible)
    with Shelf() as shelf:
        source = ArraySource(pixels)
        bands = list(paint_source(source, style, controls, maps, loaded, shelf=shelf, limits=limits, progress=progress))
    result = bands[0] if len(bands) == 1 else np.concatenate(bands)
    notices = (*maps.stretched(height, width), *too_many(height, width, loaded))
    exif = image.resized_exif(picture.exif, picture.pixels.shape, result.shape)
    return image.Picture(result, opacity, picture.bits, exif, format=picture.format, notices=notices)


def too_many(height: int, width: int, loaded: Loaded) -> tuple[str, ...]:
    """What is said where a picture is painted in tiles because it does not fit in memory."""
    if fits(height, width, loaded.needs):
        return ()
    return (f"{width} x {height} pixels are too many for the free memory as a whole: done in tiles",)


def paint_source(
    pixels: Source,
    style: Style,
    controls: Controls,
    maps: Maps,
    loaded: Loaded,
    *,
    shelf: Shelf,
    limits: Limits = Limits(),  # noqa: B008 (frozen)
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[np.ndarray]:
    """A picture with all the controls, band by band: what every front door comes to.

    Args:
      pixels: the content in the size of the result, (H, W, 3).
      style: what `encode_styles` returned.
      controls, maps: how.
      loaded: the model.
      shelf: for what lies between where ``style_size`` is asked for.
      limits: ``tile`` and ``scratch`` are looked at.
      progress: called with the number of windows done and their total, where there are several; with ``refine``, of
        steps.

    Returns:
      Bands of rows from top to bottom, float32 ``(h, W, 3)`` in [0, 1].

    Raises:
      TileError: the model cannot be painted in tiles of that size.
      ValueError: the controls do not fit the styles.
    """

    aim, style = (style.aim, style.style) if isinstance(style, refine.Aimed) else (None, style)

    def once(source: Source, counts: bool) -> Iterator[np.ndarray]:
        height, width = source.shape[:2]
        tile, tell = chosen_tile(height, width, loaded.needs, limits.tile), progress if counts else None
        job = job_of(source, style, controls, maps, loaded, tile)
        if aim is None:
            return paint(loaded, job, scratch=limits.scratch, progress=tell)
        painted = np.concatenate(list(paint(loaded, job, scratch=limits.scratch)))
        made = refine.refined(loaded, job, aim, painted, controls.refine, tile=limits.tile, progress=tell)
        return iter([made.pixels])

    height, width = pixels.shape[:2]
    mixed = shares_of(count(style), controls, maps, (height, width), loaded.needs.stride)
    preview = image.output_size((height, width), controls.style_size, "style_size")
    return _finished(stroke_size.painted(pixels, preview, once, shelf), pixels, mixed, controls)


def job_of(
    pixels: Source, style: Style, controls: Controls, maps: Maps, loaded: Loaded, tile: int | None = None
) -> Job:
    """A picture with the controls that say what part each style has where.

    Args:
      pixels, style, controls, maps, loaded: see `paint_source`.
      tile: side of the tiles in pixels; None: painted as one window.

    Raises:
      TileError: the model cannot be painted in tiles of that size.
      ValueError: the controls do not fit the styles.
    """
    height, width = pixels.shape[:2]
    mixed = shares_of(count(style), controls, maps, (height, width), loaded.needs.stride)
    if tile is None:
        return Job(pixels, style, mixed, plan_whole(height, width, loaded.needs))
    return Job(pixels, style, mixed, plan_tiles(height, width, loaded.needs, tile))


def shares_of(styles: int, controls: Controls, maps: Maps, extent: tuple[int, int], stride: int) -> Shares:
    """The part that each of so many styles has at every place of a picture of (height, width).

    Raises:
      ValueError: the controls do not fit the styles.
    """
    controls.check_styles(styles)
    parts = shares(styles, controls, maps, *extent)
    return Shares(degree(controls, maps, *extent), parts, extent, stride)


def repaint(content: np.ndarray, style: np.ndarray, loaded: Loaded | None = None) -> np.ndarray:
    """A photo in the style of a painting, both as they are and without any controls.

    Args:
      content: (H, W, 3) in [0, 1].
      style: (H', W', 3).
      loaded: the model; by default the shipped one.

    Returns:
      float32 (H, W, 3) in [0, 1].
    """
    chosen = loaded or default_model()
    encoded = _encode_style(chosen, style)
    with Shelf() as shelf:
        bands = paint_source(ArraySource(content), encoded, Controls(), Maps(), chosen, shelf=shelf)
        return np.concatenate(list(bands))


def _finished(bands: Iterator[np.ndarray], pixels: Source, shares: Shares, controls: Controls) -> Iterator[np.ndarray]:
    top = 0
    for band in bands:
        yield finish(band, top, pixels, shares, controls)
        top += len(band)
