"""The front door: pictures in, pictures out.

`stylize` takes and gives pictures in memory, `stylize_file` files; the command ``jaxstyle stylize`` is the latter.
Orientation, colour profile, transparency, bit depth and size are looked after here, the method knows only arrays.
"""

from __future__ import annotations

import functools
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxstyle import adain, image, weights

STYLE_SIZE = 512
"""Short side, in pixels, at which a style picture is looked at; it sets the size of the strokes."""

DEFAULT_WEIGHTS = "adain_vgg16"

Size = int | tuple[int, int]


@dataclass(frozen=True)
class Report:
    """What `stylize_file` did.

    Attributes:
      output: the file written.
      content, style: the files read.
      width, height: of the result, in pixels.
      alpha: degree of style.
      weights: name or path of the weights; ``weights_sha256`` their checksum.
      seconds: from reading the pictures to the written file, loading and compiling included.
      notices: sentences about what could not be kept.
    """

    output: str
    content: str
    style: str
    width: int
    height: int
    alpha: float
    weights: str
    weights_sha256: str
    seconds: float
    notices: tuple[str, ...] = ()


def stylize(
    content: image.Source,
    style: image.Source,
    *,
    alpha: float = 1.0,
    size: Size | None = None,
    style_size: int = STYLE_SIZE,
    model: adain.Model | None = None,
) -> Any:
    """Repaints a picture in the style of another (AdaIN, arXiv:1703.06868).

    Args:
      content: path, PIL image, bytes or array; see `jaxstyle.image.read`.
      style: the same.
      alpha: degree of style in [0, 1]; 0 = content, 1 = full style.
      size: of the result: the short side in pixels, or ``(width, height)``; by default the content's own size.
      style_size: short side in pixels at which the style is looked at: larger means smaller strokes.
      model: from `jaxstyle.adain.load`; by default the shipped one, loaded once.

    Returns:
      A ``PIL.Image.Image``; with the content's transparency, if it has any.

    Raises:
      ImageError: a picture cannot be read.
      ValueError: ``alpha``, ``size`` or ``style_size`` is out of range.
    """
    picture, look = image.read(content), image.read(style)
    return image.to_pil(_render(picture, look, alpha, size, style_size, model or default_model()))


def stylize_file(
    content: str | os.PathLike[str],
    style: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    *,
    alpha: float = 1.0,
    size: Size | None = None,
    style_size: int = STYLE_SIZE,
    weights_file: str = DEFAULT_WEIGHTS,
    overwrite: bool = False,
    max_pixels: int = image.MAX_PIXELS,
) -> Report:
    """Like `stylize`, from file to file; 16-bit depth, transparency and EXIF data are kept where the format allows.

    Args:
      content, style, alpha, size, style_size: see `stylize`.
      output: the file to write, the suffix gives the format; by default ``<content>_stylized_<style>`` in the current
        folder, with the content's suffix if that can be written, else ``.png``.
      weights_file: name of shipped weights, or the path of a file that ``train.adain`` wrote.
      overwrite: replace ``output`` if it is there. The content and style files are never replaced.
      max_pixels: the largest picture that is read.

    Returns:
      A `Report`.

    Raises:
      ImageError: a picture cannot be read or written, or ``output`` exists.
      WeightsError: ``weights_file`` cannot be used.
      ValueError: ``alpha``, ``size`` or ``style_size`` is out of range.
    """
    start = time.perf_counter()
    target = Path(output) if output is not None else default_output(content, style)
    image.check_target(target, overwrite=overwrite, keep=(content, style))
    picture = image.read(content, max_pixels=max_pixels)
    look = image.read(style, max_pixels=max_pixels)
    model = _load(str(weights_file))
    result = _render(picture, look, alpha, size, style_size, model)
    notices = [f"{content}: {notice}" for notice in picture.notices]
    notices += [f"{style}: {notice}" for notice in look.notices]
    notices += image.write(
        target, result.pixels, alpha=result.alpha, bits=result.bits, exif=result.exif, overwrite=overwrite
    )
    height, width = result.pixels.shape[:2]
    return Report(
        output=str(target),
        content=os.fspath(content),
        style=os.fspath(style),
        width=width,
        height=height,
        alpha=float(alpha),
        weights=str(weights_file),
        weights_sha256=_checksum(str(weights_file)),
        seconds=round(time.perf_counter() - start, 3),
        notices=tuple(notices),
    )


def default_output(content: str | os.PathLike[str], style: str | os.PathLike[str]) -> Path:
    """``photo.jpg`` in the style of ``night.png`` -> ``photo_stylized_night.jpg`` in the current folder."""
    source = Path(content)
    suffix = source.suffix if source.suffix.lower() in image.WRITE_FORMATS else ".png"
    return Path(f"{source.stem}_stylized_{Path(style).stem}{suffix}")


def default_model() -> adain.Model:
    """The shipped AdaIN model, loaded at the first call and kept."""
    return _load(DEFAULT_WEIGHTS)


@functools.lru_cache(maxsize=2)
def _load(name: str) -> adain.Model:
    return adain.load(name)


def _checksum(name: str) -> str:
    return (
        weights.load(name).metadata["sha256"]
        if name not in weights.shipped()
        else weights.info(name)["sha256"]
    )


def _render(
    picture: image.Picture,
    look: image.Picture,
    alpha: float,
    size: Size | None,
    style_size: int,
    model: adain.Model,
) -> image.Picture:
    height, width = _target(picture.pixels.shape[:2], size)
    if style_size < 1:
        raise ValueError(f"style_size: expected a positive number of pixels, got {style_size}")
    pixels, mask = picture.pixels, picture.alpha
    if (height, width) != pixels.shape[:2]:
        pixels = image.resize(pixels, (height, width))
        mask = None if mask is None else image.resize(mask, (height, width))
    style = adain.encode_style(model, image.resize_short_side(look.pixels, style_size))
    result = np.asarray(adain.stylize(model, pixels, style, alpha))
    return image.Picture(result, alpha=mask, bits=picture.bits, exif=picture.exif, format=picture.format)


def _target(shape: tuple[int, ...], size: Size | None) -> tuple[int, int]:
    """(height, width) of the result for a picture of ``shape``."""
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
    if min(width, height) < 1:
        raise ValueError(f"size: expected at least one pixel, got {size}")
    return height, width
