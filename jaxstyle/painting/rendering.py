"""From a fitted picture to a picture file of any size, in bounded memory, and resumable.

`render_file` renders tile by tile, keeps finished tiles in a folder beside the result (`jaxstyle.painting.unfinished`)
and writes rows as they are complete (`jaxstyle.image.stream`). A run that was killed goes on where it was; the file is
written anew from the tiles that are there, which takes a small part of the time of rendering them.

Memory beyond the interpreter's is that of two rows of tiles, whatever the height: 30 MB a row at a width of 20 000. On
disk, while it runs, beside the result: 3 bytes a pixel (6 with 16 bits), and 2 more for the smaller versions in a TIFF.
JPEG, WebP and BMP cannot be written row by row: their samples are gathered in memory.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import hashlib
import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

import jax
import numpy as np

from jaxstyle import weights
from jaxstyle.arrays import Array
from jaxstyle.controls.controls import Size
from jaxstyle.image import stream
from jaxstyle.image.source import is_standard, sent, target_of
from jaxstyle.image.stream import Rows
from jaxstyle.methods import generalizable_inr
from jaxstyle.methods.inr import files
from jaxstyle.methods.inr.picture import Picture, check_params
from jaxstyle.painting.options import Limits, Output, PathLike
from jaxstyle.painting.scene import Painter, View, ViewFields, open_scene
from jaxstyle.painting.unfinished import Unfinished, digest, half_placed, opened
from jaxstyle.runtime.progress import Progress


@dataclass(frozen=True)
class Rendering:
    """What `render_file` or `jaxstyle.painting.sweep.sweep_file` did.

    Attributes:
      output: the file.
      width, height: in pixels; of a sweep, of one of its frames.
      frames: how many.
      tiles: how many tiles there are.
      kept: how many of them an earlier run had made.
      seconds: of this run.
      pixels_per_second: that this run rendered.
      notices: sentences for the user.
    """

    output: str
    width: int
    height: int
    frames: int
    tiles: int
    kept: int
    seconds: float
    pixels_per_second: float
    notices: tuple[str, ...] = ()


class RenderOptions(ViewFields, total=False):
    """The keyword arguments of `render_file`."""

    bits: int
    format: str | None
    overwrite: bool
    tile: int | None
    devices: Sequence[jax.Device] | None
    max_pixels: int


def render_file(
    fit: Picture | PathLike,
    output: PathLike,
    size: Size | None = None,
    alpha: float = 1.0,
    *,
    progress: Callable[[Progress], None] | None = None,
    **options: Unpack[RenderOptions],
) -> Rendering:
    """Renders a fitted picture into a file; killed half-way, the same call finishes it.

    Until the file is whole there is nothing under its name, or what was there before; a folder with
    ``.jaxstyle-part`` after its name holds what is done. The result is the same with or without interruptions.

    Args:
      fit: a fitted or conditioned picture, or its file, see `load_picture`.
      output: PNG, TIFF (tiled, with smaller versions; BigTIFF from 32 megapixels on; needs the extra ``large``),
        DeepZoom (``.dzi``), JPEG, WebP or BMP; ``"-"`` for standard output, which is not resumable.
      size: (width, height) in pixels, or the short side; by default as the picture that was fitted to.
      alpha: degree of style in [0, 1], 0 = content, 1 = full style.
      progress: called with the tiles done.
      options: what is shown is a `jaxstyle.painting.scene.View`: ``alpha_map``, ``gradient``, ``mask``, ``mask_alpha``,
        ``region``. How it is written: ``bits`` of the samples, 8, or 16 for PNG and TIFF; ``format`` instead of the
        suffix, as in `jaxstyle.image.write`; ``overwrite``: replace ``output`` if it is there, and throw away what was
        begun for another request. What may be used: ``tile``, the largest side of a tile in pixels, by default 512 on a
        CPU and 1024 elsewhere; ``devices`` that share the work, by default all of this process; ``max_pixels`` of maps
        and masks that are read.

    Returns:
      A `Rendering`.

    Raises:
      WeightsError: ``fit`` is no fitted picture.
      ImageError: a map or mask cannot be read or has another shape, ``output`` exists or cannot be written.
      UnfinishedError: what was begun of ``output`` belongs to another request.
      ValueError: an argument is out of range.
    """
    view, limits, writing = grouped(size, alpha, options, RenderOptions.__annotations__)
    bits, tile = 8 if writing.bits is None else writing.bits, limits.tile
    if bits not in (8, 16):
        raise ValueError(f"bits: expected 8 or 16, got {bits!r}")
    if tile is not None and (isinstance(tile, bool) or not isinstance(tile, int) or tile < 1):
        raise ValueError(f"tile: expected a number of pixels of at least 1, got {tile!r}")
    overwrite = writing.overwrite or half_placed(output)
    stream.check_target(output, format=writing.format, overwrite=overwrite, keep=files_read(fit, view))
    params, begun = fitted(fit), time.perf_counter()
    with open_scene(params, view, max_pixels=limits.max_pixels) as scene:
        stream.check_format(output, stream.format_of(output, writing.format), scene.width, scene.height)
        painter = Painter(scene, bits, tile=tile, devices=limits.devices)
        with contextlib.ExitStack() as stack:
            target = os.fspath(output)
            if is_standard(output):
                target = stack.enter_context(sent(target_of(output), name="picture.png"))
            request = _request(painter, view)
            kept, notices = _run(painter, target, request, writing, not is_standard(output), progress)
    notices, seconds = scene.notices + notices, time.perf_counter() - begun
    speed = scene.width * scene.height * (painter.count - kept) / painter.count / seconds
    return Rendering(
        os.fspath(output), scene.width, scene.height, 1, painter.count, kept, round(seconds, 3), round(speed), notices
    )


def grouped(
    size: Size | None, alpha: float, options: Mapping[str, Any], accepted: Collection[str]
) -> tuple[View, Limits, Output]:
    """Makes groups of keyword arguments; those that are fields of none are left out.

    Args:
      size, alpha: of the view.
      options: the keyword arguments.
      accepted: their names.

    Raises:
      TypeError: there is another one.
      ValueError: a field of the view is out of range.
    """
    if unknown := sorted(set(options) - set(accepted)):
        raise TypeError(f"unexpected keyword argument {unknown[0]!r}")

    def fields(kind: Any) -> dict[str, Any]:
        return {field.name: options[field.name] for field in dataclasses.fields(kind) if field.name in options}

    return View(size=size, alpha=alpha, **fields(View)), Limits(**fields(Limits)), Output(**fields(Output))


def files_read(fit: Picture | PathLike, view: View) -> list[PathLike]:
    """The files that a view of a fitted picture is made of; they are never replaced."""
    return [*([fit] if isinstance(fit, str | os.PathLike) else []), *view.controls.files()]


def load_picture(path: PathLike) -> Picture:
    """The picture of a file of `jaxstyle.fit_file` or `jaxstyle.condition_file`.

    Args:
      path: the file; also one that `jaxstyle.inr.save` or `jaxstyle.generalizable_inr.save_picture` wrote.

    Returns:
      What `jaxstyle.render` and `jaxstyle.render_image` take.

    Raises:
      WeightsError: the file is missing, damaged, or holds something else.
    """
    try:
        kind = weights.header(Path(path))["kind"]
    except weights.WeightsError:
        kind = files.KIND  # what is wrong with it is said where it is read
    if kind == generalizable_inr.PICTURE:
        return generalizable_inr.load_picture(path)
    if kind != files.KIND:
        needed = "a picture that jaxstyle fit or jaxstyle condition wrote"
        raise weights.WeightsError(f"{path}: holds weights of kind {kind!r}; needed is {needed}")
    return files.load(path)


def fitted(fit: Picture | PathLike) -> Picture:
    """A fitted picture, or that of a file.

    Raises:
      WeightsError: the file is none.
      ValueError: the parameters are not those of one picture, or not finite.
    """
    if isinstance(fit, str | os.PathLike):
        return load_picture(fit)
    check_params(fit, "fit")
    if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(fit)):
        raise ValueError("fit: its parameters hold values that are not finite")
    return fit


# ---- the run -----------------------------------------------------------------------------------------------


def _run(
    painter: Painter,
    target: str,
    request: dict[str, Any],
    writing: Output,
    resumable: bool,
    progress: Callable[[Progress], None] | None,
) -> tuple[int, tuple[str, ...]]:
    """Renders what is missing and writes the file: how many tiles were there, and notices."""
    shape, count = (painter.rows, painter.columns, 3), painter.count
    with opened(target, request, shape, painter.dtype, discard=writing.overwrite) as part:
        kept = part.done
        report = (lambda: progress(Progress(count, kept, max(0, part.done - kept), 0))) if progress else lambda: None
        with part.written(count, resumable=resumable):
            notices = stream.write(
                target,
                Rows(_bands(painter, part, report), painter.scene.height, painter.scene.width, bits=painter.bits),
                format=writing.format,
                pyramid=True,
                work=part.folder,
            )
    return kept, notices


def _bands(painter: Painter, part: Unfinished, report: Callable[[], None]) -> Iterator[np.ndarray]:
    """Rows of tiles, from top to bottom, from disk or rendered."""
    scene, tiles = painter.scene, _ahead(painter, part)
    report()
    for row in range(painter.down):
        top = row * painter.rows
        band = np.empty((min(painter.rows, scene.height - top), painter.across * painter.columns, 3), painter.dtype)
        for column in range(painter.across):
            number, found = next(tiles)
            if isinstance(found, np.ndarray):
                samples = found
            else:
                samples = np.asarray(found)
                part.write(number, samples)
                report()
            left = column * painter.columns
            band[:, left : left + painter.columns] = samples[: len(band)]
        yield band[:, : scene.width]


def _ahead(painter: Painter, part: Unfinished) -> Iterator[tuple[int, np.ndarray | Array]]:
    """All tiles in their order; an accelerator works on the next ones while the host looks at one."""
    depth = 0 if painter.platform == "cpu" else 2
    waiting: collections.deque[tuple[int, np.ndarray | Array]] = collections.deque()
    for number in range(painter.count):
        kept = part.read(number)
        waiting.append((number, painter(number) if kept is None else kept))
        if len(waiting) > depth:
            yield waiting.popleft()
    yield from waiting


# ---- the request -------------------------------------------------------------------------------------------


def _request(painter: Painter, view: View) -> dict[str, Any]:
    """All that decides about the samples, to the last bit."""
    scene, controls = painter.scene, view.controls.as_dict()
    of_fit = hashlib.sha256(repr((scene.params.spec, scene.params.size)).encode())
    for leaf in jax.tree.leaves(scene.params):
        of_fit.update(np.asarray(leaf).tobytes())
    return {
        "fit": of_fit.hexdigest(),
        "size": [scene.width, scene.height],
        "region": list(scene.region),
        "alpha": controls["alpha"],
        "alpha_map": digest(controls["alpha_map"]),
        "gradient": controls["gradient"],
        "mask": [digest(name) for name in controls["mask"] or ()],
        "mask_alpha": list(view.mask_alpha or ()),
        "bits": painter.bits,
        "tile": [painter.rows, painter.columns],
        "device": painter.kind,
        "jax": jax.__version__,
        **({"points": list(painter.points)} if painter.points != (1, 1) else {}),
    }
