"""The verb ``jaxstyle sheet``: makes a contact sheet."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from jaxstyle.cli import arguments, messages

HELP = "make a contact sheet of photos in many styles"
DESCRIPTION = "Paints photos in many styles and lays the results out on one page, with names."
EPILOG = """\
examples:
  jaxstyle sheet photo.jpg --styles paintings/ -o sheet.png
  jaxstyle sheet photo.jpg --styles '@*' -o sheet.png
  jaxstyle sheet photos/ --styles paintings/ --cell 128 --preserve-color match"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's arguments."""
    parser.add_argument(
        "photos", nargs="+", metavar="PHOTO", help="the photos: files, folders, patterns in quotes; go before --styles"
    )
    arguments.add_styles(parser, "files, folders, patterns in quotes")
    parser.add_argument(
        "-o", "--output", default="sheet.png", metavar="OUT", help="file to write (default: %(default)s)"
    )
    parser.add_argument("--format", metavar="F", help="png, jpeg, webp, tiff or bmp, instead of OUT's suffix")
    parser.add_argument(
        "--cell",
        type=arguments.count,
        default=256,
        metavar="N",
        help="side in pixels of the square that a picture is fitted into (default: %(default)s)",
    )
    parser.add_argument(
        "--columns",
        type=arguments.count,
        metavar="N",
        help="results beside each other (default: of one photo as many as rows, of several one for each style)",
    )
    parser.add_argument("--recursive", action="store_true", help="descend into the folders in folders")
    arguments.add_weights_file(parser)
    arguments.add_max_pixels(parser, ", and to make such a sheet")
    parser.add_argument("--overwrite", action="store_true", help="replace OUT if it is there; what is read never is")
    arguments.add_controls(parser, mixed=False)
    arguments.add_json(parser)


_OPTIONS = ("format", "cell", "columns", "recursive", "weights_file", "max_pixels", "overwrite")


def run(args: argparse.Namespace) -> tuple[dict[str, Any], int]:
    """Does what the flags say; returns the report, and the exit code: 1 if some pictures could not be used."""
    from jaxstyle.runtime import cache, progress
    from jaxstyle.sheet import make

    cache.enable()
    messages.check_standard_output(args)
    with progress.Bar() as bar:
        report = make.sheet_file(
            args.photos,
            args.styles,
            args.output,
            arguments.controls(args),
            progress=lambda done, total: bar(progress.Progress(total, 0, done, 0)),
            **arguments.given(args, *_OPTIONS),
        )
    messages.note(*report.failed, *report.notices)
    messages.say(args, f"{report.output}: {report.width} x {report.height} pixels in {report.seconds:.1f} s")
    return dataclasses.asdict(report), 1 if report.failed else 0
