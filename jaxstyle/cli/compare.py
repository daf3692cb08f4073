"""The verb ``jaxstyle compare``: all methods side by side."""

from __future__ import annotations

import argparse
from typing import Any

from jaxstyle.cli import arguments, messages

HELP = "show all methods side by side on a photo and a painting, with what they keep, take and cost"
DESCRIPTION = """\
Paints a photo in the style of a painting by every method, and lays the results out on one page, with seconds, memory,
and measures of content and style. The photo itself and the painting itself stand beside them: what all content and
all style would measure."""
EPILOG = """\
Methods are those of which weights are shipped; inr, a network fitted to the pair (INR-st, preset preview); and gatys,
50 steps of optimising the pixels. Each is made in a process of its own. Of several photos or styles the table has means
with 95 % bootstrap intervals.

examples:
  jaxstyle compare photo.jpg --style painting.jpg -o compare.png
  jaxstyle compare photo.jpg --style painting.jpg --methods style_kernel,inr --refine 10
  jaxstyle compare photos/ --style paintings/ --pair random --table compare.md compare.json"""


def names(text: str) -> list[str]:
    """``a,b``: names of methods."""
    return [part.strip() for part in text.split(",")]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's arguments."""
    parser.add_argument(
        "photos", nargs="+", metavar="PHOTO", help="the photos: files, folders, patterns in quotes; go before --style"
    )
    arguments.add_styles(parser, "files, folders, patterns in quotes")
    parser.add_argument(
        "-o", "--output", default="compare.png", metavar="OUT", help="the page to write (default: %(default)s)"
    )
    parser.add_argument(
        "--table", dest="tables", nargs="+", metavar="FILE", help="files to write the table to, too: .md or .json"
    )
    parser.add_argument("--format", metavar="F", help="png, jpeg, webp, tiff or bmp, instead of OUT's suffix")
    parser.add_argument(
        "--methods", type=names, metavar="A,B,...", help="these alone, in this order (default: all, see below)"
    )
    parser.add_argument(
        "--refine",
        type=arguments.seed,
        default=0,
        metavar="N",
        help="one more column, improved by N steps of optimisation, for each method that can be (default: 0, none)",
    )
    parser.add_argument(
        "--size",
        type=arguments.count,
        default=256,
        metavar="N",
        help="pixels of the photos' short side; they are never enlarged (default: %(default)s)",
    )
    parser.add_argument(
        "--cell",
        type=arguments.count,
        default=192,
        metavar="N",
        help="width in pixels of a picture on the page (default: %(default)s)",
    )
    parser.add_argument(
        "--pair",
        choices=("product", "zip", "random"),
        default="product",
        help="which photos go with which styles: all with all, the first with the first, or one drawn for each photo "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--seed",
        type=arguments.seed,
        default=0,
        metavar="N",
        help="of random pairs and of the intervals (default: %(default)s)",
    )
    parser.add_argument("--recursive", action="store_true", help="descend into the folders in folders")
    arguments.add_max_pixels(parser, ", and to make such a page")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace files to write that are there; what is read never is"
    )
    arguments.add_json(parser)


_OPTIONS = (
    *("tables", "methods", "refine", "size", "cell", "pair", "seed"),
    *("recursive", "max_pixels", "format", "overwrite"),
)


def run(args: argparse.Namespace) -> tuple[dict[str, Any], int]:
    """Does what the flags say; returns the report, and the exit code: 1 if some columns could not be made."""
    from jaxstyle.runtime import cache, progress
    from jaxstyle.sheet import compare, compare_tables

    cache.enable()
    messages.check_standard_output(args)
    with progress.Bar() as bar:
        report = compare.compare_file(
            args.photos,
            args.styles,
            args.output,
            progress=lambda done, total: bar(progress.Progress(total, 0, done, 0)),
            **arguments.given(args, *_OPTIONS),
        )
    messages.note(*report.failed, *report.notices)
    written = ", ".join((report.output, *report.tables))
    messages.say(args, f"{compare_tables.markdown(report)}\n{written}: in {report.seconds:.1f} s")
    return compare_tables.as_dict(report), 1 if report.failed else 0
