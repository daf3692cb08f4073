"""Results that are kept: a JSON file that grows row by row, so that an interrupted run goes on, and facts of the run.

A file holds one ``subject`` (what was measured) and any number of parts, each with its settings, the machine it was
made on, and its rows by name. Rows are reused while settings, machine and pictures are the same. `command` is what
the commands of all evaluations are made of.
"""

import importlib.metadata
import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import jax

import jaxstyle
from jaxstyle.arrays import Array
from jaxstyle.runtime import cache, files
from train import run

C = TypeVar("C")

PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy")

Results = dict[str, Any]
Row = dict[str, Any]


class ResultsError(ValueError):
    """A file of results that is damaged or of another subject; the message is one line and names the file."""


class Task(NamedTuple):
    """How to make one row."""

    of: str  # fingerprint of what it is made from; another one makes the row anew
    run: Callable[[], Row]


def rounded(value: float | Array) -> float:
    """Six significant digits: what float32 knows."""
    return float(f"{float(value):.6g}")


def environment() -> dict[str, str]:
    """The device that computes, and versions: what numbers and times depend on."""
    device = jax.devices()[0]
    name = f"{device.device_kind}" if device.platform != "cpu" else f"{_processor()}, {os.cpu_count()} cores"
    versions = {package: importlib.metadata.version(package) for package in PACKAGES}
    return {
        "device": f"{device.platform}: {name}",
        "jaxstyle": jaxstyle.__version__,
        "python": platform.python_version(),
        **versions,
    }


def _processor() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def written(output: str) -> tuple[Path, Path]:
    """The files of results: the JSON, and the Markdown for people."""
    return Path(f"{output}.json"), Path(f"{output}.md")


def load(path: Path, subject: Mapping[str, Any]) -> Results:
    """The results so far of ``subject``; empty ones if there is no such file.

    Raises:
      ResultsError: the file is damaged or holds results of something else.
    """
    if not path.exists():
        return {"subject": dict(subject), "parts": {}}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        other = dict(found["subject"])
        for part in found["parts"].values():
            for entry in (part["settings"], part["environment"], *part["rows"].values()):
                dict(entry)
    except OSError as error:
        raise ResultsError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ResultsError(f"{path}: not a file of results: {error}") from None
    if other != dict(subject):
        names = ", ".join(f"{key} {value}" for key, value in other.items() if subject.get(key) != value)
        raise ResultsError(f"{path}: holds results of {names or 'something else'}; give another --output")
    return found  # type: ignore[no-any-return]


def complete(
    results: Results, path: Path, part: str, settings: Mapping[str, Any], tasks: Mapping[str, Task]
) -> dict[str, Row]:
    """Makes the rows of a part that are missing, and writes the file after each.

    Args:
      results: from `load`; changed in place.
      path: the JSON file.
      part: name of the part.
      settings: what the rows depend on beside their own pictures; JSON values.
      tasks: how to make the rows, by name, in their order. Rows of other names are dropped.

    Returns:
      The rows, all of them.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    settings, machine = json.loads(json.dumps(settings)), environment()
    old = results["parts"].get(part, {})
    rows: dict[str, Row] = {}
    if old.get("settings") == settings and old.get("environment") == machine:
        rows = {n: r for n, r in old["rows"].items() if n in tasks and r.get("of") == tasks[n].of}
    for number, (name, task) in enumerate(tasks.items(), 1):
        if name not in rows:
            print(f"{part} {number}/{len(tasks)}: {name}", file=sys.stderr, flush=True)
            rows[name] = {**task.run(), "of": task.of}
            rows = {n: rows[n] for n in tasks if n in rows}
            results["parts"][part] = {"settings": settings, "environment": machine, "rows": rows}
            files.write(path, json.dumps(results, indent=1) + "\n")
    results["parts"][part] = {"settings": settings, "environment": machine, "rows": rows}
    files.write(path, json.dumps(results, indent=1) + "\n")
    return rows


def check_writable(*paths: Path) -> None:
    """Makes the folders of files that are to be written, before hours are spent on what they will hold.

    Raises:
      ResultsError: a folder cannot be made or written to, or has the file's name.
    """
    for path in paths:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=path.parent).close()
        except OSError as error:
            raise ResultsError(f"{path.parent}: no folder to write to: {error.strerror}") from None
        if path.is_dir():
            raise ResultsError(f"{path}: is a folder, not a file to write")


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table: numbers with three significant digits, None as an empty cell, the first column to the left.

    Args:
      head: the columns' names.
      rows: as many cells each.
    """
    lines = [list(head), ["---", *["---:"] * (len(head) - 1)], *([_cell(cell) for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        digits = f"{value:#.3g}"
        return f"{value:.0f}" if "e" in digits and abs(value) >= 1 else digits.rstrip(".")
    return str(value).replace("|", "\\|")


def command(
    config: type[C],
    evaluate: Callable[[C], Path],
    argv: Sequence[str] | None,
    *,
    prog: str,
    description: str | None,
    smaller: str,
    failures: tuple[type[Exception], ...] = run.FAILURES,
) -> int:
    """The command of an evaluation, which prints the file for people; see `train.run.command`."""

    def work(found: C) -> list[str]:
        cache.enable()
        return [str(evaluate(found))]

    return run.command(
        config,
        work,
        argv,
        prog=prog,
        description=description,
        smaller=smaller,
        interrupted="interrupted; the same command goes on from there",
        failures=failures,
    )
