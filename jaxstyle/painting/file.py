"""The front door from file to file; the command ``jaxstyle stylize`` is this.

A picture that fits in memory is read, painted and written as a whole. One that does not is read window by window
(`jaxstyle.image.windows`), painted with what the method must know of the whole picture (`jaxstyle.painting.paint`) and
written as its rows come (`jaxstyle.image.stream`): the same result, without seams, in memory that is bounded by the
tile. Stopped or killed, it goes on where it was (`jaxstyle.painting.bands`).

In memory as a whole, at 3 or 6 bytes a pixel, remain: content that is not a common TIFF; results as JPEG, WebP or BMP.
Two things differ from pictures done in memory, both by less than is seen: the colours of the content for
``preserve_color`` "match" and "histogram" are those of about a million pixels on a regular grid; and with
``style_size`` the painting is kept on disk at 16 bits in between.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Unpack

import numpy as np

from jaxstyle import image, styles
from jaxstyle.controls.controls import Controls
from jaxstyle.controls.degree import open_maps, read_maps
from jaxstyle.image import stream, windows
from jaxstyle.image.source import ImageError, label_of, sent
from jaxstyle.image.stream import Rows
from jaxstyle.image.windows import Resized, Source
from jaxstyle.methods.interface import Loaded, Style
from jaxstyle.painting import bands, unfinished
from jaxstyle.painting.names import default_output
from jaxstyle.painting.options import Limits, Options, Output, PathLike, sort
from jaxstyle.painting.picture import (
    check,
    encode_styles,
    job_of,
    load_model,
    paint_source,
    recolours,
    render,
    several,
    style_side,
    too_many,
)
from jaxstyle.painting.plan import TileError, check_tile, chosen_tile, fits
from jaxstyle.painting.stroke_size import Shelf
from jaxstyle.painting.style_file import read_style, weights_for
from jaxstyle.runtime import memory

StyleOf = Callable[[int, np.ndarray | None], Style]
"""Makes the styles, of the side at which they are looked at, see `jaxstyle.painting.picture.style_side`, and of pixels
``(n, 3)`` of the content where they take on its colours."""


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


class Painting(NamedTuple):
    """A result that is written.

    Attributes:
      width, height: in pixels.
      notices: sentences for the user.
    """

    width: int
    height: int
    notices: tuple[str, ...] = ()


def stylize_file(
    content: PathLike,
    style: PathLike | Sequence[PathLike],
    output: PathLike | None = None,
    controls: Controls | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
    **options: Unpack[Options],
) -> Report:
    """Like `jaxstyle.stylize`, from file to file; 16-bit depth, transparency and EXIF data are kept where the format
    allows.

    Args:
      content, style, controls: see `jaxstyle.stylize`; ``"-"`` as content is standard input.
      output: the file to write, the suffix gives the format, or an existing folder for it; by default in the current
        one. In a folder its name is ``<content>_stylized_<style>``, with the suffix of ``format``, or the content's if
        that can be written, else ``.png``. ``"-"`` is standard output, ``.dzi`` a DeepZoom pyramid.
      progress: called with the number of tiles done and their total.
      options: fields of `Controls`; and of what `jaxstyle.painting.options` has:
        ``weights_file``: name of shipped weights, or the path of a file that a trainer wrote.
        ``format``: of the result, instead of the suffix; for standard output by default the content's.
        ``overwrite``: replace ``output`` if it is there, and throw away what was begun for another request. The files
        that are read are never replaced.
        ``max_pixels``: the largest picture that is read.
        ``tile``: side of the tiles in pixels; painted in tiles also if it would fit as a whole.
        ``scratch``: folder for temporary files of pictures in tiles.

    Returns:
      A `Report`.

    Raises:
      ImageError: a picture cannot be read or written, ``output`` exists, or ``scratch`` is no folder.
      TileError: ``tile`` is no multiple of the method's stride, or tiles or a pyramid are asked for of a model that
        needs whole pictures.
      WeightsError: ``weights_file`` cannot be used.
      UnfinishedError: what was begun of ``output`` belongs to another request.
      TypeError: there is no such option.
      ValueError: as `jaxstyle.stylize`.
    """
    start = time.perf_counter()
    (chosen, limits, saving, weights_file, _), sources = sort(Options, controls, options), several(style)
    check(chosen, len(sources))
    target = _target(content, sources, output, saving.format)
    read = (content, *map(styles.path_of, sources), *chosen.files())
    files = tuple(path for path in read if not image.is_standard(path))
    overwrite = saving.overwrite or unfinished.half_placed(target)
    stream.check_target(target, format=saving.format, overwrite=overwrite, keep=files)
    weights_file = weights_for(sources, weights_file)
    loaded = load_model(weights_file)
    check_limits(loaded, limits)
    check(chosen, len(sources), loaded)
    photo = image.source_of(content)
    looks = [read_style(source, max_pixels=limits.max_pixels) for source in sources]
    name = "<stdin>" if image.is_standard(content) else os.fspath(content)
    notices = [f"{source}: {note}" for source, look in zip(sources, looks, strict=True) for note in look.notices]
    if streams(photo, target, chosen, loaded, limits):
        style_of = functools.partial(encode_styles, looks, chosen, loaded)
        made = paint_file(
            photo,
            style_of,
            target,
            chosen,
            loaded=loaded,
            limits=limits,
            saving=dataclasses.replace(saving, keep=files),
            progress=progress,
        )
    else:
        picture = image.read(photo, max_pixels=limits.max_pixels)
        check_result(target, picture, chosen, saving)
        maps = read_maps(chosen, max_pixels=limits.max_pixels)
        result = render(picture, looks, chosen, maps, loaded)
        height, width = result.pixels.shape[:2]
        own = (*(f"{name}: {notice}" for notice in picture.notices), *maps.notices, *result.notices)
        made = Painting(width, height, (*own, *save(result, target, saving)))
    return Report(
        output=str(target),
        content=os.fspath(content),
        style=tuple(os.fspath(source) for source in sources),
        width=made.width,
        height=made.height,
        controls=chosen.as_dict(),
        weights_file=weights_file,
        weights_sha256=loaded.sha256,
        seconds=round(time.perf_counter() - start, 3),
        notices=(*notices, *made.notices),
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


def check_result(
    target: PathLike, picture: image.Picture | windows.LargePicture, controls: Controls, saving: Output
) -> None:
    """Checks, before a picture is painted, that the format can hold the result.

    Raises:
      ImageError: it is too large, see `jaxstyle.image.stream.check_format`.
    """
    height, width = image.output_size(picture.pixels.shape, controls.size)
    format = saving.format
    if image.is_standard(target):
        format = image.format_of(target, format, picture.format)
    stream.check_format(target, stream.format_of(target, format), width, height)


def save(result: image.Picture, target: PathLike, saving: Output) -> tuple[str, ...]:
    """Writes a result with all that it has, see `jaxstyle.image.write`; ``"-"`` is standard output."""
    return image.write(
        image.target_of(target),
        result.pixels,
        alpha=result.alpha,
        bits=result.bits,
        exif=result.exif,
        format=image.format_of(target, saving.format, result.format),
        overwrite=saving.overwrite,
    )


# ---- pictures larger than memory ---------------------------------------------------------------------------


def check_limits(loaded: Loaded, limits: Limits) -> None:
    """Checks what can be known before any picture is read.

    Raises:
      TileError: the model cannot be painted in such tiles.
      ImageError: ``scratch`` is no folder that can be written to.
    """
    if limits.tile is not None:
        check_tile(limits.tile, loaded.needs)
    scratch = limits.scratch
    if scratch is not None and not (os.path.isdir(scratch) and os.access(scratch, os.W_OK)):
        raise ImageError(label_of(scratch), "is no folder that temporary files can be written to")


def streams(
    content: image.Source,
    output: PathLike,
    controls: Controls,
    loaded: Loaded,
    limits: Limits,
    *,
    available: int | None = None,
) -> bool:
    """Whether a picture goes through `paint_file`: tiles were asked for, or a DeepZoom pyramid as the result; or the
    picture does not fit in memory, or was begun so, and the model can do something about it.

    Args:
      content: the picture; of a file only the header is read.
      output: where the result goes.
      controls: ``size`` and ``style_size`` are looked at.
      loaded: the model.
      limits: ``tile`` and ``devices`` are looked at.
      available: bytes; by default what is free now.

    Raises:
      ImageError: the content cannot be read.
    """
    if limits.tile is not None or os.path.splitext(os.fspath(output))[1].lower() == ".dzi":
        return True
    if not loaded.needs.windowed:
        return False
    if unfinished.begun(output) is not None:
        return True
    shape = image.dimensions(content)
    result = image.output_size(shape, controls.size)
    free = memory.available_memory(limits.devices) if available is None and limits.devices else available
    sizes = {result, image.output_size(result, controls.style_size, "style_size")}
    fit = all(fits(*size, loaded.needs, free) for size in sizes)
    return not (fit and memory.picture_fits(*shape, available))


def paint_file(
    content: PathLike | bytes,
    style: Style | StyleOf,
    output: PathLike,
    controls: Controls,
    *,
    loaded: Loaded,
    limits: Limits = Limits(),  # noqa: B008 (frozen)
    saving: Output = Output(),  # noqa: B008 (frozen)
    progress: Callable[[int, int], None] | None = None,
) -> Painting:
    """Stylizes a picture of any size, from file to file; all controls may be combined.

    16-bit depth, transparency and EXIF data are kept where the format allows. Whatever goes wrong, interruption
    included, leaves what was there before, and in a folder with ``.jaxstyle-part`` after the name of ``output`` the
    rows that are done (`jaxstyle.painting.bands`): the same call goes on with them. Nothing is kept of what goes to
    standard output, of a painting that ``style_size`` puts together from others or that is refined, nor where the disk
    has no room.

    Args:
      content: a picture file, its bytes, or ``"-"`` for standard input.
      style: what `jaxstyle.painting.picture.encode_styles` returned, or a function that makes it.
      output: PNG, TIFF (tiled; BigTIFF past 4 GB), DeepZoom (``.dzi``), or what else `jaxstyle.image.write` knows;
        ``"-"`` for standard output.
      controls: see `jaxstyle.Controls`.
      loaded: the model.
      limits: ``scratch`` is a folder on a disk with room for the features (of AdaIN 32 bytes per pixel of the result),
        which saves a third of the time; with ``style_size`` 12 of them must be there. By default the folder of
        ``output``. Its files are nameless and gone with the process, whatever happens to it.
      saving: how it is written; ``overwrite`` also throws away what was begun for another request.
      progress: called with the number of windows done, those of an earlier run included, and their total; with
        ``refine``, of its steps.

    Returns:
      A `Painting`.

    Raises:
      ImageError: a picture cannot be read or written, ``output`` exists, or the scratch folder has no room.
      TileError: the model cannot be painted in such tiles, or needs whole pictures.
      UnfinishedError: what was begun of ``output`` belongs to another request.
      ValueError: a control is out of range or does not fit the styles.
      KeyboardInterrupt: with a message that says what is kept, if anything is.
    """
    if not loaded.needs.windowed:
        check_limits(loaded, limits)
        raise TileError("output: this model looks at the whole picture, which is not painted piece by piece")
    keep = (content, *saving.keep, *controls.files())
    read = [path for path in keep if not (isinstance(path, bytes) or image.is_standard(path))]
    overwrite, to_standard = saving.overwrite or unfinished.half_placed(output), image.is_standard(output)
    stream.check_target(output, format=saving.format, overwrite=overwrite, keep=read)
    with contextlib.ExitStack() as stack:
        source = image.source_of(content)
        picture = stack.enter_context(windows.open_large(source, max_pixels=limits.max_pixels))
        maps = stack.enter_context(open_maps(controls, max_pixels=limits.max_pixels))
        check_result(output, picture, controls, saving)
        height, width = image.output_size(picture.pixels.shape, controls.size)
        if callable(style):
            colours = windows.sample(picture) if recolours(controls) else None
            encoded = style(style_side(controls, (height, width)), colours)
        else:
            encoded = style
        folder = limits.scratch or (tempfile.gettempdir() if to_standard else os.path.dirname(os.path.realpath(output)))
        pixels = _resized(picture.pixels, height, width)
        opacity = None if picture.alpha is None else _resized(picture.alpha, height, width)
        part = None
        preview = image.output_size((height, width), controls.style_size, "style_size")
        at_once = preview == (height, width) and not controls.refine
        if not to_standard and at_once:
            tile = chosen_tile(height, width, loaded.needs, limits.tile or bands.begun_tile(output, loaded.needs))
            job = job_of(pixels, encoded, controls, maps, loaded, tile)
            bits = stream.kept_bits(stream.format_of(output, saving.format), picture.bits)
            request = bands.request(source, job, controls, loaded, bits)
            part = bands.begin(output, request, job.plan, discard=saving.overwrite)
        if part is not None:
            stack.enter_context(part)
            stack.enter_context(part.written(len(job.plan.bands), "bands"))
            rows = bands.painted(loaded, job, controls, part, scratch=folder, progress=progress)
        else:
            if not to_standard:
                unfinished.clear(output, discard=saving.overwrite)
            shelf, within = stack.enter_context(Shelf(folder)), dataclasses.replace(limits, scratch=folder)
            rows = paint_source(pixels, encoded, controls, maps, loaded, shelf=shelf, limits=within, progress=progress)
        notices = [f"{label_of(source)}: {notice}" for notice in picture.notices]
        notices += [*maps.notices, *maps.stretched(height, width), *too_many(height, width, loaded)]
        target, format = output, saving.format
        if to_standard:
            format = image.format_of(output, format, picture.format)
            target = stack.enter_context(sent(image.target_of(output), folder))
        exif = image.resized_exif(picture.exif, picture.pixels.shape, (height, width))
        notices += stream.write(
            target,
            Rows(rows, height, width, opacity, picture.bits, exif),
            format=format,
            overwrite=overwrite or to_standard,
            work=None if part is None else part.folder,
        )
    return Painting(width, height, tuple(notices))


def _resized(source: Source, height: int, width: int) -> Source:
    return source if source.shape[:2] == (height, width) else Resized(source, height, width)
