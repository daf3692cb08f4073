"""Peers in processes of their own, and a case measured with several of them in turns."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cases import Case, Variant

ROOT = Path(__file__).parents[1]
SETTLE = 0.05
"""Seconds between two timed calls, in which the threads of the last peer go to sleep."""


TOLERANCE = {"picture": 1e-3, "field": 1e-3, "loss": 1e-3, "gradient": 3e-2}
"""How far from ours a result in float32 may be. A gradient jumps where rounding puts a ReLU or a maximum on its other
side: one unit in a million that does so changes it by about a thousandth."""


class PeerError(RuntimeError):
    """A peer that failed; the message is one line."""


@dataclass
class Record:
    """What was measured of one peer in one case.

    Attributes:
      side: ``"jaxstyle"`` or ``"torch"``.
      variant: name of the variant.
      counted: whether it takes part in the comparison; bfloat16 does not.
      first: seconds from the start of the process to the first result: imports, weights, compilation and all.
      parts: of these ``import``, ``prepare`` and ``call``.
      warm: seconds of each timed call.
      host_peak, device_peak: bytes.
      difference: of its first two results from jaxstyle's, see `difference`.
      note: why it was not timed.
    """

    side: str
    variant: str
    counted: bool = True
    first: float | None = None
    parts: dict[str, float] = field(default_factory=dict)
    warm: list[float] = field(default_factory=list)
    host_peak: int | None = None
    device_peak: int | None = None
    difference: dict[str, float] = field(default_factory=dict)
    note: str = ""
    about: dict[str, Any] = field(default_factory=dict)


class Peer:
    """A `benchmarks.worker` process."""

    def __init__(self, side: str, case: Case, variant: Variant, made: Path, folder: Path) -> None:
        name = "jaxstyle" if side == "jax" else "torch"
        label = "bfloat16" if variant.bfloat16 else "jit"
        self.record = Record(name, label if side == "jax" else variant.name, counted=not variant.bfloat16)
        self.files = Path(tempfile.mkdtemp(dir=folder))
        command = ["-m", "benchmarks.worker", side, case.name, json.dumps(asdict(variant)), str(made)]
        self.start = time.perf_counter()
        self.log = (self.files / "log").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            cwd=ROOT,
            env=environment(self.files),
        )

    def close(self) -> None:
        """Ends the process."""
        self.process.kill()
        self.process.communicate()
        self.log.close()

    def ask(self, *request: str) -> dict[str, Any]:
        """The answer to a request.

        Raises:
          PeerError: it failed, or the process is gone.
        """
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            print(json.dumps(request), file=self.process.stdin, flush=True)
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self.log.seek(0)
            last = [text for text in self.log.read().splitlines() if text.strip()][-1:]
            raise PeerError(f"the process ended: {' '.join(last)[:300] or f'exit code {self.process.wait()}'}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise PeerError(answer["error"])
        return answer

    def begin(self) -> dict[str, np.ndarray]:
        """Prepares and computes for the first time; what came out."""
        prepared = self.ask("prepare")
        call = self.ask("run")["seconds"]
        self.record.first = time.perf_counter() - self.start
        self.record.parts = {**prepared["seconds"], "call": call}
        self.record.about = prepared["about"]
        return self.outcome()

    def run_timed(self) -> None:
        """Computes once more, timed."""
        self.record.warm.append(self.ask("run")["seconds"])

    def measure_memory(self) -> None:
        """Notes the memory taken so far."""
        peak = self.ask("peak")
        self.record.host_peak, self.record.device_peak = peak["host"], peak["device"]

    def outcome(self) -> dict[str, np.ndarray]:
        """What the last call computed."""
        file = self.files / "outcome.npz"
        self.ask("save", str(file))
        with np.load(file) as arrays:
            return dict(arrays)


def environment(folder: Path) -> dict[str, str]:
    """Variables for a process: all processors that this one may use, and no compiled code from before."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("JAX_COMPILATION_CACHE", "TORCHINDUCTOR_"))}
    caches = {name: str(folder / name.lower()) for name in ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR")}
    return kept | caches | {"OMP_NUM_THREADS": str(processors()), "JAXSTYLE_CACHE_DIR": str(folder / "jaxstyle")}


def processors() -> int:
    """How many this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


# ---- a case ------------------------------------------------------------------------------------------------


def difference(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> dict[str, float]:
    """How far apart two outcomes are, by kind of their arrays, see `TOLERANCE`.

    Of pictures the largest difference of a value; of fields, losses and gradients the norm of the difference over that
    of ours, the largest of all arrays.

    Raises:
      PeerError: they do not consist of the same arrays, or hold values that are not finite.
    """
    if {k: v.shape for k, v in ours.items()} != {k: v.shape for k, v in theirs.items()}:
        raise PeerError(f"computes something else: {sorted(theirs)} instead of {sorted(ours)}, or other shapes")
    found: dict[str, float] = {}
    for name, value in ours.items():
        apart = theirs[name] - value.astype(np.float64)
        kind = name.partition(" ")[0]
        size = np.abs(apart).max() if kind == "picture" else np.linalg.norm(apart) / np.linalg.norm(value)
        found[kind] = max(found.get(kind, 0.0), float(size)) if np.isfinite(size) else np.inf
    if not np.isfinite(list(found.values())).all():
        raise PeerError("computes values that are not finite")
    return found


def too_far(apart: dict[str, float], about: dict[str, Any], counted: bool, *, later: bool = False) -> str:
    """What of a `difference` is too large for a peer that computes the same; empty if nothing is.

    ``later``: after a step of Adam, whose first one is of one size for every parameter: where a gradient is about 0 its
    rounding says which way, and the next gradients are those of slightly different networks.
    """
    factor = 1 if about["kind"] == "cpu" else 20  # elsewhere products are rounded to 10 bits
    factor = factor if counted else 100  # bfloat16 has 8
    factors = {"gradient": 10 * factor if later else factor}
    found = [f"{k} by {size:.2g}" for k, size in apart.items() if not size <= factors.get(k, factor) * TOLERANCE[k]]
    return ", ".join(found)


def measure(case: Case, tried: Sequence[Variant], repeats: int, made: Path, folder: Path) -> list[Record]:
    """Times a case on both sides, the peers in turns.

    Peers start one after the other, each alone. Those that do not compute what jaxstyle computes, in the first and the
    second call, are not timed, and neither are those that fail.

    Args:
      case: what.
      tried: PyTorch's variants.
      repeats: rounds; each times every peer once.
      made: see `benchmarks.jax_side.prepare`.
      folder: for files of the peers.

    Returns:
      jaxstyle's record, then PyTorch's. With a bfloat16 variant among them, jaxstyle has a second one.

    Raises:
      PeerError: jaxstyle failed.
    """
    plain = [("jax", Variant()), *(("torch", v) for v in tried if not v.bfloat16)]
    fast = [("torch", v) for v in tried if v.bfloat16]
    order = plain + ([("jax", Variant(bfloat16=True)), *fast] if fast else [])
    records: list[Record] = []
    alive: list[Peer] = []
    wanted: dict[str, dict[str, np.ndarray]] = {}

    def attempt(peer: Peer, what: Callable[[], object]) -> None:
        """Does something with a peer, which ends where it fails; jaxstyle must not."""
        try:
            what()
        except PeerError as error:
            if peer.record is records[0]:
                raise PeerError(f"{case.name}: jaxstyle failed: {error}") from None
            peer.record.note = str(error)
            peer.record.warm.clear()
            alive.remove(peer)
            peer.close()

    try:
        for side, variant in order:
            peer = Peer(side, case, variant, made, folder)
            records.append(peer.record)
            alive.append(peer)
            attempt(peer, partial(_check, peer, records[0], wanted))
        for _ in range(repeats):
            for peer in list(alive):
                time.sleep(SETTLE)
                attempt(peer, peer.run_timed)
        for peer in list(alive):
            attempt(peer, peer.measure_memory)
    finally:
        for peer in alive:
            peer.close()
    return records


def _check(peer: Peer, ours: Record, wanted: dict[str, dict[str, np.ndarray]]) -> None:
    """Begins with a peer and compares its first two results with jaxstyle's, which leaves them there."""
    is_first = not wanted
    for call in ("first", "second"):
        if call == "first":
            found = peer.begin()
        else:
            peer.ask("run")
            found = peer.outcome()
        if is_first:
            wanted[call] = found
            continue
        if peer.record.about["kind"] != ours.about["kind"]:
            raise PeerError(f"computes on {peer.record.about['kind']}, jaxstyle on {ours.about['kind']}")
        apart = difference(wanted[call], found)
        peer.record.difference = {kind: max(size, peer.record.difference.get(kind, 0)) for kind, size in apart.items()}
        wrong = too_far(apart, peer.record.about, peer.record.counted, later=call == "second")
        if wrong:
            raise PeerError(f"computes something else: the {call} call differs in {wrong}")
