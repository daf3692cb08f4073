"""The verb ``jaxstyle metrics``: measures results against their photo and painting."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxstyle.cli import arguments

HELP = "measure how much results kept of the photo and took from the painting"
DESCRIPTION = """\
Measures results against the photo and the painting that they were made of: losses of content
and style, Gram distance, LPIPS, SSIM, PSNR. The table says what each number means."""
EPILOG = """\
example:
  jaxstyle metrics --content photo.jpg --style painting.jpg out.png"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's arguments."""
    parser.add_argument("outputs", nargs="+", metavar="OUTPUT", help="the results to be measured")
    parser.add_argument("--content", required=True, metavar="PHOTO", help="the photo that they were made of")
    parser.add_argument(
        "--style",
        required=True,
        metavar="PAINTING",
        help="the painting whose style they have, or @NAME of a built-in one",
    )
    parser.add_argument(
        "--size",
        type=arguments.size,
        metavar="N",
        help="bring all pictures to this size first: pixels of the short side, or WxH (default: as they are)",
    )
    arguments.add_json(parser, "the numbers")


def run(args: argparse.Namespace) -> tuple[dict[str, Any], int]:
    """Does what the flags say; returns the numbers, with None for the infinite PSNR of equal pictures, and 0."""
    from jaxstyle.metrics import files
    from jaxstyle.runtime import cache, progress

    cache.enable()
    with progress.Bar() as bar:
        found = files.measure_files(
            args.content,
            args.style,
            args.outputs,
            size=args.size,
            progress=lambda done, total: bar(progress.Progress(total, 0, done, 0)),
        )
    if not args.json:
        print(table(found, files.MEANING))
    finite = {
        name: {metric: value if math.isfinite(value) else None for metric, value in values.items()}
        for name, values in found.items()
    }
    return {"content": args.content, "style": args.style, "outputs": finite}, 0


def table(found: Mapping[str, Mapping[str, float]], meaning: Mapping[str, str]) -> str:
    """Numbers as lines for people: a row for every metric, a column for every output.

    Args:
      found: what `jaxstyle.metrics.files.measure_files` returned.
      meaning: of every metric, in the order of the rows.
    """
    names = [Path(name).name for name in found]
    if len(set(names)) < len(names):
        names = list(found)
    widths = [max(8, len(name)) for name in names]
    label = max(map(len, meaning))
    rows = ["  ".join([" " * label, *(name.rjust(width) for name, width in zip(names, widths, strict=True))])]
    for metric, words in meaning.items():
        numbers = [f"{values[metric]:{width}.4g}" for values, width in zip(found.values(), widths, strict=True)]
        rows.append("  ".join([metric.ljust(label), *numbers, words]))
    return "\n".join(rows)
