"""All methods side by side on the same pairs of photo and painting: pictures, seconds, memory, content and style.

Every column is made in a process of its own (`jaxstyle.sheet.columns`), one after the other, and measured in this one.
Two references stand beside them, which no single measure places where they belong: the photo itself has all content,
the painting itself all style.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypedDict, Unpack

import jax
import numpy as np

from jaxstyle import image
from jaxstyle.folders import find, pairing
from jaxstyle.image import Picture
from jaxstyle.image.encode import quantise
from jaxstyle.image.stream import check_format
from jaxstyle.metrics import distributions, metrics
from jaxstyle.metrics.intervals import Interval, bootstrap
from jaxstyle.painting.fit import key_of
from jaxstyle.painting.options import PathLike
from jaxstyle.runtime import files, isolated
from jaxstyle.sheet import compare_tables
from jaxstyle.sheet.columns import Column, Made, Pair, columns, make, prepared
from jaxstyle.sheet.compare_tables import CONTENT, STYLE, TABLES, Row
from jaxstyle.sheet.page import Columns, Entry, fitted

SIZE, CELL, SMALLEST_CELL = 256, 192, 96
SHOWN = 6
"""Most pairs of which pictures are on the page; all are measured."""


class CompareOptions(TypedDict, total=False):
    """The keyword arguments of `compare_file`; it says what they mean."""

    tables: Sequence[PathLike]
    methods: Sequence[str] | None
    refine: int
    size: int
    cell: int
    pair: pairing.Pair
    seed: int
    recursive: bool
    max_pixels: int
    format: str | None
    overwrite: bool


@dataclass(frozen=True)
class CompareReport:
    """What `compare_file` did.

    Attributes:
      output: the page.
      tables: the other files written.
      pairs: photo and painting of each.
      size: the photos' short side at most, in pixels.
      device: that computed.
      rows: what was found, the two references first; see `jaxstyle.sheet.compare_tables.Row`.
      failed: why columns could not be made, a line each.
      notices: sentences for the user.
      seconds: all in all.
    """

    output: str
    tables: tuple[str, ...]
    pairs: tuple[Pair, ...]
    size: int
    device: str
    rows: tuple[Row, ...]
    failed: tuple[str, ...]
    notices: tuple[str, ...]
    seconds: float


class _Shown(NamedTuple):
    """A column of the page: its row of the table, and the pictures of the first pairs."""

    row: Row
    pictures: list[np.ndarray]


def compare_file(
    photos: Sequence[PathLike],
    styles: Sequence[PathLike],
    output: PathLike,
    *,
    progress: Callable[[int, int], None] | None = None,
    **options: Unpack[CompareOptions],
) -> CompareReport:
    """Makes pictures of photos and paintings by all methods, and a page and tables of what they are and cost.

    Args:
      photos, styles: files, folders, and patterns such as ``"photos/*.jpg"``; styles may be built-in ones, ``"@name"``.
      output: the page to write, whose suffix gives the format; ``"-"`` is standard output.
      progress: called with the number of pictures done and their total.
      options: ``tables``: more files to write, ``.md`` or ``.json``. ``methods``: see `columns.columns`; by default
        all. ``refine``: steps, for second columns of the methods that can be refined. ``size``: the photos' short side
        in pixels, 256; they are never enlarged. ``cell``: width of a picture on the page. ``pair``: ``"product"``, the
        default, ``"zip"`` or ``"random"``, see `jaxstyle.folders.pairing.pair_up`. ``seed``: of random pairs and of
        intervals, 0. ``recursive``: descend into the folders in folders. ``max_pixels``: the largest picture that is
        read, and the largest page. ``format``: instead of the suffix. ``overwrite``: replace files to write that are
        there. The files that are read are never replaced.

    Returns:
      A `CompareReport`. With several pairs numbers are means with bootstrap intervals.

    Raises:
      TypeError: there is no such option.
      PairError, ImageError, MetricsError, WeightsError, ValueError: an argument stands for no picture, a picture cannot
        be used, a file cannot be written, or an option is out of range.

    A column that fails leaves its words in its place, and the page is made nevertheless.
    """
    start = time.perf_counter()
    if unknown := sorted(set(options) - CompareOptions.__optional_keys__):
        raise TypeError(f"unexpected keyword argument {unknown[0]!r}")
    size, cell, most = options.get("size", SIZE), options.get("cell", CELL), options.get("max_pixels", image.MAX_PIXELS)
    overwrite, shape, tables = options.get("overwrite", False), options.get("format"), options.get("tables", ())
    if cell < SMALLEST_CELL:
        raise ValueError(f"cell: expected at least {SMALLEST_CELL} pixels, got {cell}")
    if size < 2 * metrics.SMALLEST:
        raise ValueError(f"size: expected at least {2 * metrics.SMALLEST} pixels, got {size}")
    key = key_of(options.get("seed", 0))
    chosen = columns(options.get("methods"), options.get("refine", 0))
    recursive = options.get("recursive", False)
    found = [
        find.find(photos, "photos", recursive=recursive),
        find.find(styles, "styles", recursive=recursive, style=True),
    ]
    drawn = pairing.pair_up(*found, pair=options.get("pair", "product"), seed=options.get("seed", 0))
    pairs = [Pair(photo.path, looks[0].path) for photo, looks in drawn]
    keep = [file for pair in pairs for file in pair]
    image.check_target(output, format=shape, overwrite=overwrite, keep=keep)
    _check_tables(tables, output, overwrite, keep)
    shown = [prepared(pair, size, most) for pair in pairs[:SHOWN]]
    for pair in pairs[SHOWN:]:
        prepared(pair, size, most)
    page = _page(shown, len(chosen), cell)
    if page.height * page.width > most:
        found_size = f"{page.width} x {page.height} pixels"
        raise ValueError(f"cell: a page of {found_size} is too large (max_pixels = {most}); smaller cells need less")
    check_format(output, image.format_of(output, shape), page.width, page.height)
    networks = metrics.load_networks()
    prepare = partial(prepared, size=size, max_pixels=most)
    done: list[_Shown] = _references(networks, pairs, prepare, key)
    for number, column in enumerate(chosen):
        tell = None if progress is None else partial(_tell, progress, number * len(pairs), len(chosen) * len(pairs))
        done.append(_column(networks, column, pairs, prepare, key, tell))
    rows = tuple(one.row for one in done)
    canvas = _filled(page, pairs, done)
    device = jax.devices()[0]
    failed = tuple(f"{row.name}: {row.problem}" for row in rows if row.problem)
    notices = [notice for listing in found for notice in listing.notices]
    if len(pairs) > SHOWN:
        notices.append(f"the page shows the first {SHOWN} of {len(pairs)} pairs; all of them are measured")
    report = CompareReport(
        output=os.fspath(output),
        tables=tuple(os.fspath(table) for table in tables),
        pairs=tuple(pairs),
        size=size,
        device=f"{device.platform}: {device.device_kind}",
        rows=rows,
        failed=failed,
        notices=(
            *notices,
            *image.write(image.target_of(output), canvas, format=image.format_of(output, shape), overwrite=overwrite),
        ),
        seconds=round(time.perf_counter() - start, 3),
    )
    for table in tables:
        files.write(table, TABLES[Path(table).suffix.lower()](report), overwrite)
    return report


def _tell(progress: Callable[[int, int], None], before: int, total: int, done: int) -> None:
    progress(before + done, total)


def _check_tables(tables: Sequence[PathLike], output: PathLike, overwrite: bool, keep: Sequence[PathLike]) -> None:
    """Raises ImageError or ValueError where a table could not be written."""
    taken = {os.path.realpath(output)}
    for table in tables:
        if Path(table).suffix.lower() not in TABLES:
            raise ValueError(f"tables: expected files that end in {' or '.join(TABLES)}, got {os.fspath(table)!r}")
        image.check_target(table, format="png", overwrite=overwrite, keep=keep)  # the path is what is checked
        if os.path.realpath(table) in taken:
            raise ValueError(f"tables: {os.fspath(table)} is written already")
        taken.add(os.path.realpath(table))


# ---- rows --------------------------------------------------------------------------------------------------

Prepare = Callable[[Pair], tuple[np.ndarray, np.ndarray]]


def _references(networks: metrics.Networks, pairs: Sequence[Pair], prepare: Prepare, key: jax.Array) -> list[_Shown]:
    """The photo itself and the painting itself, measured as if they were results."""
    references = []
    for name, choose in (
        ("photo itself", lambda photo, painting: photo),
        ("painting itself", lambda p, painting: painting),
    ):
        pictures = (choose(*prepare(pair)) for pair in pairs)
        values, shown = _measured(networks, pairs, prepare, pictures)
        references.append(_Shown(Row(name, "", "", measures=_intervals(key, values)), shown))
    return references


def _column(
    networks: metrics.Networks,
    column: Column,
    pairs: Sequence[Pair],
    prepare: partial[tuple[np.ndarray, np.ndarray]],
    key: jax.Array,
    tell: Callable[[int], None] | None,
) -> _Shown:
    """Made in a process of its own, then measured in this one, which does not disturb its seconds."""
    row = Row(column.name, column.method, column.detail, column.refine)
    made: list[Made] = []
    peak = None
    try:
        for result in isolated.results(make, column, pairs, prepare.keywords["size"], prepare.keywords["max_pixels"]):
            if not isinstance(result, Made):
                peak = result
                continue
            made.append(result)
            if tell is not None:
                tell(len(made))
    except isolated.IsolatedError as error:
        return _Shown(row._replace(problem=str(error)), [])
    values, shown = _measured(networks, pairs, prepare, (one.pixels for one in made))
    return _Shown(
        row._replace(
            seconds=bootstrap(key, [one.seconds for one in made]),
            processor_seconds=bootstrap(key, [one.processor_seconds for one in made]),
            peak_bytes=peak,
            measures=_intervals(key, values),
        ),
        shown,
    )


def _measured(
    networks: metrics.Networks, pairs: Sequence[Pair], prepare: Prepare, pictures: Iterator[np.ndarray]
) -> tuple[list[dict[str, float]], list[np.ndarray]]:
    """What is measured of a picture of every pair, and the pictures that the page shows."""
    values, shown = [], []
    for number, (pair, picture) in enumerate(zip(pairs, pictures, strict=True)):
        values.append(measured(networks, *prepare(pair), picture))
        if number < SHOWN:
            shown.append(picture)
    return values, shown


def measured(
    networks: metrics.Networks, photo: np.ndarray, painting: np.ndarray, output: np.ndarray
) -> dict[str, float]:
    """What a picture kept of the photo and took from the painting.

    Args:
      networks: see `jaxstyle.metrics.metrics.load_networks`.
      photo, painting: ``(H, W, 3)`` and ``(H', W', 3)``, at least 32 x 32 pixels.
      output: ``(h, w, 3)``; where it has not the photo's size it is brought to that for the measures of content.

    Returns:
      The measures of `jaxstyle.sheet.compare_tables.CONTENT` and ``STYLE`` by name.

    Raises:
      MetricsError: a picture is too small.
    """
    same = output if output.shape == photo.shape else image.resize(output, photo.shape[:2])
    found = {
        "lpips": metrics.lpips(networks, same, photo),
        "ssim": metrics.ssim(same, photo),
        "cfsd": distributions.cfsd(networks, same, photo),
        **metrics.style_ratios(networks, photo, painting, output),
        "remd": distributions.remd(networks, output, painting),
        "histogram": distributions.histogram_distance(output, painting),
    }
    return {name: float(found[name]) for name in (*CONTENT, *STYLE)}


def _intervals(key: jax.Array, values: Sequence[dict[str, float]]) -> dict[str, Interval]:
    return {name: bootstrap(key, [one[name] for one in values]) for name in values[0]}


# ---- the page ----------------------------------------------------------------------------------------------


def _page(shown: Sequence[tuple[np.ndarray, np.ndarray]], made: int, cell: int) -> Columns:
    """The page, empty: of the height that its pictures have in their cells."""
    tall = max(fitted(Picture(pixels, None), cell).pixels.shape[0] for pair in shown for pixels in pair)
    return Columns(cell, tall, 2 + made, len(shown), len(compare_tables.HEADS) - 1)


def _filled(page: Columns, pairs: Sequence[Pair], done: Sequence[_Shown]) -> np.ndarray:
    """The page with its pictures and words: uint8 (H, W, 3)."""
    canvas = page.canvas()
    for place, pair in enumerate(pairs[:SHOWN]):
        page.row(canvas, place, " in ".join(Path(file).stem for file in pair))
    for column, (row, pictures) in enumerate(done):
        page.head(canvas, column, row.name)
        for place in range(min(len(pairs), SHOWN)):
            entry = Entry(row.name, None, row.problem)
            if not row.problem:
                pixels = quantise(pictures[place], np.dtype(np.uint8)) / np.float32(255)
                entry = Entry(row.name, fitted(Picture(pixels, None), page.cell))
            page.place(canvas, place, column, entry)
    cells = [compare_tables.cells(one.row) for one in done]
    for number, name in enumerate(compare_tables.HEADS[1:]):
        page.line(canvas, number, name, [words[number + 1] for words in cells])
    return canvas
