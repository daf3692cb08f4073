"""What the flags of ``jaxstyle render`` come to."""

from __future__ import annotations

import argparse
import errno
from collections.abc import Callable
from typing import Any

from jaxstyle import image
from jaxstyle.image.source import ImageError
from jaxstyle.painting.rendering import Rendering, render_file
from jaxstyle.painting.sweep import sweep_file
from jaxstyle.runtime.progress import Progress

_RUN_FAILED = {errno.ENOSPC, errno.EIO, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}


class RunFailed(RuntimeError):
    """A run that failed for no fault of its arguments. The message is one line."""


def run(args: argparse.Namespace, progress: Callable[[Progress], None]) -> Rendering:
    """Does what the flags say.

    Raises:
      ValueError: something is wrong with an argument or a file.
      RunFailed: the disk is full, say.
    """
    common: dict[str, Any] = {
        "size": args.size,
        "alpha": args.alpha,
        "alpha_map": args.alpha_map,
        "gradient": args.gradient,
        "mask": args.mask,
        "mask_alpha": args.mask_alpha,
        "region": args.region,
        "format": args.format,
        "overwrite": args.overwrite,
        "max_pixels": args.max_pixels or image.MAX_PIXELS,
        "progress": progress,
    }
    try:
        if args.sweep is None:
            if args.fps is not None:
                raise ValueError("--fps: is for --sweep")
            if args.format is None and args.output.lower().endswith((".gif", ".mp4")):
                raise ValueError(f"{args.output}: .gif and .mp4 are for --sweep N")
            return render_file(args.fit, args.output, bits=args.bits, **common)
        if args.bits != 8:
            raise ValueError("--bits: a sweep has 8")
        return sweep_file(args.fit, args.output, args.sweep, fps=12.0 if args.fps is None else args.fps, **common)
    except ImageError as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno in _RUN_FAILED:
            raise RunFailed(str(error)) from error
        raise


def words(report: Rendering) -> str:
    """What was done, in a line."""
    what = f"{report.frames} pictures of " if report.frames > 1 else ""
    kept = f", {report.kept} of {report.tiles} tiles were there" if report.kept else ""
    seconds = f"{report.seconds:.1f} s"
    if report.tiles - report.kept > report.frames:  # of a single tile, compiling took most of the time
        seconds += f" ({report.pixels_per_second / 1e6:.2g} megapixels/s)"
    return f"{report.output}: {what}{report.width} x {report.height} pixels in {seconds}{kept}"
