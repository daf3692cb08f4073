"""How far a run over many pictures is, and a line on a terminal that shows it."""

from __future__ import annotations

import contextlib
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import IO, NamedTuple

INTERVAL = 0.1
"""Seconds between two drawings at least."""
PATIENCE = 2.0
"""Seconds after which something is drawn though nothing is done yet: compiling, say."""

_COMPILING = threading.Event()


@contextlib.contextmanager
def compiling() -> Iterator[None]:
    """While it lasts, a program is compiled that will be kept: a `Bar` with nothing else to show says so."""
    _COMPILING.set()
    try:
        yield
    finally:
        _COMPILING.clear()


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
        words += [f"{rate:.3g} {what}/s", f"{_time(missing / rate)} left"]
    elif missing and seconds >= PATIENCE:
        words += [f"{_time(seconds)} so far"]
    words += [f"{progress.failed} failed"] if progress.failed else []
    text = "  ".join(words)
    room = min(30, width - len(text) - 4)
    if room < 5:
        return text[: width - 1]
    filled = room * (progress.kept + tried) // max(1, progress.total)
    return f"[{'#' * filled}{' ' * (room - filled)}] {text}"


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


class Bar:
    """Draws a `Progress` over and over on one line of a terminal; elsewhere nothing. A context manager.

    Call it with each `Progress`. While there is none it shows how long the work has taken so far, from `PATIENCE` on,
    and whether a program is being compiled.
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
        self._clock, self._start, self._drawn = clock, clock(), 0.0
        self._told: Progress | None = None
        self._line = False  # whether something stands on it
        self._visible = self._stream is not None and self._stream.isatty()
        self._mutex, self._over = threading.Lock(), threading.Event()
        self._ticking = threading.Thread(target=self._tick, daemon=True)

    def __call__(self, progress: Progress) -> None:
        """Draws, if it is time to."""
        with self._mutex:
            first, self._told = self._told is None, progress
            if first or self._finished or self._clock() - self._start - self._drawn >= INTERVAL:
                self._draw()

    @property
    def _finished(self) -> bool:
        told = self._told
        return told is not None and told.total == told.kept + told.done + told.failed

    def _draw(self) -> None:
        if not self._visible:
            return
        self._drawn = now = self._clock() - self._start
        width = shutil.get_terminal_size().columns
        if self._told is None:
            text = f"{'compiling (first run only) ... ' if _COMPILING.is_set() else ''}{_time(now)} so far"
        else:
            text = describe(self._told, now, width, self._what)
        print(f"\r{text[: width - 1]}\x1b[K", end="", file=self._stream, flush=True)
        self._line = True

    def _tick(self) -> None:
        while not self._over.wait(PATIENCE / 2):
            with self._mutex:
                if not self._finished and self._clock() - self._start - self._drawn >= PATIENCE:
                    self._draw()

    def __enter__(self) -> Bar:
        if self._visible:
            self._ticking.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        if self._visible:
            self._ticking.join()
        if self._line:  # what says nothing but the time goes
            print(end="\r\x1b[K" if self._told is None else "\n", file=self._stream, flush=True)
