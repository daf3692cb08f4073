"""What was measured, as a table for people and as JSON for programs."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from benchmarks.cases import Case
from benchmarks.peers import Record
from train.evaluate.results import table

BUSY = 0.5
"""Processes that may want to run beside, on average, before a report says so."""


def best(records: Sequence[Record]) -> Record | None:
    """PyTorch's variant with the lowest median; None if none was timed."""
    timed = [r for r in records if r.side == "torch" and r.counted and r.warm]
    return min(timed, key=lambda r: statistics.median(r.warm), default=None)


def ratio(ours: Record, theirs: Record) -> tuple[float, float, float]:
    """Seconds of PyTorch's calls over ours: of the medians, and the lowest and highest of the rounds'."""
    rounds = [b / a for a, b in zip(ours.warm, theirs.warm, strict=True)]
    return statistics.median(theirs.warm) / statistics.median(ours.warm), min(rounds), max(rounds)


def summary(case: Case, records: Sequence[Record]) -> dict[str, Any]:
    """One case as JSON values: every peer with all its times, the best of PyTorch, and the ratio to it."""
    ours, theirs = records[0], best(records)
    found: dict[str, Any] = {
        "goal": case.goal,
        "best": None,
        "ratio": None,
        "ratio_lowest": None,
        "ratio_highest": None,
    }
    if theirs is not None:
        middle, low, high = ratio(ours, theirs)
        found |= {"best": theirs.variant, "ratio": middle, "ratio_lowest": low, "ratio_highest": high}
    peers = []
    for record in records:
        values = asdict(record)
        values.pop("about")
        peers.append(values | {"median": statistics.median(record.warm) if record.warm else None})
    return {**found, "peers": peers}


def markdown(found: Mapping[str, Any]) -> str:
    """The page of what `benchmarks.run` found."""
    return "\n".join([*_head(found), *_overview(found["cases"]), *_all(found["cases"])])


def _head(found: Mapping[str, Any]) -> list[str]:
    ours, theirs = found["machine"].get("jaxstyle", {}), found["machine"].get("torch", {})
    versions = [
        f"{name} {ours[name]}" for name in ("jaxstyle", "python", "jax", "jaxlib", "flax", "numpy") if name in ours
    ]
    versions += [f"torch {theirs['torch']}"] if "torch" in theirs else []
    lines = [
        "# jaxstyle beside PyTorch",
        "",
        f"On {ours.get('device', 'an unknown device')}; threads: jaxstyle {ours.get('threads', '?')}, "
        f"PyTorch {theirs.get('threads', '?')}; {', '.join(versions)}. {found['repeats']} rounds, the peers in turns.",
        "",
    ]
    if found["machine"]["load_before"] > BUSY:
        lines += [
            f"**The machine was busy before it began (load {found['machine']['load_before']}): no times to keep.**",
            "",
        ]
    return lines


def _gigabytes(record: Mapping[str, Any]) -> float | None:
    peak = record["device_peak"] or record["host_peak"]
    return None if peak is None else peak / 1e9


def _overview(cases: Mapping[str, Any]) -> list[str]:
    rows = []
    for name, case in cases.items():
        ours = case["peers"][0]
        theirs = next((p for p in case["peers"] if p["side"] == "torch" and p["variant"] == case["best"]), None)
        values = [[p["median"], p["first"], _gigabytes(p)] if p else [None] * 3 for p in (ours, theirs)]
        times = [value for pair in zip(*values, strict=True) for value in pair]
        spread = ""
        if case["ratio"] is not None:
            spread = f"{case['ratio']:.2f} ({case['ratio_lowest']:.2f}-{case['ratio_highest']:.2f})"
        rows.append([name, *times[:2], case["best"] or "none", spread, case["goal"], *times[2:]])
    head = ["case", "jaxstyle s", "PyTorch s", "its best variant", "ratio (rounds)", "goal"]
    head += ["first, jaxstyle s", "first, PyTorch s", "peak, jaxstyle GB", "peak, PyTorch GB"]
    return [
        "Medians of warm calls; ratio: PyTorch over jaxstyle, above 1 jaxstyle is faster. First: from the start of the",
        "process to the first result; of `command` the whole process with a cold cache, and warm that with a warm one.",
        "Peak: of the device's memory, of a CPU the whole process'.",
        "",
        table(head, rows),
    ]


def _all(cases: Mapping[str, Any]) -> list[str]:
    rows = []
    for name, case in cases.items():
        for peer in case["peers"]:
            warm = [min(peer["warm"]), max(peer["warm"])] if peer["warm"] else [None, None]
            label = peer["variant"] + ("" if peer["counted"] else ", not counted")
            parts = [peer["parts"].get(part) for part in ("import", "prepare", "call")]
            times = [peer["median"], *warm, peer["first"], *parts, _gigabytes(peer)]
            apart = ", ".join(f"{kind} {size:.1g}" for kind, size in peer["difference"].items())
            rows.append([name, peer["side"], label, *times, apart, peer["note"]])
    head = ["case", "side", "variant", "median s", "lowest", "highest", "first s", "import", "prepare", "first call"]
    return ["## Every variant", "", table([*head, "peak GB", "difference", "not timed because"], rows)]
