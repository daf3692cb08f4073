"""The verb ``jaxstyle styles``: the built-in styles, and whose they are."""

from __future__ import annotations

import argparse
from typing import Any

from jaxstyle import styles
from jaxstyle.cli import arguments, messages

HELP = "list the built-in styles, which are given as @NAME"
DESCRIPTION = "Lists the built-in styles with title, author, year and rights. Every verb takes @NAME for a painting."
EPILOG = """\
A pattern such as '@*' stands for several, which are taken one by one. A file whose own name begins with @ is given with
its folder: ./@name.jpg.

examples:
  jaxstyle styles
  jaxstyle styles @starry-night --json
  jaxstyle styles -o styles.jpg"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's arguments."""
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="those to be listed, with or without the @, or patterns (default: all)"
    )
    parser.add_argument("-o", "--output", metavar="OUT", help="write a page that shows them to this file, too")
    parser.add_argument("--format", metavar="F", help="png, jpeg, webp, tiff or bmp, instead of OUT's suffix")
    parser.add_argument(
        "--cell", type=arguments.count, metavar="N", help="side in pixels of a picture on that page (default: 128)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace OUT if it is there")
    arguments.add_json(parser, "all that is known of them")


def run(args: argparse.Namespace) -> tuple[list[dict[str, Any]], int]:
    """Does what the flags say; returns what is known of each, and 0."""
    given = args.names or ["*"]
    names = list(dict.fromkeys(name for text in given for name in styles.named(text)))
    if args.output is not None:
        from jaxstyle.sheet import gallery

        messages.check_standard_output(args)
        options = arguments.given(args, "cell", "format", "overwrite")
        width, height = gallery.gallery_file(names, args.output, **options)
        messages.say(args, f"{args.output}: {width} x {height} pixels")
    elif not args.json:
        print(table(names))
    return [known(name) for name in names], 0


def known(name: str) -> dict[str, Any]:
    """All that is known of a style."""
    text = styles.MARK + name
    return {"name": text, **styles.STYLES[name]._asdict(), "file": styles.path_of(text)}


def table(names: list[str]) -> str:
    """A line for each style: name, title, author, year, rights."""
    rows = [(styles.MARK + name, *styles.STYLES[name]) for name in names]
    cells = [(name, title, author, str(year), rights) for name, title, author, year, _, rights in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(5)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in cells)
