"""The verb ``jaxstyle fit``: fits a network to a photo and a painting."""

from __future__ import annotations

import argparse
import dataclasses
from typing import TYPE_CHECKING, Any

from jaxstyle.cli import arguments, messages
from jaxstyle.runtime import command

if TYPE_CHECKING:
    from jaxstyle import Fitting

HELP = "fit a network to a photo and a painting: a picture of any size and degree of style"
DESCRIPTION = (
    "Fits a small network to a photo and a painting (INR-st). jaxstyle render makes pictures of what it writes."
)
EPILOG = """\
On two processor cores six pairs took 20 to 37 s each with preview and 129 to 174 s with fast; paper would take some six
hours. A run that was stopped or killed goes on when the same command is given again: OUT.jaxstyle-part beside OUT holds
what is done, and there is never a broken file under the name OUT. In the end it prints a command that renders OUT.

examples:
  jaxstyle fit photo.jpg --style painting.jpg -o fit.safetensors --preset preview
  jaxstyle fit photo.jpg --style painting.jpg -o fit.safetensors --strip strip.png
  jaxstyle fit photo.jpg --style painting.jpg -o fit.safetensors --size 512
  jaxstyle fit photo.jpg --style painting.jpg -o fit.safetensors --init generalizable"""

PRESETS = ("preview", "fast", "zoom", "paper")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's arguments."""
    parser.add_argument("content", metavar="PHOTO", help="the photo")
    parser.add_argument("--style", required=True, metavar="PAINTING", help="the painting, or @NAME of a built-in one")
    parser.add_argument(
        "-o", "--output", required=True, metavar="OUT", help="file to write, .safetensors, for jaxstyle render"
    )
    parser.add_argument(
        "--preset",
        choices=PRESETS,
        help="what the fit consists of: preview is a first look, zoom is fast and then detail for enlargements, paper "
        "is the paper's optimisation (default: fast)",
    )
    parser.add_argument(
        "--init",
        metavar="START",
        help="instead of a preset: generalizable starts from what jaxstyle condition makes of the pair and fits the "
        "style's part of that; or a file of weights of that method",
    )
    parser.add_argument(
        "--size",
        type=arguments.count,
        metavar="N",
        help="both pictures are brought to about N x N pixels: what detail is learned, not how large one may render "
        "(default: 256)",
    )
    parser.add_argument(
        "--steps",
        type=arguments.count,
        metavar="N",
        help="in all (default: 360, 570, 1050 and 20000, by preset, and 60 with --init)",
    )
    parser.add_argument(
        "--seed", type=arguments.seed, default=0, metavar="N", help="of everything random (default: %(default)s)"
    )
    parser.add_argument(
        "--strip", metavar="PICTURE", help="file to write, too: five pictures from the photo to full style"
    )
    parser.add_argument(
        "--vgg",
        default="vgg16",
        metavar="FILE",
        help="VGG: vgg16, which is shipped, or a file that jaxstyle convert-vgg wrote (default: %(default)s)",
    )
    arguments.add_max_pixels(parser)
    parser.add_argument(
        "--overwrite", action="store_true", help="replace OUT and PICTURE, and what another command began of OUT"
    )
    arguments.add_json(parser)


_OPTIONS = ("preset", "init", "size", "steps", "seed", "strip", "vgg", "max_pixels", "overwrite")


def run(args: argparse.Namespace) -> tuple[dict[str, Any], int]:
    """Does what the flags say; returns the report, or why the run failed, and the exit code."""
    from jaxstyle import fit_file
    from jaxstyle.painting.fit import render_command
    from jaxstyle.runtime import cache, progress

    cache.enable()
    try:
        with progress.Bar(what="steps") as bar:
            report = fit_file(args.content, args.style, args.output, progress=bar, **arguments.given(args, *_OPTIONS))
    except ArithmeticError as error:
        return {"stopped": str(error)}, command.fail(messages.PROG, 1, str(error))
    messages.note(*report.notices)
    messages.say(args, f"{words(report)}\n{render_command(report.output, (report.width, report.height))}")
    return dataclasses.asdict(report), 0


def words(report: Fitting) -> str:
    """What was done, in a line."""
    kept = f", {report.kept} of them were done" if report.kept else ""
    return (
        f"{report.output}: fitted to {report.width} x {report.height} pixels in {report.steps} steps{kept}, "
        f"{report.seconds:.1f} s; PSNR {report.psnr:.1f} dB to the photo at alpha 0"
    )
