"""How far a run over many pictures is, and a line on a terminal that shows it."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from typing import IO, NamedTuple

INTERVAL = 0.1
"""Seconds between two drawings at least."""


class Progress(NamedTuple):
    """Of ``total`` pictures, ``kept`` were there before, ``done`` have been made and ``failed`` could not be."""

    total: int
    kept: int
    done: int
    failed: int


def describe(progress: Progress, seconds: float, width: int = 80, what: str = "pictures") -> str:
    """A line such as ``[####      ] 12/30  2.1 pictures/s  0:00:09 left  1 failed``.

    Args:
      progress: how far it is.
      seconds: since the beginning; those that were there before took none of them.
      width: of the terminal.
      what: is counted.
    """
    tried = progress.done + progress.failed
    rate = tried / seconds if seconds > 0 else 0.0
    missing = progress.total - progress.kept - tried
    words = [f"{progress.kept + tried}/{progress.total}"]
    if rate:
        minutes, rest = divmod(round(missing / rate), 60)
        words += [f"{rate:.3g} {what}/s", f"{minutes // 60}:{minutes % 60:02d}:{rest:02d} left"]
    words += [f"{progress.failed} failed"] if progress.failed else []
    text = "  ".join(words)
    room = min(30, width - len(text) - 4)
    if room < 5:
        return text[: width - 1]
    filled = room * (progress.kept + tried) // max(1, progress.total)
    return f"[{'#' * filled}{' ' * (room - filled)}] {text}"


class Bar:
    """Draws a `Progress` over and over on one line of a terminal; elsewhere nothing. A context manager.

    Call it with each `Progress`.
    """

    def __init__(
        self,
        stream: IO[str] | None = None,
        clock: Callable[[], float] = time.perf_counter,
        what: str = "pictures",
    ) -> None:
        """
        Args:
          stream: by default standard error.
          clock: seconds.
          what: is counted.
        """
        self._what = what
        self._stream = sys.stderr if stream is None else stream
        self._clock, self._start, self._drawn = clock, clock(), -INTERVAL
        self._visible = self._stream is not None and self._stream.isatty()

    def __call__(self, progress: Progress) -> None:
        """Draws, if it is time to."""
        now = self._clock() - self._start
        last = progress.total == progress.kept + progress.done + progress.failed
        if self._visible and (now - self._drawn >= INTERVAL or last):
            self._drawn = now
            width = shutil.get_terminal_size().columns
            print(f"\r{describe(progress, now, width, self._what)}\x1b[K", end="", file=self._stream, flush=True)

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._visible and self._drawn >= 0:
            print(file=self._stream, flush=True)
