"""A fitted picture at many degrees of style: an animation, a video, or all of them on one page."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any, Unpack

import jax
import numpy as np

from jaxstyle import image
from jaxstyle.controls.controls import Size
from jaxstyle.image import film
from jaxstyle.image.encode import encode_animation
from jaxstyle.image.source import ImageError, check_size, is_standard, label_of, os_problem, target_of
from jaxstyle.image.stream import check_format
from jaxstyle.image.text import line_height, text_mask
from jaxstyle.methods.inr.picture import Picture
from jaxstyle.painting.options import PathLike
from jaxstyle.painting.rendering import Rendering, files_read, fitted, grouped
from jaxstyle.painting.scene import Painter, Scene, ViewFields, open_scene
from jaxstyle.runtime import files
from jaxstyle.runtime.progress import Progress

MOST_FRAMES = 1000
_ANIMATIONS = {".gif": "GIF", ".webp": "WEBP", ".mp4": "MP4"}
_PAPER, _INK = 250, 25  # grey levels


class SweepOptions(ViewFields, total=False):
    """The keyword arguments of `sweep_file`."""

    fps: float
    format: str | None
    overwrite: bool
    devices: Sequence[jax.Device] | None
    max_pixels: int


def sweep_file(
    fit: Picture | PathLike,
    output: PathLike,
    frames: int,
    size: Size | None = None,
    alpha: float = 1.0,
    *,
    progress: Callable[[Progress], None] | None = None,
    **options: Unpack[SweepOptions],
) -> Rendering:
    """Renders a fitted picture at degrees of style that grow evenly from 0, the content, to those that are given.

    Args:
      fit: a fitted picture, or the file that `jaxstyle.inr.save` wrote.
      output: a file, or ``"-"`` for standard output. GIF and WebP are animations; MP4 is a video, for which PyAV must
        be installed (the extra ``video``); every other format shows the frames on one page, each with its degree of
        style as a part of the given one.
      frames: how many, from 2 to `MOST_FRAMES`.
      size, alpha: of the last frame, see `jaxstyle.painting.scene.View`.
      progress: called with the tiles done.
      options: the view's others, ``alpha_map``, ``gradient``, ``mask``, ``mask_alpha`` and ``region``, of the last
        frame, and but for its degree of style of all. ``fps``: frames per second of animations and videos, 0.01 to 100,
        by default 12; ``format`` instead of the suffix; ``overwrite``: replace ``output`` if it is there; ``devices``
        that share the work, by default all of this process; ``max_pixels`` of maps and masks that are read, and of all
        frames together unless they become a video.

    Returns:
      A `jaxstyle.painting.rendering.Rendering`.

    Raises:
      WeightsError: ``fit`` is no fitted picture.
      ImageError: a map or mask cannot be read or has another shape, or ``output`` cannot be written.
      ValueError: an argument is out of range.
    """
    view, limits, writing = grouped(size, alpha, options, SweepOptions.__annotations__)
    fps = options.get("fps", 12.0)
    if isinstance(frames, bool) or not isinstance(frames, int) or not 2 <= frames <= MOST_FRAMES:
        raise ValueError(f"frames: expected a whole number from 2 to {MOST_FRAMES}, got {frames!r}")
    if not 0.01 <= fps <= 100:  # GIF counts the hundredths of a second of a frame in 16 bits
        raise ValueError(f"fps: expected a number from 0.01 to 100, got {fps!r}")
    kind = _kind(output, writing.format)
    known = "png" if kind in ("GIF", "MP4") else writing.format  # the path is what is checked
    image.check_target(output, format=known, overwrite=writing.overwrite, keep=files_read(fit, view))
    params, begun, label = fitted(fit), time.perf_counter(), label_of(output, "output")
    with open_scene(params, view, max_pixels=limits.max_pixels) as scene:
        width, height = scene.width, scene.height
        check_format(output, kind, width, height)
        if kind != "MP4":
            check_size((width * frames, height), limits.max_pixels, f"{label} ({frames} frames of {width} x {height})")
        painter = Painter(scene, devices=limits.devices)
        pictures, notices = _frames(painter, frames, progress), scene.notices
        try:
            if kind == "MP4":
                setting = _write_video(os.fspath(output), pictures, scene, fps)
                notices, (width, height) = notices + setting.notices, setting.coded
            elif kind in ("GIF", "WEBP"):
                _send(output, encode_animation(pictures, kind, round(1000 / fps)))
            else:
                notices += image.write(target_of(output), _page(pictures, scene, frames), format=kind)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise ImageError(label, f"cannot be written: {os_problem(error)}") from error
    seconds = time.perf_counter() - begun
    speed = round(width * height * frames / seconds)
    tiles = painter.count * frames
    return Rendering(os.fspath(output), width, height, frames, tiles, 0, round(seconds, 3), speed, notices)


def _send(output: PathLike, data: bytes) -> None:
    target = target_of(output)
    if isinstance(target, str | os.PathLike):
        files.write(target, data)
    else:
        target.write(data)
        target.flush()


def _kind(output: PathLike, format: str | None) -> str:
    """The name of the format.

    Raises:
      ImageError: it is unknown, or cannot hold several pictures; PyAV is missing.
    """
    suffix = os.path.splitext(os.fspath(output))[1].lower() if format is None else f".{format.lower()}"
    if suffix not in _ANIMATIONS:
        if suffix == ".dzi":
            raise ImageError(label_of(output), "a sweep cannot be .dzi: expected .gif, .webp, .mp4, .png or .jpg")
        return image.format_of(output, format, more=_ANIMATIONS)
    if suffix == ".mp4":
        if is_standard(output):
            raise ImageError("<stdout>", "a video cannot be written there; name a file, or choose gif or webp")
        try:
            import av  # noqa: F401
        except ImportError:
            problem = "MP4 needs PyAV (pip install 'jaxstyle[video]'); .gif and .webp do without"
            raise ImageError(label_of(output), problem) from None
    return _ANIMATIONS[suffix]


def _frames(painter: Painter, count: int, progress: Callable[[Progress], None] | None) -> Iterator[np.ndarray]:
    """uint8 (height, width, 3), one after the other."""
    scene, tiles, done = painter.scene, painter.count, 0
    for frame in range(count):
        out = np.empty((painter.down * painter.rows, painter.across * painter.columns, 3), np.uint8)
        for number in range(tiles):
            top, left = number // painter.across * painter.rows, number % painter.across * painter.columns
            tile = np.asarray(painter(number, frame / (count - 1)))
            out[top : top + painter.rows, left : left + painter.columns] = tile
            done += 1
            if progress is not None:
                progress(Progress(count * tiles, 0, done, 0))
        yield np.ascontiguousarray(out[: scene.height, : scene.width])


def _page(frames: Iterator[np.ndarray], scene: Scene, count: int) -> np.ndarray:
    """All frames with their degrees below them, on a page that is about as wide as high: uint8 (H, W, 3)."""
    gap = max(4, scene.width // 20)
    letters = max(9, min(scene.width // 8, 32))
    label = line_height(letters) + letters // 2
    tall, wide = scene.height + label + gap, scene.width + gap
    columns = min(count, max(1, round(math.sqrt(count * tall / wide))))
    page = np.full((gap + tall * -(-count // columns), gap + wide * columns, 3), _PAPER, np.uint8)
    for number, frame in enumerate(frames):
        top, left = gap + number // columns * tall, gap + number % columns * wide
        page[top : top + scene.height, left : left + scene.width] = frame
        mask = text_mask(f"{number / (count - 1):.2f}", label, scene.width, size=letters)[..., None]
        below = page[top + scene.height : top + scene.height + label, left : left + scene.width]
        below[:] = np.rint(_PAPER * (1 - mask) + _INK * mask).astype(np.uint8)
    return page


def _write_video(path: str, frames: Iterator[np.ndarray], scene: Scene, fps: float) -> film.Setting:
    """H.264 in MP4; how it is encoded."""
    rate, real = Fraction(fps).limit_denominator(1001), os.path.realpath(path)
    setting = film.Setting("h264", 16, scene.width, scene.height, 1 / rate, rate)
    with files.temporary_beside(real) as temporary:
        with film.library(path).open(temporary, "w", format="mp4") as video:
            stream: Any = video.add_stream(film.encoder_name("h264", path), rate=rate)
            film.configure(stream.codec_context, setting)
            for number, frame in enumerate(frames):
                video.mux(stream.encode(film.framed(frame, number, setting)))
            video.mux(stream.encode())
        files.replace(temporary, real)
    return setting
