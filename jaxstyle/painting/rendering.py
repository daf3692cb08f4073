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
import errno
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from jaxstyle import image
from jaxstyle.arrays import Array
from jaxstyle.controls.controls import Controls, Size
from jaxstyle.image import stream
from jaxstyle.image.source import ImageError, is_standard, label_of, os_problem, sent, target_of
from jaxstyle.methods.inr import network
from jaxstyle.methods.inr.network import InrParams
from jaxstyle.methods.inr.rendering import check_params
from jaxstyle.nets import coords as places
from jaxstyle.painting.scene import Painter, Scene, checked_mask_alpha, open_scene
from jaxstyle.painting.unfinished import SUFFIX, Part
from jaxstyle.runtime import memory
from jaxstyle.runtime.progress import Progress

PathLike = str | os.PathLike[str]

MOST_SIDE = {"JPEG": 65_500, "WEBP": 16_383, "GIF": 65_535, "MP4": 16_384}
"""The longest side that a format can have, in pixels (of JPEG what libjpeg writes, of MP4 what x264 does)."""


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


def render_file(
    fit: InrParams | PathLike,
    output: PathLike,
    size: Size | None = None,
    alpha: float = 1.0,
    *,
    alpha_map: image.Source | None = None,
    gradient: str | None = None,
    mask: image.Source | Sequence[image.Source] | None = None,
    mask_alpha: float | Sequence[float] | None = None,
    region: places.Box = places.WHOLE,
    bits: int = 8,
    format: str | None = None,
    overwrite: bool = False,
    tile: int | None = None,
    devices: Sequence[jax.Device] | None = None,
    max_pixels: int = image.MAX_PIXELS,
    progress: Callable[[Progress], None] | None = None,
) -> Rendering:
    """Renders a fitted picture into a file; killed half-way, the same call finishes it.

    Until the file is whole there is nothing under its name, or what was there before; a folder with
    ``.jaxstyle-part`` after its name holds what is done. The result is the same with or without interruptions.

    Args:
      fit: a fitted picture, or the file that `jaxstyle.inr.save` wrote.
      output: PNG, TIFF (tiled, with smaller versions; BigTIFF from 32 megapixels on; needs the extra ``large``),
        DeepZoom (``.dzi``), JPEG, WebP or BMP; ``"-"`` for standard output, which is not resumable.
      size: (width, height) in pixels, or the short side; by default as the picture that was fitted to.
      alpha: degree of style in [0, 1], 0 = content, 1 = full style.
      alpha_map: a grey picture of the degree of style, white = 1; multiplies ``alpha``.
      gradient: the same from a line such as ``"left:0,right:1"``, see
        `jaxstyle.controls.controls.parse_gradient`; multiplies both.
      mask: grey pictures, white where ``mask_alpha`` holds; elsewhere it is ``alpha`` with its map and gradient. Soft
        masks mix. Maps and masks may have any size, but the shape of the picture.
      mask_alpha: a degree of style for every mask; a number where there is one mask.
      region: left, top, right and bottom edge of the part to show; the whole is (-1, -1, 1, 1). Alpha map, gradient and
        masks stay where they are on the whole picture.
      bits: of the samples, 8, or 16 for PNG and TIFF.
      format: instead of the suffix, as in `jaxstyle.image.write`.
      overwrite: replace ``output`` if it is there, and throw away what was begun for another request.
      tile: the largest side of a tile in pixels; by default 512 on a CPU and 1024 elsewhere.
      devices: that share the work; by default all of this process.
      max_pixels: of maps and masks that are read.
      progress: called with the tiles done.

    Returns:
      A `Rendering`.

    Raises:
      WeightsError: ``fit`` is no fitted picture.
      ImageError: a map or mask cannot be read or has another shape, ``output`` exists or cannot be written.
      PartError: what was begun of ``output`` belongs to another request.
      ValueError: an argument is out of range.
    """
    chosen = Controls(alpha=alpha, alpha_map=alpha_map, gradient=gradient, mask=mask, size=size)  # type: ignore[arg-type]
    if bits not in (8, 16):
        raise ValueError(f"bits: expected 8 or 16, got {bits!r}")
    if tile is not None and (isinstance(tile, bool) or not isinstance(tile, int) or tile < 1):
        raise ValueError(f"tile: expected a number of pixels of at least 1, got {tile!r}")
    alphas = checked_mask_alpha(chosen, mask_alpha)
    read = [fit, *chosen.files()] if isinstance(fit, str | os.PathLike) else [*chosen.files()]
    stream.check_target(output, format=format, overwrite=overwrite or _half_placed(output), keep=read)
    params, begun = fitted(fit), time.perf_counter()
    with open_scene(params, chosen, alphas, region, max_pixels=max_pixels) as scene:
        check_format(output, stream.format_of(output, format), scene.width, scene.height)
        painter = Painter(scene, bits, tile=tile, devices=devices)
        with contextlib.ExitStack() as stack:
            target = os.fspath(output)
            if is_standard(output):
                target = stack.enter_context(sent(target_of(output), name="picture.png"))
            request = _request(scene, painter, chosen, alphas, bits)
            resumable = not is_standard(output)
            kept, notices = _run(painter, scene, target, request, bits, format, overwrite, resumable, progress)
    notices, seconds = scene.notices + notices, time.perf_counter() - begun
    tiles = painter.down * painter.across
    speed = scene.width * scene.height * (tiles - kept) / tiles / seconds
    return Rendering(
        os.fspath(output), scene.width, scene.height, 1, tiles, kept, round(seconds, 3), round(speed), notices
    )


