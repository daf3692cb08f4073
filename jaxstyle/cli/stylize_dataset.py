"""The verb ``jaxstyle stylize-dataset``: repaints a tree of folders, alone or in shards."""

from __future__ import annotations

import argparse
from typing import Any

from jaxstyle.cli import arguments, messages

HELP = "repaint a data set, every picture in styles drawn for it"
DESCRIPTION = "Repaints the pictures of a folder and of all folders in it, each in styles drawn for it."
EPILOG = """\
Which styles a picture gets depends on --seed and on its name in IN alone. A command that was stopped makes what is
missing when it is given again, alone or split by --shard, into any number of parts: every part keeps a record of its
own, OUT/jaxstyle-manifest-I-of-N.jsonl, and reads those of the others.

examples:
  jaxstyle stylize-dataset imagenet/train stylized/train --styles wikiart/ --seed 1
  jaxstyle stylize-dataset photos/ out/ --styles paintings/ --styles-per-image 3 --alpha 0.7 --size 256
  jaxstyle stylize-dataset photos/ out/ --styles paintings/ --keep-names --copy-other --shard 1/4"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's arguments."""
    parser.add_argument("folder", metavar="IN", help="the folder of the data set; goes before --styles")
    parser.add_argument(
        "output", metavar="OUT", help="the folder of the results, made if missing; gets IN's sub-folders"
    )
    arguments.add_styles(parser, "folders, and the folders in them, files, patterns in quotes")
    parser.add_argument(
        "--styles-per-image",
        type=arguments.count,
        default=1,
        metavar="K",
        help="how many styles each picture gets, one result for each, drawn by --seed and the picture's name (default: "
        "%(default)s)",
    )
    parser.add_argument("--seed", type=arguments.seed, metavar="N", help="the seed of the draw (default: 0)")
    parser.add_argument(
        "--shard",
        type=arguments.shard,
        metavar="I/N",
        help="make the I-th of N parts alone; others may be made at the same time",
    )
    parser.add_argument("--copy-other", action="store_true", help="copy files that are not pictures, such as labels")
    parser.add_argument(
        "--keep-names",
        action="store_true",
        help="give results the names of the pictures, not NAME_stylized_STYLE; for one style per picture",
    )
    parser.add_argument(
        "--format", metavar="F", help="png, jpeg, webp, tiff or bmp, of all results (default: as the picture)"
    )
    arguments.add_weights_file(parser)
    arguments.add_max_pixels(parser)
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace what was made in another way in OUT; pictures that are read are never replaced",
    )
    arguments.add_controls(parser)
    arguments.add_json(parser)


_OPTIONS = (
    *("styles_per_image", "seed", "shard", "copy_other", "keep_names"),
    *("format", "weights_file", "max_pixels", "overwrite"),
)


def run(args: argparse.Namespace) -> tuple[dict[str, Any], int]:
    """Does what the flags say; returns the report, and the exit code."""
    from jaxstyle import stylize_dataset
    from jaxstyle.runtime import cache, progress

    cache.enable()
    with progress.Bar() as bar:
        report = stylize_dataset(
            args.folder,
            args.output,
            args.styles,
            arguments.controls(args),
            progress=bar,
            **arguments.given(args, *_OPTIONS),
        )
    if report.shard is not None and report.pictures == 0:
        messages.note(f"shard {report.shard} is empty, which is normal: names decide, and there are few pictures")
    return messages.tell(args, report, [f"{report.copied} other files copied"] if report.copied else [])
