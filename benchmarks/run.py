"""jaxstyle beside PyTorch, timed in turns.

Both sides compute the same from the same weights on the same number of processors, which is checked before anything is
timed. What the cases are is said in `benchmarks.cases`; PyTorch's part is `benchmarks.torch_adain`,
`benchmarks.torch_style_kernel`, `benchmarks.torch_generalizable_inr` and `benchmarks.torch_inr`.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import cases, peers, report, whole
from benchmarks.peers import ROOT, PeerError, Record
from jaxstyle.runtime import command, files

MADE = {
    **{"render": "inr", "fit": "inr", "kernel": "style_kernel", "kernel-train": "style_kernel"},
    "render-generalizable": "generalizable_inr",
}
"""Kinds of cases whose network is no shipped one, and which one `benchmarks.made_file` makes for them."""


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"expected a positive whole number, got {text!r}")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = command.Parser(
        prog="python -m benchmarks",
        description=(__doc__ or "").partition("\n")[0],
        epilog=f"cases: {', '.join(cases.DEFAULT)}; any size will do, such as stylize-768 or train-128x4",
        allow_abbrev=False,
    )
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these cases (default: all)")
    parser.add_argument(
        "--quick", action="store_true", help="two minutes: fewer cases, 3 rounds, without torch.compile"
    )
    parser.add_argument("--repeats", type=_positive, help="rounds (default: 7; with --quick 3)")
    parser.add_argument("--threads", type=_positive, help="processors for both sides (default: all)")
    parser.add_argument("--no-compile", action="store_true", help="leave out torch.compile")
    parser.add_argument("--bfloat16", action="store_true", help="show bfloat16 too; it does not count")
    parser.add_argument("--output", metavar="FILE", help="also write FILE.json and FILE.md, after each case")
    return parser


def run(
    chosen: Sequence[cases.Case],
    *,
    repeats: int,
    compiled: bool = True,
    bfloat16: bool = False,
    keep: Callable[[dict[str, Any]], object] = lambda found: None,
) -> dict[str, Any]:
    """Times the cases, one after the other.

    Args:
      chosen: the cases.
      repeats: rounds of each; of whole processes a third of them.
      compiled: try PyTorch's compiler.
      bfloat16: show bfloat16 too.
      keep: called with what there is after each case.

    Returns:
      ``{"machine", "repeats", "cases": {name: ...}}``, see `benchmarks.report.summary`.

    Raises:
      PeerError: jaxstyle failed.
    """
    load = round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else 0.0
    found: dict[str, Any] = {"machine": {"load_before": load}, "repeats": repeats, "cases": {}}
    with tempfile.TemporaryDirectory(prefix="jaxstyle-benchmarks-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        for number, case in enumerate(chosen, 1):
            print(f"{number}/{len(chosen)}: {case.name}", file=sys.stderr, flush=True)
            tried = cases.variants(case, compiled=compiled, bfloat16=bfloat16)
            if case.kind == "command":
                records = whole.measure(case, tried, max(1, repeats // 3), folder)
            else:
                made = folder / f"{MADE.get(case.kind, 'none')}.safetensors"
                if case.kind in MADE and not made.exists():
                    _output(["-m", "benchmarks.made_file", MADE[case.kind], str(made)], folder)
                records = peers.measure(case, tried, repeats, made, folder)
            for side in ("jaxstyle", "torch"):
                if side not in found["machine"]:
                    found["machine"][side] = _about(side, records, folder)
            found["cases"][case.name] = report.summary(case, records)
            keep(found)
    return found


def _about(side: str, records: Sequence[Record], folder: Path) -> dict[str, Any]:
    """Device, threads and versions of a side, asked for if none of these peers has said it."""
    for record in records:
        if record.side == side and record.about:
            return record.about
    module = "jax_side" if side == "jaxstyle" else "torch_side"
    script = f"import json; from benchmarks import {module} as side; print(json.dumps(side.about()))"
    return json.loads(_output(["-c", script], folder))  # type: ignore[no-any-return]


def _output(command: Sequence[str], folder: Path) -> str:
    """What a Python command prints."""
    environment = peers.environment(folder)
    done = subprocess.run([sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise PeerError(" ".join(done.stderr.split())[-300:])
    return done.stdout


def _use(threads: int | None) -> None:
    """Keeps this process, and so all that it starts, to some of its processors."""
    if threads is None or threads == peers.processors():
        return
    if threads > peers.processors() or not hasattr(os, "sched_setaffinity"):
        raise cases.CaseError(f"threads: {threads}; this process may use {peers.processors()}")
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit code: 0, 1 when jaxstyle failed, 2 for wrong usage, 130 when interrupted."""
    given = _parser().parse_args(argv)
    return command.guarded(partial(_main, given), "benchmarks", smaller="case", failures=(PeerError,))


def _main(given: argparse.Namespace) -> int:
    names = given.only or (cases.QUICK if given.quick else cases.DEFAULT)
    repeats = given.repeats or (3 if given.quick else 7)
    chosen = [cases.parse(name) for name in dict.fromkeys(names)]
    _use(given.threads)
    if importlib.util.find_spec("torch") is None:
        raise cases.CaseError("PyTorch is not installed; pip install -e '.[torch,train]'")
    compiled = not (given.quick or given.no_compile)
    keep = partial(_write, given.output) if given.output else lambda found: None
    found = run(chosen, repeats=repeats, compiled=compiled, bfloat16=given.bfloat16, keep=keep)
    print(report.markdown(found))
    return 0


def _write(output: str, found: dict[str, Any]) -> None:
    Path(output).parent.mkdir(parents=True, exist_ok=True)
    files.write(Path(f"{output}.json"), json.dumps(found, indent=1) + "\n")
    files.write(Path(f"{output}.md"), report.markdown(found))
