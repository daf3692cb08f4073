"""The tables of a comparison: what each number means, and Markdown and JSON of it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from jaxstyle.metrics.intervals import DRAWS, LEVEL, Interval

if TYPE_CHECKING:
    from jaxstyle.sheet.compare import CompareReport

CONTENT = {
    "lpips": ("LPIPS", "perceptual distance to the photo (0 = the same)"),
    "ssim": ("SSIM", "structural similarity to the photo (1 = the same)"),
    "cfsd": ("CFSD", "how far what is alike in the photo stays alike, on VGG-16 (0 = the same)"),
}
"""Measures of content: their heads and what they mean."""
STYLE = {
    "style_ratio": ("mean/std", "statistics to the painting's, relative to the photo's (0 = reached, 1 = untouched)"),
    "gram_ratio": ("Gram", "Gram matrices likewise (0 = reached, 1 = untouched)"),
    "remd": ("REMD", "features to the painting's nearest, and back (0 = each has its like)"),
    "histogram": ("colours", "colour histograms to the painting's (0 = the same, 1 = nothing in common)"),
}
"""Measures of style."""
HEADS = ("", "seconds", "memory", *(head for head, _ in (CONTENT | STYLE).values()))


class Row(NamedTuple):
    """What was found of a way to pictures, or of a reference.

    Attributes:
      name, method, detail, refine: see `jaxstyle.sheet.columns.Column`; a reference has no method.
      seconds, processor_seconds: of a picture; None of a reference.
      peak_bytes: most memory of the process that made the pictures.
      measures: by the names of `CONTENT` and `STYLE`.
      problem: why there are none.
    """

    name: str
    method: str
    detail: str
    refine: int = 0
    seconds: Interval | None = None
    processor_seconds: Interval | None = None
    peak_bytes: int | None = None
    measures: dict[str, Interval] | None = None
    problem: str = ""


def cells(row: Row) -> list[str]:
    """The words of a row of the table, as many as `HEADS`."""
    measures = row.measures or {}
    memory = "" if row.peak_bytes is None else f"{row.peak_bytes / 2**30:.2f} GiB"
    seconds = "" if row.seconds is None else _words(row.seconds, 1)
    found = [_words(measures[name], 3) if name in measures else "" for name in (*CONTENT, *STYLE)]
    return [row.name, seconds, memory, *found]


def _words(interval: Interval, digits: int) -> str:
    mean, low, high = (None if value is None else f"{value:.{digits}f}" for value in interval)
    return f"{mean}" if low is None else f"{mean} [{low}, {high}]"


def markdown(report: CompareReport) -> str:
    """The table in Markdown, with what its columns mean below."""
    lines = ["| " + " | ".join(head) + " |" for head in (HEADS, ["---", *["---:"] * (len(HEADS) - 1)])]
    lines += [f"| {' | '.join(cells(row))} |" for row in report.rows]
    pairs = [f"{len(report.pairs)} pairs"] if len(report.pairs) > 1 else [" in the style of ".join(report.pairs[0])]
    lines += ["", f"Of {pairs[0]}, the photo's short side {report.size} pixels at most, on {report.device}."]
    if len(report.pairs) > 1:
        part = f"{LEVEL:.0%} bootstrap intervals, {DRAWS} draws"
        lines[-1] += f" Means of the pairs with {part}."
    lines += [f"Not made: {failure}" for failure in report.failed]
    lines += ["", "* seconds: of a picture, loading and compiling of the first one included;"]
    lines += ["* memory: the most that the process had which made the column;"]
    lines += [f"* {head}: {meaning};" for head, meaning in (CONTENT | STYLE).values()]
    lines[-1] = lines[-1][:-1] + "."
    return "\n".join(lines) + "\n"


def as_dict(report: CompareReport) -> dict[str, Any]:
    """A report as JSON values, with the meaning of the measures."""
    found = dataclasses.asdict(report)
    found["pairs"] = [pair._asdict() for pair in report.pairs]
    found["rows"] = [_row(row) for row in report.rows]
    found["meaning"] = {name: meaning for name, (_, meaning) in (CONTENT | STYLE).items()}
    return found


def _row(row: Row) -> dict[str, Any]:
    def plain(value: Interval | None) -> dict[str, float | None] | None:
        return None if value is None else {name: _rounded(number) for name, number in value._asdict().items()}

    found = row._asdict()
    found.update(seconds=plain(row.seconds), processor_seconds=plain(row.processor_seconds))
    found["measures"] = {name: plain(value) for name, value in (row.measures or {}).items()}
    return found


def _rounded(value: float | None) -> float | None:
    """Six significant digits: what float32 knows."""
    return None if value is None else float(f"{value:.6g}")


def _json(report: CompareReport) -> str:
    return json.dumps(as_dict(report), indent=1) + "\n"


TABLES: dict[str, Callable[[CompareReport], str]] = {".md": markdown, ".json": _json}
"""How a table is written, by the suffix of its file."""
