"""The verb ``jaxstyle condition``: a photo in a style as a picture without resolution, in one forward pass."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from jaxstyle.cli import arguments, messages

HELP = "a photo and a painting: a picture of any size and degree of style, without fitting"
DESCRIPTION = """\
Makes a function of place and degree of style of a photo and a painting in one forward pass
(generalizable INR). jaxstyle render makes pictures of what it writes."""
EPILOG = """In the end it prints a command that renders OUT.

examples:
  jaxstyle condition photo.jpg --style painting.jpg -o picture.safetensors
  jaxstyle condition photo.jpg --style painting.jpg -o picture.safetensors --size 1024"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's arguments."""
    parser.add_argument("content", metavar="PHOTO", help="the photo")
    parser.add_argument("--style", required=True, metavar="PAINTING", help="the painting, or @NAME, a built-in style")
    parser.add_argument(
        "-o", "--output", required=True, metavar="OUT", help="file to write, .safetensors, for jaxstyle render"
    )
    parser.add_argument(
        "--size",
        type=arguments.count,
        metavar="N",
        help="pictures whose short side is longer are brought to N pixels: what detail there is, not how large one may "
        "render (default: 512)",
    )
    parser.add_argument(
        "--weights-file",
        default="generalizable_inr",
        metavar="FILE",
        help="the model: the name of shipped weights, or a file (default: %(default)s)",
    )
    arguments.add_max_pixels(parser)
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace OUT if it is there, and what another command began of it; what is read never is",
    )
    arguments.add_json(parser)


_OPTIONS = ("size", "weights_file", "max_pixels", "overwrite")


def run(args: argparse.Namespace) -> tuple[dict[str, Any], int]:
    """Does what the flags say; returns the report, and 0."""
    from jaxstyle import condition_file
    from jaxstyle.painting.fit import render_command
    from jaxstyle.runtime import cache

    cache.enable()
    report = condition_file(args.content, args.style, args.output, **arguments.given(args, *_OPTIONS))
    messages.note(*report.notices)
    messages.say(
        args,
        f"{report.output}: conditioned on {report.width} x {report.height} pixels, {report.numbers} numbers, "
        f"{report.seconds:.1f} s; PSNR {report.psnr:.1f} dB to the photo at alpha 0",
    )
    messages.say(args, render_command(report.output, (report.width, report.height)))
    return dataclasses.asdict(report), 0
