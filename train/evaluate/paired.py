"""Scores of several weights on the same pairs: ``python -m train.evaluate.paired --output FILE --rows A.json,B.json``.

The rows are files that ``python -m train.evaluate`` wrote for the same pairs. Each gets the means of its scores, their
differences to those of the first row with standard errors, and in how many pairs they are lower. Pairs differ by far
more than weights do, and what is common to a pair drops out of its difference. Kept as ``FILE.json``, and printed as a
Markdown table.
"""

from __future__ import annotations

if __name__ == "__main__":  # the imports below take seconds
    from train.entry import entry

    entry("train.evaluate.paired")

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxstyle.runtime import files
from train import run
from train.config import ConfigError, required
from train.evaluate.results import ResultsError, rounded, table
from train.evaluate.tables import COLUMNS

SCORES = tuple(name for name in COLUMNS if name != "psnr_alpha0")

Scores = dict[str, dict[str, float]]  # by pair and name


@dataclass(frozen=True)
class Config:
    """What to compare; the flags of the command are made from it."""

    output: str = required("file to write: OUTPUT.json")
    rows: str = required("results of train.evaluate, with commas; the others are compared with the first")

    def __post_init__(self) -> None:
        """Raises ConfigError for what cannot be compared."""
        names = [path.stem for path in self.paths]
        if len(names) < 2:
            raise ConfigError(f"rows: {self.rows!r}; expected at least two files")
        if again := next((name for name in names if names.count(name) > 1), None):
            raise ConfigError(f"rows: {again} twice; rows are called like their files")

    @property
    def paths(self) -> list[Path]:
        """The files."""
        return [Path(name.strip()) for name in self.rows.split(",") if name.strip()]


def read(path: Path) -> tuple[dict[str, Any], Scores]:
    """The settings and the scores of a file of results, and of each pair the fingerprint of its pixels: ``of``.

    Raises:
      ResultsError: it cannot be read, or has no scores.
    """
    try:
        part = json.loads(path.read_text(encoding="utf-8"))["parts"]["scores"]
        rows = {pair: {n: float(row[n]) for n in SCORES} | {"of": row["of"]} for pair, row in part["rows"].items()}
        return dict(part["settings"]), rows
    except OSError as error:
        raise ResultsError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ResultsError(f"{path}: holds no scores of train.evaluate") from None


def compare(scores: Scores, first: Scores) -> dict[str, dict[str, float]]:
    """What becomes of each score.

    ``mean``: over the pairs; ``difference``: of that to the first row's, and ``error``, its standard error;
    ``lower``: in how many pairs the score is below the first row's.

    Args:
      scores: of at least two pairs.
      first: of the same pairs.
    """
    found = {}
    for name in SCORES:
        values = [scores[pair][name] for pair in first]
        apart = [value - first[pair][name] for value, pair in zip(values, first, strict=True)]
        error = statistics.stdev(apart) / math.sqrt(len(apart))
        parts = {"mean": statistics.fmean(values), "difference": statistics.fmean(apart), "error": error}
        found[name] = {part: rounded(value) for part, value in parts.items()} | {"lower": sum(x < 0 for x in apart)}
    return found


def markdown(rows: Mapping[str, dict[str, dict[str, float]]]) -> str:
    """The table: means, and of rows but the first their differences with twice the errors, and pairs that are lower."""
    first = next(iter(rows))
    body = [[name, *(_cell(row[score], name == first) for score in SCORES)] for name, row in rows.items()]
    return table(["", *(COLUMNS[score] for score in SCORES)], body)


def _cell(value: Mapping[str, float], is_first: bool) -> str:
    if is_first:
        return f"{value['mean']:.4f}"
    return f"{value['mean']:.4f} ({value['difference']:+.4f} ± {2 * value['error']:.4f}, lower in {value['lower']})"


def _work(config: Config) -> list[str]:
    found = [read(path) for path in config.paths]
    settings, first = found[0]
    if len(first) < 2:
        raise ResultsError(f"{config.paths[0]}: holds the scores of {len(first)} pairs; needed are two")
    wanted = {pair: row["of"] for pair, row in first.items()}
    for path, (other, scores) in zip(config.paths[1:], found[1:], strict=True):
        if other != settings or {pair: row["of"] for pair, row in scores.items()} != wanted:
            raise ResultsError(f"{path}: its pairs are not those of {config.paths[0]}")
    rows = {path.stem: compare(scores, first) for path, (_, scores) in zip(config.paths, found, strict=True)}
    target = Path(f"{config.output}.json")
    target.parent.mkdir(parents=True, exist_ok=True)
    values = {"settings": settings, "pairs": len(first), "rows": rows}
    files.write(target, json.dumps(values, indent=1) + "\n")
    return [markdown(rows).rstrip("\n")]


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit code: 0, 2 for wrong usage or files that do not fit."""
    description = (__doc__ or "").partition(":")[0]
    return run.command(Config, _work, argv, prog="train.evaluate.paired", description=description, smaller="--rows")
