"""The verb ``jaxstyle stylize``: repaints a photo, or folders of them."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from jaxstyle.cli import arguments, messages

HELP = "repaint photos in the style of paintings"
DESCRIPTION = "Repaints a photo, or folders of them, in the style of a painting, or of several (AdaIN)."
EPILOG = """\
in folders: OUT/jaxstyle-manifest.jsonl keeps a record of every picture. A command that was stopped makes what is
missing when it is given again. Pictures that cannot be made are listed at the end. What another command has made is
not replaced, unless by --overwrite.

examples:
  jaxstyle stylize photo.jpg --style painting.jpg -o out.png --alpha 0.8
  jaxstyle stylize photo.jpg --style @starry-night
  jaxstyle stylize photo.jpg --style one.jpg two.jpg --weights 2,1
  jaxstyle stylize photos/ --style painting.jpg -o out/
  jaxstyle stylize photos/ --recursive --style paintings/ --pair random --seed 1 -o out/"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's arguments."""
    parser.add_argument(
        "content",
        nargs="+",
        metavar="CONTENT",
        help="the photo (-: standard input), or several, folders, patterns in quotes ('photos/*.jpg'); goes before "
        "--style",
    )
    parser.add_argument(
        "--style",
        required=True,
        nargs="+",
        action="extend",
        metavar="STYLE",
        help="the painting, or @NAME of a built-in one (jaxstyle styles lists them); several files are mixed, the "
        "pictures of folders and patterns are taken one by one",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        help="the file to write, whose suffix gives the format (.dzi: DeepZoom; -: standard output), or a folder to "
        "put it in (default: CONTENT_stylized_STYLE here); for several photos, folders and patterns the folder of the "
        "results, made if missing (default: stylized)",
    )
    parser.add_argument(
        "--pair",
        choices=("product", "zip", "random"),
        help="which photo gets which style: product: each photo each style; zip: the first photo the first style, and "
        "so on; random: each photo one style, drawn by --seed and the photo's name (default: as said at --style)",
    )
    parser.add_argument("--seed", type=arguments.seed, metavar="N", help="the seed of --pair random (default: 0)")
    parser.add_argument(
        "--recursive", action="store_true", help="descend into the folders in folders; OUT gets the same sub-folders"
    )
    arguments.add_controls(parser)
    arguments.add_weights_file(parser)
    parser.add_argument(
        "--format",
        metavar="F",
        help="png, jpeg, webp, tiff or bmp, instead of OUT's suffix; in folders of all results (default: as the photo)",
    )
    arguments.add_max_pixels(parser)
    group = parser.add_argument_group(
        "large pictures",
        "What would not fit in memory is painted in tiles anyway; the result is the same. A command that was stopped "
        "or killed goes on when it is given again: OUT.jaxstyle-part beside OUT holds what is done.",
    )
    group.add_argument(
        "--tile",
        type=arguments.count,
        metavar="N",
        help="paint in tiles of N x N pixels, also what would fit; of AdaIN N is a multiple of 8",
    )
    group.add_argument(
        "--scratch",
        metavar="FOLDER",
        help="folder for temporary files of pictures in tiles, of AdaIN 32 bytes a pixel (default: that of the result)",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace OUT and what another command began of it, or in a folder what was made in another way; pictures "
        "that are read are never replaced",
    )
    arguments.add_json(parser)


_OPTIONS = ("weights_file", "format", "overwrite", "max_pixels", "tile", "scratch")

_MIXED = "the styles are mixed in equal parts; --pair product takes them one by one"


def run(args: argparse.Namespace) -> tuple[dict[str, Any], int]:
    """Does what the flags say; returns the report, and the exit code."""
    from jaxstyle.folders import find, folder
    from jaxstyle.runtime import cache

    cache.enable()
    if args.seed is not None and args.pair != "random":
        raise ValueError("seed: nothing is drawn at random but by --pair random")
    mixed = len(args.style) > 1 and not (
        args.pair or args.weights or args.mask or any(find.is_group(style, style=True) for style in args.style)
    )
    if folder.is_batch(args.content, args.style, args.pair):
        if mixed:
            messages.note(_MIXED)
        return _folder(args)
    if args.recursive:
        raise ValueError("recursive: there is no folder to descend into")
    found = _file(args)
    if mixed:  # said when it is done: an error is one line
        messages.note(_MIXED)
    return found


def _file(args: argparse.Namespace) -> tuple[dict[str, Any], int]:
    from jaxstyle import stylize_file
    from jaxstyle.runtime import progress

    messages.check_standard_output(args)
    kept: list[int] = []  # how many tiles an earlier run had done

    def tell(done: int, total: int) -> None:
        kept[:] = kept or [done - 1]
        bar(progress.Progress(total, kept[0], done - kept[0], 0))

    with progress.Bar(what="steps" if args.refine else "tiles") as bar:
        report = stylize_file(
            args.content[0],
            args.style,
            args.output,
            arguments.controls(args),
            progress=tell,
            **arguments.given(args, *_OPTIONS),
        )
    messages.note(*report.notices)
    messages.say(args, f"{report.output}: {report.width} x {report.height} pixels in {report.seconds:.1f} s")
    return dataclasses.asdict(report), 0


def _folder(args: argparse.Namespace) -> tuple[dict[str, Any], int]:
    from jaxstyle.folders import folder
    from jaxstyle.runtime import progress

    with progress.Bar() as bar:
        report = folder.stylize_folder(
            args.content,
            args.style,
            folder.OUTPUT if args.output is None else args.output,
            arguments.controls(args),
            progress=bar,
            **arguments.given(args, "pair", "seed", "recursive", *_OPTIONS),
        )
    return messages.tell(args, report)
