"""Contact sheets: photos in many styles on one page, with names and small pictures of what they are made of.

Of one photo, the results stand in a grid, each with its style below it. Of several, photos go down the rows and styles
along the top. Photos are painted at the size of their cells, as a preview is, or larger and then scaled down, which
shows what strokes look like in a large picture. A picture that cannot be read leaves its words in its place, and the
sheet is made nevertheless.
"""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np

from jaxstyle import image, methods
from jaxstyle.controls.controls import Controls, Fields
from jaxstyle.controls.degree import Maps, read_maps
from jaxstyle.folders import find
from jaxstyle.image import ImageError, Picture
from jaxstyle.image.source import label_of
from jaxstyle.image.stream import check_format
from jaxstyle.methods.interface import Loaded, Style
from jaxstyle.painting.options import DEFAULT_WEIGHTS, PathLike, sort
from jaxstyle.painting.picture import (
    STYLE_SIZE,
    check,
    default_model,
    encode_styles,
    load_model,
    recolours,
    render,
    style_pixels,
    style_side,
)
from jaxstyle.painting.style_file import is_fitted, read_style
from jaxstyle.sheet.page import SMALLEST_CELL, Entry, Grid, Table, fitted
from jaxstyle.weights import WeightsError

CELL = 256


@dataclass(frozen=True, eq=False)
class Sheet:
    """What `sheet` made.

    Attributes:
      pixels: uint8 (height, width, 3).
      failed: why pictures could not be used, a line each.
      notices: sentences for the user.
    """

    pixels: np.ndarray
    failed: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()


def sheet(
    photos: Sequence[image.Source],
    styles: Sequence[image.Source],
    controls: Controls | None = None,
    *,
    cell: int = CELL,
    columns: int | None = None,
    model: Any = None,
    max_pixels: int = image.MAX_PIXELS,
    progress: Callable[[int, int], None] | None = None,
) -> Sheet:
    """Paints every photo in every style and lays out the results.

    Aspect ratios are kept, pictures smaller than a cell are not enlarged, transparency lets the paper through. Every
    style is encoded once, unless it takes on the colours of the photos.

    Args:
      photos: at least one, as `jaxstyle.image.read` takes them; paths are named by their file.
      styles: at least one.
      controls: of `jaxstyle.controls.controls.Controls` those that are about one style: not ``weights``. A mask or an
        alpha map is stretched over every photo. ``size`` is the short side at which photos are painted before they are
        fitted into their cells; it does not enlarge them.
      cell: side of the square that a picture is fitted into, in pixels, at least 32.
      columns: results beside each other; by default as many as make a grid of one photo about square, and all styles
        where there are several photos.
      model: see `jaxstyle.stylize`; by default the shipped one.
      max_pixels: the largest picture that is read, and the largest sheet.
      progress: called with the number of results done and their total.

    Returns:
      A `Sheet`.

    Raises:
      ImageError: none of the photos, or none of the styles, can be read, or a map of the controls cannot.
      ValueError: an argument is out of range, or means nothing here.
    """
    chosen = controls or Controls()
    if not photos or not styles:
        raise ValueError(f"{'styles' if photos else 'photos'}: expected at least one picture, got none")
    if chosen.weights is not None:
        raise ValueError("weights: means nothing on a contact sheet, where every result has one style")
    if isinstance(chosen.size, tuple):
        raise ValueError("size: on a contact sheet expected the short side alone, which keeps aspect ratios")
    check(chosen, 1)
    page = _page(len(photos), len(styles), cell, columns)
    if page.height * page.width > max_pixels:
        found = f"{page.width} x {page.height} pixels for {len(photos)} x {len(styles)} pictures"
        raise ValueError(f"cell: {found} are too many (max_pixels = {max_pixels}); smaller cells need less")
    maps = read_maps(chosen, max_pixels=max_pixels)
    loaded = default_model() if model is None else methods.loaded(model)
    check(chosen, 1, loaded)
    return _fill(page, photos, styles, chosen, maps, loaded, cell, max_pixels, progress)


