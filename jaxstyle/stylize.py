"""The front door: pictures in, pictures out.

`stylize` takes and gives pictures in memory, `stylize_file` files; the command ``jaxstyle stylize`` is the latter.
Orientation, colour profile, transparency, bit depth and size are looked after here, the method knows only arrays.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, Unpack

import numpy as np

from jaxstyle import adain, colors, image, memory, tiles, weights
from jaxstyle.controls import Controls, Fields, Maps, Size, degree, read_maps, resize_map, shares, stretched

STYLE_SIZE = 512
"""Short side, in pixels, at which a style picture is looked at where `Controls.style_size` is not given."""

DEFAULT_WEIGHTS = "adain_vgg16"

PathLike: TypeAlias = str | os.PathLike[str]


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
    chosen, sources = _chosen(controls, fields), _several(style)
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
    overwrite: bool = False,
    max_pixels: int = image.MAX_PIXELS,
    **fields: Unpack[Fields],
) -> Report:
    """Like `stylize`, from file to file; 16-bit depth, transparency and EXIF data are kept where the format allows.

    Args:
      content, style, controls, fields: see `stylize`.
      output: the file to write, the suffix gives the format; by default ``<content>_stylized_<style>`` in the current
        folder, with the content's suffix if that can be written, else ``.png``.
      weights_file: name of shipped weights, or the path of a file that ``train.adain`` wrote.
      overwrite: replace ``output`` if it is there. The files that are read are never replaced.
      max_pixels: the largest picture that is read.

    Returns:
      A `Report`.

    Raises:
      ImageError: a picture cannot be read or written, or ``output`` exists.
      WeightsError: ``weights_file`` cannot be used.
      ValueError: as `stylize`.
    """
    start = time.perf_counter()
    chosen, sources = _chosen(controls, fields), _several(style)
    check(chosen, len(sources))
    target = Path(output) if output is not None else default_output(content, sources)
    image.check_target(target, overwrite=overwrite, keep=(content, *sources, *chosen.files()))
    picture = image.read(content, max_pixels=max_pixels)
    looks = [image.read(source, max_pixels=max_pixels) for source in sources]
    maps = read_maps(chosen, max_pixels=max_pixels)
    result = render(picture, looks, chosen, maps, _load(str(weights_file)))
    read = zip((content, *sources), (picture, *looks), strict=True)
    notices = [f"{name}: {notice}" for name, decoded in read for notice in decoded.notices]
    notices += [*maps.notices, *result.notices]
    notices += image.write(
        target, result.pixels, alpha=result.alpha, bits=result.bits, exif=result.exif, overwrite=overwrite
    )
    height, width = result.pixels.shape[:2]
    return Report(
        output=str(target),
        content=os.fspath(content),
        style=tuple(os.fspath(source) for source in sources),
        width=width,
        height=height,
        controls=chosen.as_dict(),
        weights_file=str(weights_file),
        weights_sha256=_checksum(str(weights_file)),
        seconds=round(time.perf_counter() - start, 3),
        notices=tuple(notices),
    )


def default_output(content: PathLike, style: PathLike | Sequence[PathLike]) -> Path:
    """``photo.jpg`` in the style of ``night.png`` -> ``photo_stylized_night.jpg`` in the current folder.

    Of several styles the first three are named.
    """
    source = Path(content)
    suffix = source.suffix if source.suffix.lower() in image.WRITE_FORMATS else ".png"
    names = [Path(path).stem for path in _several(style)]
    if len(names) > 3:
        names[3:] = [f"{len(names) - 3}_more"]
    return Path(f"{source.stem}_stylized_{'_'.join(names)}{suffix}")


def check(controls: Controls, styles: int) -> None:
    """Checks what can be known of the controls before any picture is read.

    Args:
      controls: to be checked.
      styles: how many styles they are for.

    Raises:
      ValueError: there are no styles, or not as many weights or masks, or a control that means nothing to AdaIN.
    """
    if styles < 1:
        raise ValueError("style: expected at least one picture, got none")
    controls.check_styles(styles)
    if controls.seed is not None:
        raise ValueError("seed: AdaIN draws nothing at random, its result is always the same; leave the seed out")


def _chosen(controls: Controls | None, fields: Fields) -> Controls:
    unknown = set(fields) - {field.name for field in dataclasses.fields(Controls)}
    if unknown:
        raise TypeError(f"unexpected keyword argument {sorted(unknown)[0]!r}")
    changed: dict[str, Any] = dict(fields)
    return dataclasses.replace(controls or Controls(), **changed)


def _several(style: Any) -> tuple[Any, ...]:
    return tuple(style) if isinstance(style, list | tuple) else (style,)


def default_model() -> adain.Model:
    """The shipped AdaIN model, loaded at the first call and kept."""
    return _load(DEFAULT_WEIGHTS)


@functools.lru_cache(maxsize=2)
def _load(name: str) -> adain.Model:
    return adain.load(name)


def _checksum(name: str) -> str:
    return weights.load(name).metadata["sha256"] if name not in weights.shipped() else weights.info(name)["sha256"]


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
      ValueError: several styles for a model whose fusion cannot mix them.
    """
    if len(looks) > 1 and model.fusion != "adain":
        raise ValueError(f"style: a model with fusion={model.fusion!r} takes one style, got {len(looks)}")
    recolour = {"match": colors.match_covariance, "histogram": colors.match_histogram}.get(
        controls.preserve_color or ""
    )
    encoded = []
    for look in looks:
        pixels = image.resize_short_side(look.pixels, controls.style_size or STYLE_SIZE)
        if recolour is not None and content is not None:
            pixels = recolour(pixels, content)
        encoded.append(adain.encode_style(model, pixels))
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
      maps: what `jaxstyle.controls.read_maps` made of them.
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
    notices = stretched(maps, height, width)
    if not memory.fits(height, width):
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
    masks = None if maps.mask is None else [resize_map(mask, height, width) for mask in maps.mask]
    count = style.moments.mean.shape[0]
    alpha, part = degree(controls, maps, height, width), shares(count, controls.weights, masks)
    mixed = part if count > 1 else None
    if count == 1 and masks is not None:  # one style: its mask is a map of the degree of style
        alpha = np.float32(alpha) * part[..., 0]
    if memory.fits(height, width) or model.norm == "instance":  # which tiles cannot serve
        return np.asarray(adain.stylize(model, pixels, style, alpha, shares=mixed))
    return np.concatenate(list(tiles.stylize(model, pixels, style, alpha, shares=mixed)))


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
