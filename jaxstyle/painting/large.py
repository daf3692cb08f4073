"""Pictures larger than memory, from file to file: AdaIN in tiles, all controls included.

`stylize_large` reads the content window by window (`jaxstyle.image.windows`), paints it with the statistics of the
whole picture (`jaxstyle.painting.tiles`) and writes rows as they come (`jaxstyle.image.stream`): the result is that of
the picture as a whole, without seams, and memory is bounded by the tile, not by the picture. `needed` says when that is
called for.

In memory as a whole, at 3 or 6 bytes a pixel, remain: content that is not a common TIFF; results as JPEG, WebP or BMP.
Two things differ from pictures done in memory, both by less than is seen: the colours of the content for
``preserve_color`` "match" and "histogram" are those of about a million pixels on a regular grid; and with
``style_size`` the painting is kept on disk at 16 bits in between.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import jax
import numpy as np

from jaxstyle import image
from jaxstyle.controls import colors, degree
from jaxstyle.controls.controls import Controls
from jaxstyle.controls.degree import Maps
from jaxstyle.image import stream, windows
from jaxstyle.image.source import ImageError, is_standard, label_of, sent, source_of, target_of
from jaxstyle.image.windows import Resized, Source, Window
from jaxstyle.methods import adain
from jaxstyle.painting import buckets, tiles
from jaxstyle.runtime import memory
from jaxstyle.runtime.scratch import Scratch

PathLike = str | os.PathLike[str]

ROWS = 256
"""Rows that are put together at a time where a picture is read back from disk."""


@dataclass(frozen=True)
class Painting:
    """What `stylize_large` did.

    Attributes:
      width, height: of the result, in pixels.
      tile: side of the tiles, in pixels.
      notices: sentences for the user.
    """

    width: int
    height: int
    tile: int
    notices: tuple[str, ...] = ()


def check_options(model: adain.Model, tile: int | None, scratch: PathLike | None) -> None:
    """Checks what can be known before any picture is read; the arguments are those of `stylize_large`.

    Raises:
      TileError: the model cannot be tiled, or ``tile`` is no multiple of 8.
      ImageError: ``scratch`` is no folder that can be written to.
    """
    if tile is not None:
        tiles.check_tile(tile)
        if model.norm == "instance":
            raise tiles.TileError("tile: this model's instance normalisation looks at the whole picture, not at tiles")
    if scratch is not None and not (os.path.isdir(scratch) and os.access(scratch, os.W_OK)):
        raise ImageError(label_of(scratch), "is no folder that temporary files can be written to")


def needed(
    content: image.Source,
    output: PathLike,
    controls: Controls,
    *,
    model: adain.Model | None = None,
    tile: int | None = None,
    devices: Sequence[jax.Device] | None = None,
    available: int | None = None,
) -> bool:
    """Whether a picture has to go through `stylize_large`: it was asked for by a tile, or by a DeepZoom pyramid as the
    result; or the picture does not fit in memory, and the model can do something about it.

    Args:
      content: the picture; of a file only the header is read.
      output: where the result goes.
      controls: ``size`` and ``style_size`` are looked at.
      model: one with instance normalisation is tried on the whole picture, whatever its size.
      tile: side of the tiles that were asked for, if they were.
      devices: see `jaxstyle.runtime.memory.available_memory`.
      available: bytes; by default what is free now.

    Raises:
      ImageError: the content cannot be read.
    """
    if tile is not None or os.path.splitext(os.fspath(output))[1].lower() == ".dzi":
        return True
    if model is not None and model.norm == "instance":
        return False
    shape = image.dimensions(content)
    result = _size(shape, controls.size)
    painted = {result, _size(result, controls.style_size)}
    free = memory.available_memory(devices) if available is None and devices else available
    fit = all(memory.fits(*buckets.bucket(*size), free) for size in painted)
    return not (fit and memory.picture_fits(*shape, available))


def stylize_large(
    content: PathLike | bytes,
    style: adain.Style | Callable[[np.ndarray], adain.Style],
    output: PathLike,
    controls: Controls | None = None,
    *,
    model: adain.Model,
    tile: int | None = None,
    scratch: PathLike | None = None,
    format: str | None = None,
    overwrite: bool = False,
    keep: Iterable[PathLike] = (),
    max_pixels: int = image.MAX_PIXELS,
    progress: Callable[[int, int], None] | None = None,
) -> Painting:
    """Stylizes a picture of any size, from file to file; all controls of AdaIN may be combined.

    16-bit depth, transparency and EXIF data are kept where the format allows. Whatever goes wrong, interruption
    included, leaves what was there before and nothing else.

    Args:
      content: a picture file, its bytes, or ``"-"`` for standard input.
      style: what `jaxstyle.adain.encode_style` or, for several, `jaxstyle.adain.stack` returned; where the styles take
        on the colours of the content, a function that makes it of pixels ``(n, 3)`` of the content.
      output: PNG, TIFF (tiled; BigTIFF past 4 GB), DeepZoom (``.dzi``), or what else `jaxstyle.image.write` knows;
        ``"-"`` for standard output.
      controls: see `jaxstyle.controls.controls.Controls`; by default ``Controls()``.
      model: see `jaxstyle.adain.load`; not with instance normalisation.
      tile: largest side of a tile in pixels, a multiple of 8; by default `jaxstyle.painting.tiles.default_tile`. The
        result is the same.
      scratch: a folder on a disk with room for 32 bytes per pixel of the result, which saves a third of the time; with
        ``style_size`` 12 of them must be there. By default the folder of ``output``. Its files are nameless and gone
        with the process, whatever happens to it.
      format: instead of the suffix, as in `jaxstyle.image.write`; for standard output by default the content's.
      overwrite: replace ``output`` if it is there. Files that are read are never replaced.
      keep: more files that must not be replaced, such as the styles.
      max_pixels: the largest picture that is read.
      progress: called with the number of windows done and their total.

    Returns:
      A `Painting`.

    Raises:
      ImageError: a picture cannot be read or written, ``output`` exists, or the scratch folder has no room.
      TileError: the model cannot be tiled, or ``tile`` is no multiple of 8.
      ValueError: a control is out of range or does not fit the styles.
    """
    chosen = controls or Controls()
    side = tiles.default_tile() if tile is None else tile
    read = [path for path in (content, *keep, *chosen.files()) if not (isinstance(path, bytes) or is_standard(path))]
    stream.check_target(output, format=format, overwrite=overwrite, keep=read)
    to_standard = is_standard(output)
    with contextlib.ExitStack() as stack:
        source = source_of(content)
        picture = stack.enter_context(windows.open_large(source, max_pixels=max_pixels))
        maps = stack.enter_context(degree.open_maps(chosen, max_pixels=max_pixels))
        height, width = _size(picture.pixels.shape[:2], chosen.size)
        encoded = style if isinstance(style, adain.Style) else style(windows.sample(picture))
        chosen.check_styles(encoded.moments.mean.shape[0])
        folder = scratch or (tempfile.gettempdir() if to_standard else os.path.dirname(os.path.realpath(output)))
        pixels = _resized(picture.pixels, height, width)
        opacity = None if picture.alpha is None else _resized(picture.alpha, height, width)

        def paint(source: Source, report: Callable[[int, int], None] | None) -> Iterator[np.ndarray]:
            return _painted(source, encoded, chosen, maps, model, side, folder, report)

        bands = _at_style_size(pixels, chosen, paint, folder, stack, progress)
        if chosen.preserve_color == "luminance":
            bands = _keep_chroma(bands, pixels)
        notices = [f"{label_of(source)}: {notice}" for notice in picture.notices]
        notices += [*maps.notices, *maps.stretched(height, width)]
        if not memory.fits(*buckets.bucket(height, width)):
            notices.append(f"{width} x {height} pixels are too many for the free memory as a whole: done in tiles")
        target = output
        if to_standard:
            format = image.format_of(output, format, picture.format)
            target = stack.enter_context(sent(target_of(output), folder))
        notices += stream.write(
            target,
            bands,
            height,
            width,
            alpha=opacity,
            bits=picture.bits,
            exif=picture.exif,
            format=format,
            overwrite=overwrite or to_standard,
        )
    return Painting(width, height, side, tuple(notices))


def _size(shape: tuple[int, ...], size: int | tuple[int, int] | None) -> tuple[int, int]:
    """(height, width) that the control ``size``, or ``style_size``, makes of a picture."""
    height, width = shape
    if size is None:
        return height, width
    return (size[1], size[0]) if isinstance(size, tuple) else image.short_side_size((height, width), size)


def _resized(source: Source, height: int, width: int) -> Source:
    return source if source.shape[:2] == (height, width) else Resized(source, height, width)


# ---- the painting ------------------------------------------------------------------------------------------


def _painted(
    source: Source,
    style: adain.Style,
    chosen: Controls,
    maps: Maps,
    model: adain.Model,
    tile: int,
    scratch: PathLike,
    progress: Callable[[int, int], None] | None,
) -> Iterator[np.ndarray]:
    """The method, once, with the maps at the size of ``source``: bands of rows."""
    height, width = source.shape[:2]
    count = style.moments.mean.shape[0]
    alpha: float | Window = degree.degree(chosen, maps, height, width)
    shares: np.ndarray | Window | None = degree.shares(count, chosen, maps, height, width)
    if count == 1:  # its mask is a map of the degree of style
        if callable(shares):
            alpha = _scaled(alpha, shares)
        shares = None
    return tiles.stylize(model, source, style, alpha, shares=shares, tile=tile, scratch=scratch, progress=progress)


def _scaled(alpha: float | Window, shares: Window) -> Window:
    def window(*bounds: int) -> np.ndarray:
        return np.float32(alpha(*bounds) if callable(alpha) else alpha) * shares(*bounds)[..., 0]

    return window


def _at_style_size(
    pixels: Source,
    chosen: Controls,
    paint: Callable[[Source, Callable[[int, int], None] | None], Iterator[np.ndarray]],
    folder: PathLike,
    stack: contextlib.ExitStack,
    progress: Callable[[int, int], None] | None,
) -> Iterator[np.ndarray]:
    """The painting as it looks with its short side at ``style_size``; see `jaxstyle.stylize`.

    What lies between is kept on disk: the small painting, the large one, and the large one scaled down.
    """
    height, width = pixels.shape[:2]
    preview = _size((height, width), chosen.style_size)
    if preview == (height, width):
        return paint(pixels, progress)
    larger = min(preview) > min(height, width)
    small = _stored(paint(Resized(pixels, *preview), progress if larger else None), *preview, folder, stack)
    coarse = Resized(small, height, width)
    if larger:
        return _rows(coarse)
    fine = _stored(paint(pixels, progress), height, width, folder, stack)
    seen = Resized(_stored(_rows(Resized(fine, *preview)), *preview, folder, stack), height, width)

    def composed() -> Iterator[np.ndarray]:
        for top in range(0, height, ROWS):
            window = (top, min(top + ROWS, height), 0, width)
            yield np.clip(coarse.read(*window) + fine.read(*window) - seen.read(*window), 0, 1)

    return composed()


def _rows(source: Source) -> Iterator[np.ndarray]:
    height, width = source.shape[:2]
    for top in range(0, height, ROWS):
        yield source.read(top, min(top + ROWS, height), 0, width)


def _keep_chroma(bands: Iterator[np.ndarray], pixels: Source) -> Iterator[np.ndarray]:
    top = 0
    for band in bands:
        yield colors.keep_chroma(band, pixels.read(top, top + len(band), 0, band.shape[1]))
        top += len(band)


class _Stored:
    """A picture put away on disk at 16 bits."""

    def __init__(self, store: Scratch, height: int, width: int) -> None:
        self._store, self.shape = store, (height, width, 3)

    def read(self, top: int, bottom: int, left: int, right: int) -> np.ndarray:
        return self._store.read(top, left, bottom - top, right - left) / np.float32(65535)


def _stored(
    bands: Iterator[np.ndarray], height: int, width: int, folder: PathLike, stack: contextlib.ExitStack
) -> Source:
    store = stack.enter_context(Scratch(folder, (height, width, 3), np.dtype(np.uint16)))
    top = 0
    for band in bands:
        if store.usable:
            store.write(top, 0, np.rint(band * np.float32(65535)))
            top += len(band)
        if not store.usable:
            needed = f"{height * width * 12 / 1e9:.1f} GB"
            raise ImageError(label_of(folder), f"has not the room for a painting in between ({needed} are wanted)")
    return _Stored(store, height, width)
