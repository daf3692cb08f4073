"""The verb ``jaxstyle render``: renders a fitted network, as a picture or as a sweep."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jaxstyle.cli import arguments, messages
from jaxstyle.runtime import command

if TYPE_CHECKING:
    from jaxstyle import Rendering
    from jaxstyle.runtime.progress import Progress

HELP = "make pictures of any size of a fitted or conditioned picture"
DESCRIPTION = "Renders what was fitted to or conditioned on a photo and a painting, at any size and degree of style."
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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's arguments."""
    parser.add_argument("fit", metavar="FIT", help="what jaxstyle fit or jaxstyle condition wrote, .safetensors")
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="OUT",
        help=".png, .tif (tiled, with smaller versions), .dzi (DeepZoom), .jpg, .webp, .bmp; -: standard output",
    )
    parser.add_argument(
        "--size", type=arguments.size, metavar="WxH", help="in pixels, or N: short side (default: as fitted to)"
    )
    parser.add_argument(
        "--alpha", type=arguments.degree, default=1.0, help="degree of style, 0 to 1 (default: %(default)s)"
    )
    parser.add_argument("--alpha-map", metavar="PICTURE", help="grey picture of the degree of style, white = 1")
    parser.add_argument(
        "--gradient",
        metavar="SPEC",
        help="degree of style that changes over the picture: left:0,right:1 or top-left:0,bottom-right:1 or all four "
        "corners or center:1,edge:0",
    )
    parser.add_argument(
        "--mask",
        nargs="+",
        action="extend",
        metavar="PICTURE",
        help="grey pictures, white where their --mask-alpha holds; elsewhere it is --alpha. Maps and masks may have "
        "any size, but the picture's shape",
    )
    parser.add_argument("--mask-alpha", type=arguments.degrees, metavar="A,A,...", help="degree of style of every mask")
    parser.add_argument(
        "--region",
        type=arguments.region,
        default=(-1.0, -1.0, 1.0, 1.0),
        metavar="x0,y0,x1,y1",
        help="zoom: the part to show, its left, top, right and bottom edge; the whole is -1,-1,1,1",
    )
    parser.add_argument(
        "--sweep",
        type=arguments.frames,
        metavar="N",
        help="N pictures from the content to the given degree of style: .gif and .webp move, so does .mp4 (needs "
        "jaxstyle[video]), other formats show them on one page",
    )
    parser.add_argument(
        "--fps", type=float, metavar="N", help="pictures per second of a sweep that moves (default: 12)"
    )
    parser.add_argument("--bits", type=int, choices=(8, 16), default=8, help="per sample; 16 for .png and .tif")
    parser.add_argument("--format", metavar="F", help="png, jpeg, webp, tiff or bmp, instead of OUT's suffix")
    parser.add_argument("--max-pixels", type=arguments.count, metavar="N", help="largest map or mask that is read")
    parser.add_argument("--overwrite", action="store_true", help="replace OUT, and what another command began of it")
    arguments.add_json(parser)


_OPTIONS = (
    *("size", "alpha", "alpha_map", "gradient", "mask", "mask_alpha", "region"),
    *("format", "overwrite", "max_pixels"),
)


def run(args: argparse.Namespace) -> tuple[dict[str, Any], int]:
    """Does what the flags say; returns the report, or why the run failed, and the exit code."""
    from jaxstyle.runtime import cache, progress

    cache.enable()
    messages.check_standard_output(args)
    try:
        with progress.Bar(what="tiles") as bar:
            report = _rendered(args, bar)
    except ValueError as error:
        cause = error.__cause__
        if not (isinstance(cause, OSError) and cause.errno in command.DISK):
            raise
        return {"stopped": str(error)}, command.fail(messages.PROG, 1, str(error))
    messages.note(*report.notices)
    messages.say(args, words(report))
    return dataclasses.asdict(report), 0


def _rendered(args: argparse.Namespace, progress: Callable[[Progress], None]) -> Rendering:
    from jaxstyle import render_file, sweep_file

    options = arguments.given(args, *_OPTIONS)
    if args.sweep is not None:
        if args.bits != 8:
            raise ValueError("--bits: a sweep has 8")
        return sweep_file(
            args.fit, args.output, args.sweep, progress=progress, **arguments.given(args, "fps"), **options
        )
    if args.fps is not None:
        raise ValueError("--fps: is for --sweep")
    if args.format is None and args.output.lower().endswith((".gif", ".mp4")):
        raise ValueError(f"{args.output}: .gif and .mp4 are for --sweep N")
    return render_file(args.fit, args.output, bits=args.bits, progress=progress, **options)


def words(report: Rendering) -> str:
    """What was done, in a line."""
    what = f"{report.frames} pictures of " if report.frames > 1 else ""
    kept = f", {report.kept} of {report.tiles} tiles were there" if report.kept else ""
    seconds = f"{report.seconds:.1f} s"
    if report.tiles - report.kept > report.frames:  # of a single tile, compiling took most of the time
        seconds += f" ({report.pixels_per_second / 1e6:.2g} megapixels/s)"
    return f"{report.output}: {what}{report.width} x {report.height} pixels in {seconds}{kept}"