def fitted(fit: InrParams | PathLike) -> InrParams:
    """A fitted picture, or that of a file.

    Raises:
      WeightsError: the file is none.
      ValueError: the parameters are not those of one picture, or not finite.
    """
    if not isinstance(fit, InrParams):
        return network.load(fit)
    check_params(fit, "fit")
    if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(fit)):
        raise ValueError("fit: its parameters hold values that are not finite")
    return fit


def check_format(output: PathLike, format: str, width: int, height: int) -> None:
    """Checks that a format can hold a picture of this size, and the memory where the format needs it there as a whole,
    before it is rendered.

    Raises:
      ImageError: it cannot.
    """
    most, label = MOST_SIDE.get(format), label_of(output, "output")
    found = f"{width} x {height} pixels are too many"
    if most is not None and max(width, height) > most:
        problem = f"{found} for {format}, whose sides have at most {most}: PNG, TIFF and .dzi have no such limit"
        raise ImageError(label, problem)
    needed, free = 9 * width * height, memory.host_memory()  # the samples, their file, and what the encoder copies
    if not stream.is_streamed(format) and free is not None and needed > free:
        problem = f"{found} for the memory, where {format} needs them all at once"
        raise ImageError(label, f"{problem}: PNG, TIFF (with tifffile) and .dzi are written row by row")


def _half_placed(output: PathLike) -> bool:
    """Whether a run was killed while it moved a DeepZoom pyramid into its place: the tiles first, then the index."""
    real = os.path.realpath(output)
    return real.lower().endswith(".dzi") and os.path.isdir(real + SUFFIX) and not os.path.exists(real)


# ---- the run -----------------------------------------------------------------------------------------------


