"""The flags of ``jaxstyle render``, and what they come to."""

from __future__ import annotations

import argparse
import errno
from collections.abc import Callable, Sequence
from typing import Any

from jaxstyle import arguments, image
from jaxstyle import coords as places
from jaxstyle.image_source import ImageError
from jaxstyle.inr_file import Rendering, render_file
from jaxstyle.inr_sweep import MOST_FRAMES, sweep_file
from jaxstyle.progress import Progress

EPILOG = """\
A run that was stopped or killed goes on when the same command is given again: OUT.jaxstyle-part beside OUT holds what
is done, and there is never a broken picture under the name OUT.

examples:
  jaxstyle render W/inr.safetensors -o out.png --alpha 0.7
  jaxstyle render W/inr.safetensors -o out.png --gradient left:0,right:1 --size 1920x1080
  jaxstyle render W/inr.safetensors -o out.png --mask sky.png ground.png --mask-alpha 1,0.3
  jaxstyle render W/inr.safetensors -o detail.png --region -0.25,-0.25,0,0 --size 1024
  jaxstyle render W/inr.safetensors -o huge.tif --size 20000x20000
  jaxstyle render W/inr.safetensors -o sweep.webp --sweep 25"""

_RUN_FAILED = {errno.ENOSPC, errno.EIO, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}


class RunFailed(RuntimeError):
    """A run that failed for no fault of its arguments. The message is one line."""


def joined(argv: Sequence[str]) -> list[str]:
    """The command line with ``--region`` and its numbers in one word: the first may be negative, like a flag."""
    words = list(argv)
    for i in range(len(words) - 1, 0, -1):
        if words[i - 1] == "--region" and words[i].lstrip("-.")[:1].isdigit():
            words[i - 1 : i + 1] = [f"--region={words[i]}"]
    return words


def _region(text: str) -> places.Box:
    try:
        x0, y0, x1, y1 = (float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected x0,y0,x1,y1, got {text!r}") from None
    if not (-1 <= x0 < x1 <= 1 and -1 <= y0 < y1 <= 1):
        wanted = "left, top, right and bottom edge inside of -1,-1,1,1, which is the whole picture"
        raise argparse.ArgumentTypeError(f"expected {wanted}, got {text!r}")
    return x0, y0, x1, y1


def _alphas(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected numbers such as 0,1, one per mask, got {text!r}") from None


def _frames(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 2 <= int(text) <= MOST_FRAMES):
        raise argparse.ArgumentTypeError(f"expected a number of pictures from 2 to {MOST_FRAMES}, got {text!r}")
    return int(text)


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Adds the flags."""
    verb.add_argument("fit", metavar="FIT", help="the fitted picture, inr.safetensors")
    verb.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="OUT",
        help=".png, .tif (tiled, with smaller versions), .dzi (DeepZoom), .jpg, .webp, .bmp; -: standard output",
    )
    verb.add_argument(
        "--size", type=arguments.size, metavar="WxH", help="in pixels, or N: short side (default: as fitted to)"
    )
    verb.add_argument(
        "--alpha", type=arguments.degree, default=1.0, help="degree of style, 0 to 1 (default: %(default)s)"
    )
    verb.add_argument("--alpha-map", metavar="PICTURE", help="grey picture of the degree of style, white = 1")
    verb.add_argument(
        "--gradient",
        metavar="SPEC",
        help="degree of style that changes over the picture: left:0,right:1 or top-left:0,bottom-right:1 or all four "
        "corners or center:1,edge:0",
    )
    verb.add_argument(
        "--mask",
        nargs="+",
        action="extend",
        metavar="PICTURE",
        help="grey pictures, white where their --mask-alpha holds; elsewhere it is --alpha. Maps and masks may have "
        "any size, but the picture's shape",
    )
    verb.add_argument("--mask-alpha", type=_alphas, metavar="A,A,...", help="degree of style of every mask")
    verb.add_argument(
        "--region",
        type=_region,
        default=places.WHOLE,
        metavar="x0,y0,x1,y1",
        help="zoom: the part to show, its left, top, right and bottom edge; the whole is -1,-1,1,1",
    )
    verb.add_argument(
        "--sweep",
        type=_frames,
        metavar="N",
        help="N pictures from the content to the given degree of style: .gif and .webp move, so does .mp4 (needs "
        "jaxstyle[video]), other formats show them on one page",
    )
    verb.add_argument("--fps", type=float, metavar="N", help="pictures per second of a sweep that moves (default: 12)")
    verb.add_argument("--bits", type=int, choices=(8, 16), default=8, help="per sample; 16 for .png and .tif")
    verb.add_argument("--format", metavar="F", help="png, jpeg, webp, tiff or bmp, instead of OUT's suffix")
    verb.add_argument("--max-pixels", type=arguments.count, metavar="N", help="largest map or mask that is read")
    verb.add_argument("--overwrite", action="store_true", help="replace OUT, and what another command began of it")
    verb.add_argument("--json", action="store_true", help="print the report as JSON")


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
