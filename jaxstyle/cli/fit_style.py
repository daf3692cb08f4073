"""The verb ``jaxstyle fit-style``: fits a model to a painting."""

from __future__ import annotations

import argparse
import dataclasses
from typing import TYPE_CHECKING, Any

from jaxstyle.cli import arguments, messages
from jaxstyle.runtime import command

if TYPE_CHECKING:
    from jaxstyle import FittedStyle

HELP = "fit the model to a painting once, for all photos: a style with more of it"
DESCRIPTION = (
    "Teaches the model for a minute or two what one painting asks of it, and writes a fitted style, which every verb "
    "takes in place of the painting. Painting with it takes no longer than with the painting."
)
EPILOG = """\
After the first example, jaxstyle stylize photo.jpg --style painting.safetensors paints with the fitted style. It has a
model of its own: it cannot be mixed with other styles. A fit that is stopped writes nothing.

examples:
  jaxstyle fit-style painting.jpg -o painting.safetensors
  jaxstyle fit-style painting.jpg -o painting.safetensors --photos photos/ --steps 120
  jaxstyle fit-style painting.jpg -o painting.safetensors --method style_kernel"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's arguments."""
    parser.add_argument(
        "style", metavar="PAINTING", help="the painting, or @NAME of a built-in one; - is standard input"
    )
    parser.add_argument("-o", "--output", required=True, metavar="OUT", help="file to write, .safetensors: the style")
    parser.add_argument(
        "--photos",
        nargs="+",
        metavar="PHOTO",
        help="photos, folders or patterns to fit with, best such as will be painted; 64 at most are looked at "
        "(default: five that come with jaxstyle)",
    )
    parser.add_argument("--recursive", action="store_true", help="descend into the folders in folders of photos")
    parser.add_argument(
        "--steps", type=arguments.count, metavar="N", help="of optimisation, about a second each (default: 60)"
    )
    parser.add_argument(
        "--seed", type=arguments.seed, default=0, metavar="N", help="of everything random (default: %(default)s)"
    )
    arguments.add_weights_file(parser)
    arguments.add_max_pixels(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace OUT if it is there; what is read never is")
    arguments.add_json(parser)


_OPTIONS = ("weights_file", "steps", "seed", "max_pixels", "overwrite")


def run(args: argparse.Namespace) -> tuple[dict[str, Any], int]:
    """Does what the flags say; returns the report, or why the run failed, and the exit code."""
    from jaxstyle import fit_style_file
    from jaxstyle.folders import find
    from jaxstyle.runtime import cache, progress

    cache.enable()
    photos = None
    if args.photos is not None:
        found = find.find(args.photos, "photos", recursive=args.recursive)
        messages.note(*found.notices)
        photos = [photo.path for photo in found.pictures]
    given = arguments.given(args, *_OPTIONS)
    try:
        with progress.Bar(what="steps") as bar:

            def tell(done: int, count: int) -> None:
                bar(progress.Progress(count, 0, done, 0))

            report = fit_style_file(args.style, args.output, photos, progress=tell, **given)
    except ArithmeticError as error:
        return {"stopped": str(error)}, command.fail(messages.PROG, 1, str(error))
    messages.note(*report.notices)
    messages.say(args, words(report))
    return dataclasses.asdict(report), 0


def words(report: FittedStyle) -> str:
    """What was done, in a line."""
    first, last = report.loss
    return (
        f"{report.output}: fitted to {report.style} with {report.photos} photos in {report.steps} steps, "
        f"{report.seconds:.1f} s; objective {first:.2f}, at the end {last:.2f}"
    )