def _run(
    painter: Painter,
    scene: Scene,
    target: str,
    request: dict[str, Any],
    bits: int,
    format: str | None,
    overwrite: bool,
    resumable: bool,
    progress: Callable[[Progress], None] | None,
) -> tuple[int, tuple[str, ...]]:
    """Renders what is missing and writes the file: how many tiles were there, and notices."""
    dtype: np.dtype[Any] = np.dtype(np.uint8 if bits == 8 else np.uint16)
    shape, count = (painter.rows, painter.columns, 3), painter.down * painter.across
    label = label_of(target)
    try:
        part = Part(target, request, shape, dtype, discard=overwrite)
    except OSError as error:
        raise ImageError(label + SUFFIX, f"cannot be made: {os_problem(error)}") from error
    with part:
        part.keep = part.done > 0
        kept = part.done
        report = (lambda: progress(Progress(count, kept, max(0, part.done - kept), 0))) if progress else lambda: None
        _check_room(part.folder, (count - kept) * int(np.prod(shape)) * dtype.itemsize, label)
        bands = _bands(painter, scene, part, dtype, report)
        try:
            notices = stream.write(
                target,
                bands,
                scene.height,
                scene.width,
                bits=bits,
                format=format,
                pyramid=True,
                work=part.folder,
            )
        except ImageError as error:
            if not _keeps(part, count, resumable):
                raise
            raise ImageError(error.label, f"{error.problem}; {_words(part, count, target)}") from error.__cause__
        except KeyboardInterrupt:
            if not _keeps(part, count, resumable):
                raise
            raise KeyboardInterrupt(f"interrupted; {_words(part, count, target)}") from None
        except BaseException:
            _keeps(part, count, resumable)
            raise
        part.keep = False
    return kept, notices


def _keeps(part: Part, count: int, resumable: bool) -> bool:
    """Whether there is anything worth keeping of a run that came to a bad end."""
    part.keep = resumable and count > 1 and part.done > 0
    return part.keep


def _words(part: Part, count: int, target: str) -> str:
    return f"{part.done} of {count} tiles are kept in {target}{SUFFIX}, and the same command goes on"


def _check_room(folder: str, size: int, label: str) -> None:
    """Raises ImageError where the tiles that are missing do not fit on the disk."""
    free = shutil.disk_usage(folder).free
    if free < size:
        problem = f"cannot be written: no space left on device: {size / 1e6:.2f} MB are needed, {free / 1e6:.2f} free"
        raise ImageError(label, problem) from OSError(errno.ENOSPC, problem)


def _bands(
    painter: Painter, scene: Scene, part: Part, dtype: np.dtype[Any], report: Callable[[], None]
) -> Iterator[np.ndarray]:
    """Rows of tiles, from top to bottom, from disk or rendered."""
    tiles = _ahead(painter, part)
    report()
    for row in range(painter.down):
        top = row * painter.rows
        band = np.empty((min(painter.rows, scene.height - top), painter.across * painter.columns, 3), dtype)
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


def _ahead(painter: Painter, part: Part) -> Iterator[tuple[int, np.ndarray | Array]]:
    """All tiles in their order; an accelerator works on the next ones while the host looks at one."""
    depth = 0 if painter.platform == "cpu" else 2
    waiting: collections.deque[tuple[int, np.ndarray | Array]] = collections.deque()
    for number in range(painter.down * painter.across):
        kept = part.read(number)
        waiting.append((number, painter(number) if kept is None else kept))
        if len(waiting) > depth:
            yield waiting.popleft()
    yield from waiting


# ---- the request -------------------------------------------------------------------------------------------


def _request(
    scene: Scene, painter: Painter, chosen: Controls, mask_alpha: tuple[float, ...], bits: int
) -> dict[str, Any]:
    """All that decides about the samples, to the last bit."""
    of_fit = hashlib.sha256(repr((scene.params.spec, scene.params.size)).encode())
    for leaf in jax.tree.leaves(scene.params):
        of_fit.update(np.asarray(leaf).tobytes())
    controls = chosen.as_dict()
    return {
        "fit": of_fit.hexdigest(),
        "size": [scene.width, scene.height],
        "region": list(scene.region),
        "alpha": controls["alpha"],
        "alpha_map": _digest(controls["alpha_map"]),
        "gradient": controls["gradient"],
        "mask": [_digest(name) for name in controls["mask"] or ()],
        "mask_alpha": list(mask_alpha),
        "bits": bits,
        "tile": [painter.rows, painter.columns],
        "device": painter.kind,
        "jax": jax.__version__,
    }


def _digest(name: str | None) -> str | None:
    """SHA-256 of a file; what is in memory has it as its name already."""
    if name is None or name.startswith("sha256:"):
        return name
    try:
        with open(name, "rb") as file:
            return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    except OSError as error:
        raise ImageError(name, os_problem(error)) from error
