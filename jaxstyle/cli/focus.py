"""The verb ``jaxstyle focus``: shows where in a painting the strokes at points of a photo come from."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from jaxstyle.cli import arguments, messages

HELP = "show where in a painting the strokes at points of a photo come from"
DESCRIPTION = """\
Shows what points of the photo look at in the painting, a row for each: the photo with the
point, a heat map on the painting, and the part of the painting that the gate lets through.
Needs a model with attention (style_kernel)."""
EPILOG = """example:
  jaxstyle focus photo.jpg --style painting.jpg --at 320,200 40,12 -o focus.png"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's arguments."""
    parser.add_argument("content", metavar="PHOTO", help="the photo")
    parser.add_argument("--style", required=True, metavar="PAINTING", help="the painting, or @NAME of a built-in one")
    parser.add_argument(
        "--at",
        type=arguments.point,
        nargs="+",
        required=True,
        metavar="X,Y",
        help="the points: column and row, in pixels",
    )
    parser.add_argument(
        "-o", "--output", required=True, metavar="OUT", help="the file to write, whose suffix gives the format"
    )
    parser.add_argument(
        "--weights-file",
        default="style_kernel_vgg16",
        metavar="FILE",
        help="the model: the name of shipped weights, or a file (default: %(default)s)",
    )
    parser.add_argument("--format", metavar="F", help="png, jpeg, webp, tiff or bmp, instead of OUT's suffix")
    arguments.add_max_pixels(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace OUT if it is there; what is read never is")
    arguments.add_json(parser)


def run(args: argparse.Namespace) -> tuple[dict[str, Any], int]:
    """Does what the flags say; returns the report, and 0."""
    from jaxstyle.runtime import cache
    from jaxstyle.sheet import focus

    cache.enable()
    messages.check_standard_output(args)
    options = arguments.given(args, "weights_file", "max_pixels", "format", "overwrite")
    report = focus.focus_file(args.content, args.style, args.output, args.at, **options)
    messages.say(args, report.output)
    for (x, y), (u, v), kept in zip(report.at, report.best, report.kept, strict=True):
        messages.say(args, f"{x},{y}: looks most at {u},{v} of the painting, at {kept:.0%} of it in all")
    return dataclasses.asdict(report), 0
