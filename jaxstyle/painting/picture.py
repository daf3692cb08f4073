"""The front door: pictures in, pictures out.

`stylize` takes and gives pictures in memory, `stylize_file` files; the command ``jaxstyle stylize`` is the latter.
Orientation, colour profile, transparency, bit depth and size are looked after here, the method knows only arrays.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from jaxstyle import image, weights
from jaxstyle.controls import colors
from jaxstyle.controls.controls import Controls, Fields, Size
from jaxstyle.controls.degree import Maps, degree, read_maps, shares
from jaxstyle.image import stream
from jaxstyle.image.windows import Window
from jaxstyle.methods import adain
from jaxstyle.painting import buckets, large, tiles
from jaxstyle.painting.names import default_output
from jaxstyle.painting.options import PathLike
from jaxstyle.runtime import memory

STYLE_SIZE = 512
"""Short side, in pixels, at which a style picture is looked at where `Controls.style_size` is not given."""

DEFAULT_WEIGHTS = "adain_vgg16"

OUT_OF_MEMORY = "the device is out of memory; a smaller size needs less"
"""What is said where a picture does not fit in memory after all."""


@dataclass(frozen=True)
class Report:
    """What `stylize_file` did.

    Attributes:
      output: the file written.
      content, style: the files read; of styles there may be several.
      width, height: of the result, in pixels.
      controls: `Controls.as_dict`.
      weights_file: name or path of the weights; ``weights_sha256`` their checksum.
      seconds: from reading the pictures to the written file, loading and compiling included.
      notices: sentences about what could not be kept.
    """

    output: str
    content: str
    style: tuple[str, ...]
    width: int
    height: int
    controls: dict[str, Any]
    weights_file: str
    weights_sha256: str
    seconds: float
    notices: tuple[str, ...] = ()


def stylize(
    content: image.Source,
    style: image.Source | Sequence[image.Source],
    controls: Controls | None = None,
    *,
    model: adain.Model | None = None,
    **fields: Unpack[Fields],
) -> Any:
    """Repaints a picture in the style of another, or of several (AdaIN, arXiv:1703.06868).

    The controls may all be combined. What each means is said at `Controls`; they are given as one, as keyword
    arguments, or both: ``stylize(photo, painting, alpha=0.8)``,
    ``stylize(photo, [painting, drawing], weights=[2, 1], preserve_color="luminance")``.

    ``style_size`` makes the strokes independent of the size of the result. The strokes of a painting are as large, in
    pixels, as the decoder makes them, whatever the size of the style picture. So the picture is painted twice, once
    with its short side at ``style_size`` and once at full size, and the result is the small painting, enlarged, with
    the detail of the large one that the small one is too coarse for: scaled down again it is the small painting. If
    the result is smaller than that, it is the painting scaled down.

    Args:
      content: path, PIL image, bytes or array; see `jaxstyle.image.read`.
      style: the same, or a list of them.
      controls: how; by default ``Controls()``.
      model: from `jaxstyle.adain.load`; by default the shipped one, loaded once.
      fields: fields of `Controls`: ``alpha``, ``alpha_map``, ``gradient``, ``weights``, ``mask``, ``preserve_color``,
        ``size``, ``style_size``. They go before those of ``controls``.

    Returns:
      A ``PIL.Image.Image``; with the content's transparency, if it has any.

    Raises:
      ImageError: a picture cannot be read.
      ValueError: a control is out of range, does not fit the styles, or means nothing to the method.
    """
    chosen, sources = chosen_controls(controls, fields), _several(style)
    check(chosen, len(sources))
    picture, looks = image.read(content), [image.read(source) for source in sources]
    return image.to_pil(render(picture, looks, chosen, read_maps(chosen), model or default_model()))


def stylize_file(
    content: PathLike,
    style: PathLike | Sequence[PathLike],
    output: PathLike | None = None,
    controls: Controls | None = None,
    *,
    weights_file: str = DEFAULT_WEIGHTS,
    format: str | None = None,
    overwrite: bool = False,
    max_pixels: int = image.MAX_PIXELS,
    tile: int | None = None,
    scratch: PathLike | None = None,
    progress: Callable[[int, int], None] | None = None,
    **fields: Unpack[Fields],
) -> Report:
    """Like `stylize`, from file to file; 16-bit depth, transparency and EXIF data are kept where the format allows.

    A picture that does not fit in memory is read, painted and written piece by piece, see `jaxstyle.painting.large`.

    Args:
      content, style, controls, fields: see `stylize`; ``"-"`` as content is standard input.
      output: the file to write, the suffix gives the format, or an existing folder for it; by default in the current
        one. In a folder its name is ``<content>_stylized_<style>``, with the suffix of ``format``, or the content's if
        that can be written, else ``.png``. ``"-"`` is standard output, ``.dzi`` a DeepZoom pyramid.
      weights_file: name of shipped weights, or the path of a file that ``train.adain`` wrote.
      format: of the result, instead of the suffix; for standard output by default the content's.
      overwrite: replace ``output`` if it is there. The files that are read are never replaced.
      max_pixels: the largest picture that is read.
      tile: side of the tiles in pixels; painted in tiles also if it would fit as a whole.
      scratch: folder for temporary files of pictures in tiles.
      progress: called with the number of tiles done and their total.

    Returns:
      A `Report`.

    Raises:
      ImageError: a picture cannot be read or written, ``output`` exists, or ``scratch`` is no folder.
      TileError: ``tile`` is no multiple of 8, or tiles or a pyramid are asked for of a model that cannot be tiled.
      WeightsError: ``weights_file`` cannot be used.
      ValueError: as `stylize`.
    """
    start = time.perf_counter()
    chosen, sources = chosen_controls(controls, fields), _several(style)
    check(chosen, len(sources))
    target = _target(content, sources, output, format)
    files = [path for path in (content, *sources, *chosen.files()) if not image.is_standard(path)]
    stream.check_target(target, format=format, overwrite=overwrite, keep=files)
    model = load_model(str(weights_file))
    large.check_options(model, tile, scratch)
    photo = image.source_of(content)
    looks = [image.read(source, max_pixels=max_pixels) for source in sources]
    names = ["<stdin>" if image.is_standard(content) else os.fspath(content), *map(os.fspath, sources)]
    notices = [f"{name}: {notice}" for name, look in zip(names[1:], looks, strict=True) for notice in look.notices]
    if large.needed(photo, target, chosen, model=model, tile=tile):
        style_of = functools.partial(encode_styles, looks, chosen, model)
        painting = large.stylize_large(
            photo,
            style_of if chosen.preserve_color in ("match", "histogram") else style_of(),
            target,
            chosen,
            model=model,
            tile=tile,
            scratch=scratch,
            format=format,
            overwrite=overwrite,
            keep=files,
            max_pixels=max_pixels,
            progress=progress,
        )
        (height, width), more = (painting.height, painting.width), painting.notices
    else:
        picture = image.read(photo, max_pixels=max_pixels)
        maps = read_maps(chosen, max_pixels=max_pixels)
        result = render(picture, looks, chosen, maps, model)
        own = [f"{names[0]}: {notice}" for notice in picture.notices]
        more = (*own, *maps.notices, *result.notices, *save(result, target, format=format, overwrite=overwrite))
        height, width = result.pixels.shape[:2]
    notices += more
    return Report(
        output=str(target),
        content=os.fspath(content),
        style=tuple(os.fspath(source) for source in sources),
        width=width,
        height=height,
        controls=chosen.as_dict(),
        weights_file=str(weights_file),
        weights_sha256=checksum(str(weights_file)),
        seconds=round(time.perf_counter() - start, 3),
        notices=tuple(notices),
    )


def _target(
    content: PathLike, styles: Sequence[PathLike], output: PathLike | None, format: str | None = None
) -> PathLike:
    """Where the result goes."""
    if image.is_standard(output):
        return image.STANDARD
    if image.is_standard(content) and (output is None or Path(output).is_dir()):
        raise ValueError("output: a file, or - for standard output, is needed where the content is standard input")
    if output is None:
        return default_output(content, styles, format)
    return Path(output) / default_output(content, styles, format) if Path(output).is_dir() else Path(output)


def check(controls: Controls, styles: int, model: adain.Model | None = None) -> None:
    """Checks what can be known of the controls before any picture is read.

    Args:
      controls: to be checked.
      styles: how many styles they are for.
      model: for which.

    Raises:
      ValueError: there are no styles, or not as many weights or masks; or several styles for a model whose fusion
        cannot mix them.
    """
    if styles < 1:
        raise ValueError("style: expected at least one picture, got none")
    controls.check_styles(styles)
    if styles > 1 and model is not None and model.fusion != "adain":
        raise ValueError(f"style: a model with fusion={model.fusion!r} takes one style, got {styles}")


def chosen_controls(controls: Controls | None, fields: Fields) -> Controls:
    """Controls with some fields replaced.

    Raises:
      TypeError: there is no such field.
      ValueError: a field is out of range.
    """
    unknown = set(fields) - {field.name for field in dataclasses.fields(Controls)}
    if unknown:
        raise TypeError(f"unexpected keyword argument {sorted(unknown)[0]!r}")
    changed: dict[str, Any] = dict(fields)
    return dataclasses.replace(controls or Controls(), **changed)


def _several(style: Any) -> tuple[Any, ...]:
    return tuple(style) if isinstance(style, list | tuple) else (style,)


def default_model() -> adain.Model:
    """The shipped AdaIN model, loaded at the first call and kept."""
    return load_model(DEFAULT_WEIGHTS)


@functools.lru_cache(maxsize=2)
def load_model(name: str) -> adain.Model:
    """A model by the name of shipped weights or the path of a file; the last two are kept.

    Raises:
      WeightsError: there is no such file, or it cannot be used.
    """
    return adain.load(name)


def checksum(name: str) -> str:
    """SHA-256 of shipped weights or of a weight file."""
    return weights.load(name).metadata["sha256"] if name not in weights.shipped() else weights.info(name)["sha256"]


def save(
    result: image.Picture, target: PathLike, *, format: str | None = None, overwrite: bool = False
) -> tuple[str, ...]:
    """Writes a result with all that it has, see `jaxstyle.image.write`; ``"-"`` is standard output."""
    return image.write(
        image.target_of(target),
        result.pixels,
        alpha=result.alpha,
        bits=result.bits,
        exif=result.exif,
        format=image.format_of(target, format, result.format),
        overwrite=overwrite,
    )


def encode_styles(
    looks: Sequence[image.Picture], controls: Controls, model: adain.Model, content: np.ndarray | None = None
) -> adain.Style:
    """All the styles, encoded at the size that the controls ask for and stacked.

    Args:
      looks: the style pictures.
      controls: ``style_size`` and ``preserve_color`` are looked at.
      model: the method's model.
      content: pixels (..., 3) whose colours the styles take on; needed where ``preserve_color`` is ``"match"`` or
        ``"histogram"``. Otherwise what is returned serves any content.

    Returns:
      One `adain.Style` with a batch axis of ``len(looks)``.

    Raises:
      ValueError: as `check`.
    """
    check(controls, len(looks), model)
    recolour = {"match": colors.match_covariance, "histogram": colors.match_histogram}.get(
        controls.preserve_color or ""
    )
    encoded = []
    for look in looks:
        pixels = image.resize_short_side(look.pixels, controls.style_size or STYLE_SIZE)
        if recolour is not None and content is not None:
            pixels = recolour(pixels, content)
        encoded.append(buckets.encode_style(model, pixels))
    return adain.stack(encoded)


def render(
    picture: image.Picture,
    looks: Sequence[image.Picture],
    controls: Controls,
    maps: Maps,
    model: adain.Model,
    *,
    style: adain.Style | None = None,
) -> image.Picture:
    """`stylize` on decoded pictures.

    Args:
      picture, looks: the content and the styles.
      controls: checked by `check`.
      maps: what `jaxstyle.controls.degree.read_maps` made of them.
      model: the method's model.
      style: what `encode_styles` returned for the same styles and controls, if it is there already; of no use where
        the styles take on the content's colours.

    Returns:
      The result, with the content's transparency, bit depth and EXIF data, and notices about the maps.
    """
    height, width = output_size(picture.pixels.shape[:2], controls.size)
    pixels, opacity = picture.pixels, picture.alpha
    if (height, width) != pixels.shape[:2]:
        pixels = image.resize(pixels, (height, width))
        opacity = None if opacity is None else image.resize(opacity, (height, width))
    if style is None or controls.preserve_color in ("match", "histogram"):
        visible = pixels if opacity is None or not opacity.any() else pixels[opacity > 0]
        style = encode_styles(looks, controls, model, visible)
    result = _at_style_size(pixels, style, controls, maps, model)
    if controls.preserve_color == "luminance":
        result = colors.keep_chroma(result, pixels)
    notices = maps.stretched(height, width)
    if not _fits(height, width):
        notices = (*notices, f"{width} x {height} pixels are too many for the free memory as a whole: done in tiles")
    return image.Picture(result, opacity, picture.bits, picture.exif, format=picture.format, notices=notices)


def _at_style_size(
    pixels: np.ndarray, style: adain.Style, controls: Controls, maps: Maps, model: adain.Model
) -> np.ndarray:
    """The painting as it looks with its short side at ``style_size``, in the size of ``pixels``; see `stylize`."""
    shape = pixels.shape[:2]
    preview = shape if controls.style_size is None else output_size(shape, controls.style_size)
    if preview == shape:
        return _painted(pixels, style, controls, maps, model)
    coarse = image.resize(_painted(image.resize(pixels, preview), style, controls, maps, model), shape)
    if min(preview) > min(shape):
        return coarse
    fine = _painted(pixels, style, controls, maps, model)
    return np.clip(coarse + fine - image.resize(image.resize(fine, preview), shape), 0, 1)


def _painted(pixels: np.ndarray, style: adain.Style, controls: Controls, maps: Maps, model: adain.Model) -> np.ndarray:
    """The method, once, with the maps at the size of ``pixels``."""
    height, width = pixels.shape[:2]
    count = style.moments.mean.shape[0]

    def whole(values: float | np.ndarray | Window) -> float | np.ndarray:
        return values(0, height, 0, width) if callable(values) else values

    alpha = whole(degree(controls, maps, height, width))
    part = np.asarray(whole(shares(count, controls, maps, height, width)))
    mixed = part if count > 1 else None
    if count == 1 and maps.mask is not None:  # one style: its mask is a map of the degree of style
        alpha = np.float32(alpha) * part[..., 0]
    if _fits(height, width) or model.norm == "instance":  # which tiles cannot serve
        return buckets.stylize(model, pixels, style, alpha, shares=mixed)
    return np.concatenate(list(tiles.stylize(model, pixels, style, alpha, shares=mixed)))


def _fits(height: int, width: int) -> bool:
    return memory.fits(*buckets.bucket(height, width))


def output_size(shape: tuple[int, ...], size: Size | None) -> tuple[int, int]:
    """(height, width) of the result for a picture of ``shape``, which begins with its height and width."""
    height, width = shape
    if size is None:
        return height, width
    if isinstance(size, tuple):
        width, height = size
    else:
        scale = size / min(height, width)
        height, width = (
            (size, max(1, round(width * scale))) if height <= width else (max(1, round(height * scale)), size)
        )
    return height, width
