"""One peer in a process of its own: ``python -m benchmarks.worker SIDE CASE VARIANT MADE``, asked line by line.

Each line of standard input is a request, a JSON list, answered by one line of JSON on standard output:

* ``["prepare"]``: imports and loads; ``{"seconds": {"import", "prepare"}, "about"}``;
* ``["run"]``: computes once; ``{"seconds"}``;
* ``["save", FILE]``: the outcome of the last run, as an npz file; ``{}``;
* ``["peak"]``: ``{"host", "device"}`` bytes, see `peak_bytes`;

What goes wrong is answered with ``{"error"}``. Libraries may print what they like: it goes to standard error.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import cases


def peak_bytes() -> int:
    """Most memory that this process had in use.

    Where Linux says so its own high-water mark: ``ru_maxrss`` begins with that of the process that started it.
    """
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        import resource

        scale = 1 if sys.platform == "darwin" else 1024
        return scale * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


class Worker:
    """Answers requests about one case, one side and one variant."""

    def __init__(self, side: str, case: str, variant: str, made: str) -> None:
        self.name, self.case = f"benchmarks.{side}_side", cases.parse(case)
        self.variant, self.made = cases.Variant(**json.loads(variant)), Path(made)

    def prepare(self) -> dict[str, Any]:
        start = time.perf_counter()
        self.side = importlib.import_module(self.name)
        imported = time.perf_counter()
        self.subject = self.side.prepare(self.case, self.variant, self.made)
        seconds = {"import": imported - start, "prepare": time.perf_counter() - imported}
        return {"seconds": seconds, "about": self.side.about()}

    def run(self) -> dict[str, Any]:
        start = time.perf_counter()
        self.result = self.subject.run()
        return {"seconds": time.perf_counter() - start}

    def save(self, file: str) -> dict[str, Any]:
        np.savez(file, **self.subject.outcome(self.result))
        return {}

    def peak(self) -> dict[str, Any]:
        return {"host": peak_bytes(), "device": self.side.device_peak()}


def main(argv: list[str]) -> None:
    """Answers until the questions end."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    worker = Worker(*argv)
    for line in sys.stdin:
        request, *arguments = json.loads(line)
        try:
            answer = getattr(worker, request)(*arguments)
        except Exception as error:
            words = " ".join(str(error).split())
            answer = {"error": f"{type(error).__name__}: {words[:300]}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
