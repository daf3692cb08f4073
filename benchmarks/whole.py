"""The whole process, from file to file: ``jaxstyle stylize`` beside `benchmarks.torch_command`, in turns.

Cold: no compiled code from before. Warm: the same command once more. Every round starts from nothing again.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks import inputs
from benchmarks.cases import Case, Variant
from benchmarks.peers import ROOT, SETTLE, PeerError, Record, environment

STEP = 1.01 / 255
"""Most that results may differ by: they are kept in 8 bits."""


def arguments(variant: Variant | None, photo: Path, painting: Path, output: Path) -> list[str]:
    """The command of jaxstyle (None) or of a variant of PyTorch."""
    if variant is None:
        return ["-m", "jaxstyle", "stylize", str(photo), "--style", str(painting), "-o", str(output), "--overwrite"]
    flags = {"--compile": variant.compiled, "--channels-last": variant.channels_last}
    files = (str(photo), str(painting), str(output))
    return ["-m", "benchmarks.torch_command", *files, *(flag for flag, given in flags.items() if given)]


def run(command: Sequence[str], caches: Path) -> tuple[float, int]:
    """Runs a Python command to its end: seconds, and bytes at its peak.

    Raises:
      PeerError: it failed.
    """
    with (caches / "log").open("w+") as log:
        start = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *command], stdout=log, stderr=log, cwd=ROOT, env=environment(caches)
        )
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            raise
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            log.seek(0)
            last = [line for line in log.read().splitlines() if line.strip()][-1:]
            raise PeerError(f"exit code {process.returncode}: {' '.join(last)[:300]}")
    return seconds, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def measure(case: Case, tried: Sequence[Variant], repeats: int, folder: Path) -> list[Record]:
    """Times the commands in turns, each cold and then warm.

    Args:
      case: how large the photo is.
      tried: PyTorch's variants.
      repeats: rounds.
      folder: for files.

    Returns:
      jaxstyle's record, then PyTorch's; ``first`` is the median of the cold runs.

    Raises:
      PeerError: jaxstyle failed.
    """
    files = inputs.write_files(folder, case.size)
    order: list[Variant | None] = [None, *tried]
    records = [Record("torch" if v else "jaxstyle", v.name if v else "jit") for v in order]
    cold: list[list[float]] = [[] for _ in order]
    wanted = None
    for _ in range(repeats):
        for variant, record, times in zip(order, records, cold, strict=True):
            if record.note:
                continue
            caches, output = Path(tempfile.mkdtemp(dir=folder)), folder / "result.png"
            output.unlink(missing_ok=True)
            command = arguments(variant, *files, output)
            try:
                for kept in (times, record.warm):
                    time.sleep(SETTLE)
                    seconds, peak = run(command, caches)
                    kept.append(seconds)
                    record.host_peak = max(record.host_peak or 0, peak)
                with Image.open(output) as picture:
                    found = np.asarray(picture.convert("RGB")) / 255
                wanted = found if wanted is None else wanted
                _compare(record, wanted, found)
            except PeerError as error:
                if variant is None:
                    raise
                record.note = str(error)
                times.clear()
                record.warm.clear()
    for record, times in zip(records, cold, strict=True):
        record.first = float(np.median(times)) if times else None
    return records


def _compare(record: Record, wanted: np.ndarray, found: np.ndarray) -> None:
    if found.shape != wanted.shape:
        raise PeerError(f"computes something else: a picture of {found.shape} instead of {wanted.shape}")
    apart = float(np.abs(found - wanted).max())
    record.difference["picture"] = max(record.difference.get("picture", 0.0), apart)
    if apart > STEP:
        raise PeerError(f"computes something else: it differs in picture by {apart:.2g}")