def _page(photos: int, styles: int, cell: int = CELL, columns: int | None = None) -> Grid | Table:
    """The sheet, empty."""
    if cell < SMALLEST_CELL:
        raise ValueError(f"cell: expected at least {SMALLEST_CELL} pixels, got {cell}")
    if columns is not None and columns < 1:
        raise ValueError(f"columns: expected at least 1, got {columns}")
    return Grid(cell, columns, styles) if photos == 1 else Table(cell, columns, photos, styles)


def _fill(
    page: Grid | Table,
    photos: Sequence[image.Source],
    styles: Sequence[image.Source],
    chosen: Controls,
    maps: Maps,
    loaded: Loaded,
    cell: int,
    max_pixels: int,
    progress: Callable[[int, int], None] | None,
) -> Sheet:
    """Reads, paints and lays out; see `sheet`."""
    canvas = page.canvas()
    failed: list[str] = []
    notices = list(maps.notices)
    looks: list[Picture | None] = []
    models: list[Loaded] = []
    encoded: dict[tuple[int, int], Style] = {}  # by number and side
    for number, source in enumerate(styles):
        name = _name(source, f"style {number + 1}")
        side = max(cell, chosen.style_size or STYLE_SIZE)
        look, problem = _read(read_style, source, name, side, max_pixels, notices)
        failed += [problem] if problem else []
        looks.append(None)
        models.append(load_model(os.fspath(source)) if look is not None and is_fitted(source) else loaded)
        page.style(canvas, number, Entry(name, None if look is None else fitted(look, cell), problem))
        if look is not None:
            looks[-1] = Picture(style_pixels(look.pixels, chosen, chosen.style_size or STYLE_SIZE), None)
    if not any(looks):
        raise _no_picture("styles", failed)
    read, size = 0, chosen.size if isinstance(chosen.size, int) else 0
    chosen = dataclasses.replace(chosen, size=None)
    for row, source in enumerate(photos):
        name = _name(source, f"photo {row + 1}")
        picture, problem = _read(image.read, source, name, max(cell, size), max_pixels, notices)
        failed += [problem] if problem else []
        read += picture is not None
        page.photo(canvas, row, Entry(name, None if picture is None else fitted(picture, cell), problem))
        if picture is not None:
            short, long = sorted(picture.pixels.shape[:2])
            picture = fitted(picture, max(cell, round(size * long / short)))
        for column, look in enumerate(looks):
            result = None
            if picture is not None and look is not None:
                key = (column, style_side(chosen, picture.pixels.shape))
                if not recolours(chosen) and key not in encoded:
                    encoded[key] = encode_styles([look], chosen, models[column], key[1])
                result = render(picture, [look], chosen, maps, models[column], style=encoded.get(key))
                notices += [notice for notice in result.notices if notice not in notices]
            page.result(canvas, row, column, None if result is None else fitted(result, cell))
            if progress is not None:
                progress(row * len(looks) + column + 1, len(photos) * len(looks))
    if not read:
        raise _no_picture("photos", failed)
    return Sheet(canvas, tuple(failed), tuple(notices))


def _no_picture(name: str, failed: Sequence[str]) -> ImageError:
    if len(failed) == 1:
        label, _, problem = failed[0].partition(": ")
        return ImageError(label, problem)
    return ImageError(name, f"none of the {len(failed)} can be read; the first: {failed[0]}")


def _name(source: Any, otherwise: str) -> str:
    label = label_of(source, "")
    return os.path.splitext(os.path.basename(label))[0] if label not in ("", "array") else otherwise


