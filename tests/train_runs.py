"""What the tests of trainers share: small pictures, command lines, processes, curves."""

import csv
import dataclasses
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent


def write_pictures(root: Path) -> Path:
    """Folders ``content`` and ``style`` with seven small pictures each, and a file that is none."""
    for name in ("content", "style"):
        (root / name).mkdir()
        for i in range(7):
            noise = np.random.default_rng([i, len(name)]).integers(0, 256, (24 + i, 30, 3), dtype=np.uint8)
            Image.fromarray(noise).save(root / name / f"{i}.png")
    (root / "content" / "broken.jpg").write_text("not a picture")
    return root


def arguments(config: Any) -> list[str]:
    """The command line of a configuration."""
    found = []
    types = {field.name: str(field.type) for field in dataclasses.fields(config)}
    for name, value in vars(config).items():
        if isinstance(value, bool):
            found.append(f"--{name}" if value else f"--no-{name}")
        elif value is not None or "bool" not in types[name]:
            found += [f"--{name}", "none" if value is None else str(value)]
    return found


def complaint(trainer: ModuleType, line: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What a trainer says of a command line that is wrong: one line, with exit code 2."""
    try:
        code = trainer.main(line)
    except SystemExit as stop:
        code = stop.code
    captured = capsys.readouterr()
    assert (code, captured.out, captured.err.count("\n")) == (2, "", 1), captured.err
    return captured.err


def rows(file: Path) -> list[dict[str, str]]:
    """Of a file of curves."""
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


def start(trainer: ModuleType, run: Any, count: int = 4, blocks: str = "unlimited") -> "subprocess.Popen[str]":
    """A trainer's command as a process of its own with ``count`` devices, and files of at most ``blocks`` blocks."""
    line = [sys.executable, "-m", trainer.__name__, *arguments(run)]
    return subprocess.Popen(
        ["sh", "-c", f'ulimit -f {blocks} && exec "$@"', "sh", *line],
        cwd=ROOT,
        env=os.environ | {"JAX_NUM_CPU_DEVICES": str(count)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def norm(tree: Any) -> float:
    """Of all arrays of a tree together."""
    return float(np.sqrt(sum(np.square(leaf, dtype=np.float64).sum() for leaf in jax.tree.leaves(tree))))