def _read(
    read: Callable[..., Picture], source: image.Source, name: str, short_side: int, max_pixels: int, notices: list[str]
) -> tuple[Picture | None, str]:
    """A picture at least as large as asked for, if it is; or why there is none."""
    try:
        if isinstance(source, str | os.PathLike):
            image.check_file(source)
        found = read(source, max_pixels=max_pixels, short_side=short_side)
    except (ImageError, WeightsError) as error:
        return None, str(error)
    notices += [f"{label_of(source, name)}: {notice}" for notice in found.notices]
    return found, ""


# ---- files -------------------------------------------------------------------------------------------------


class SheetOptions(Fields, total=False):
    """The keyword arguments of `sheet_file`: fields of `Controls`, and those that it names."""

    weights_file: PathLike
    max_pixels: int
    format: str | None
    overwrite: bool
    cell: int
    columns: int | None
    recursive: bool


@dataclass(frozen=True)
class SheetReport:
    """What `sheet_file` did.

    Attributes:
      output: the file written.
      photos, styles: the files.
      width, height: of the sheet, in pixels.
      controls: `Controls.as_dict`.
      weights_file: name or path of the weights.
      failed: why pictures could not be used, a line each.
      notices: sentences for the user.
      seconds: all in all.
    """

    output: str
    photos: tuple[str, ...]
    styles: tuple[str, ...]
    width: int
    height: int
    controls: dict[str, Any]
    weights_file: str
    failed: tuple[str, ...]
    notices: tuple[str, ...]
    seconds: float


def sheet_file(
    photos: Sequence[PathLike],
    styles: Sequence[PathLike],
    output: PathLike,
    controls: Controls | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
    **options: Unpack[SheetOptions],
) -> SheetReport:
    """Makes a `sheet` of files, folders and patterns, and writes it.

    Args:
      photos, styles: files, folders, and patterns such as ``"photos/*.jpg"``.
      output: the file to write, whose suffix gives the format; ``"-"`` is standard output.
      controls: as in `sheet`.
      progress: see `sheet`.
      options: fields of `Controls`, which go before those of ``controls``; ``cell``, ``columns`` and ``max_pixels`` as
        in `sheet`; ``recursive``: descend into the folders in folders; ``weights_file``: name of shipped weights, or
        the path of a file; ``format``: instead of the suffix; ``overwrite``: replace ``output`` if it is there. The
        files that are read are never replaced.

    Returns:
      A `SheetReport`.

    Raises:
      TypeError: there is no such option.
      PairError: an argument stands for no picture.
      ImageError, WeightsError, ValueError: as `sheet`, or the file cannot be written.
    """
    start = time.perf_counter()
    if unknown := sorted(options.keys() - SheetOptions.__optional_keys__):
        raise TypeError(f"unexpected keyword argument {unknown[0]!r}")
    chosen, limits, written, named, rest = sort(SheetOptions, controls, options)
    recursive = rest.pop("recursive", False)
    found = [
        find.find(photos, "photos", recursive=recursive),
        find.find(styles, "styles", recursive=recursive, style=True),
    ]
    files, looks = (tuple(picture.path for picture in listing.pictures) for listing in found)
    keep = [*files, *looks, *chosen.files()]
    image.check_target(output, format=written.format, overwrite=written.overwrite, keep=keep)
    page = _page(len(files), len(looks), **rest)
    check_format(output, image.format_of(output, written.format), page.width, page.height)
    weights_file = DEFAULT_WEIGHTS if named is None else named
    model = load_model(weights_file)
    made = sheet(files, looks, chosen, model=model, max_pixels=limits.max_pixels, progress=progress, **rest)
    notices = image.write(
        image.target_of(output),
        made.pixels,
        format=image.format_of(output, written.format),
        overwrite=written.overwrite,
    )
    return SheetReport(
        output=os.fspath(output),
        photos=files,
        styles=looks,
        width=made.pixels.shape[1],
        height=made.pixels.shape[0],
        controls=chosen.as_dict(),
        weights_file=weights_file,
        failed=made.failed,
        notices=(*found[0].notices, *found[1].notices, *made.notices, *notices),
        seconds=round(time.perf_counter() - start, 3),
    )
