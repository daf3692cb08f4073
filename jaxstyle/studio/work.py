"""The work of all pages in one queue and one thread, with an end to what nobody waits for any more.

Everything that computes is a `Job`. One runs at a time. Those that take long (a result, a fit) call `Job.step` between
their tiles or steps: there they end if they were cancelled, and there the urgent ones (previews, tiles of a zoom) that
wait are done meanwhile, so that a page answers while its result is painted. Of the jobs of a page in one *slot* only
the newest is of interest: it cancels the others.
"""

from __future__ import annotations

import collections
import contextlib
import itertools
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from typing import Any

MOST_WAITING = 256
"""Jobs of all pages; more are refused."""


class Cancelled(Exception):
    """Raised in a job that was cancelled, and where its result is waited for."""


class Busy(Exception):
    """There are too many jobs. The message is one line."""


class Job:
    """Something to compute.

    Attributes:
      page: the page that asked for it.
      slot: of the page's jobs in one slot only the newest is of interest; "" for those in none.
      urgent: whether it is done between the steps of others.
      future: its result, or why there is none.
    """

    def __init__(self, run: Callable[[Job], Any], page: str, *, slot: str = "", urgent: bool = True) -> None:
        """
        Args:
          run: computes it; called with the job.
          page, slot, urgent: see `Job`.
        """
        self.run, self.page, self.slot, self.urgent = run, page, slot, urgent
        self.future: Future[Any] = Future()
        self.cancelled = threading.Event()
        self.queue: Queue | None = None

    def step(self) -> None:
        """Called between tiles or steps.

        Raises:
          Cancelled: nobody waits for the job any more.
        """
        if self.cancelled.is_set():
            raise Cancelled
        if self.queue is not None and not self.urgent:
            self.queue.meanwhile()
            if self.cancelled.is_set():
                raise Cancelled


class Queue:
    """Jobs that wait, and the thread that does them."""

    def __init__(self) -> None:
        self._waiting: collections.deque[Job] = collections.deque()
        self._running: list[Job] = []  # the innermost last
        self._change = threading.Condition()
        self._over = False
        self._thread = threading.Thread(target=self._work, name="studio", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> Job:
        """Puts a job at the end, and cancels those of its page in its slot.

        Raises:
          Busy: there are too many.
        """
        with self._change:
            if self._over or len(self._waiting) >= MOST_WAITING:
                raise Busy("the studio has too much to do: try again in a moment")
            if job.slot:
                self._cancel(lambda other: other.page == job.page and other.slot == job.slot)
            job.queue = self
            self._waiting.append(job)
            self._change.notify()
        return job

    def cancel(self, job: Job) -> None:
        """Ends a job: at once if it waits, at its next step if it runs."""
        with self._change:
            self._cancel(lambda other: other is job)

    def cancel_page(self, page: str) -> None:
        """Ends all jobs of a page."""
        with self._change:
            self._cancel(lambda other: other.page == page)

    def close(self, seconds: float = 30.0) -> bool:
        """Ends all jobs; whether the thread has come to its end within so many seconds."""
        with self._change:
            self._over = True
            self._cancel(lambda other: True)
            self._change.notify()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    @property
    def waiting(self) -> int:
        """How many jobs are not done, those that run included."""
        with self._change:
            return len(self._waiting) + len(self._running)

    def meanwhile(self) -> None:
        """Does the urgent jobs that wait; for the thread itself, between the steps of another job."""
        while (job := self._next(urgent=True)) is not None:
            self._do(job)

    def _cancel(self, which: Callable[[Job], bool]) -> None:
        for job in [job for job in itertools.chain(self._waiting, self._running) if which(job)]:
            job.cancelled.set()
            if job in self._waiting:
                self._waiting.remove(job)
                _tell(job, Cancelled())

    def _next(self, *, urgent: bool) -> Job | None:
        """The job to be done now, which is running from now on: an urgent one, if there is any."""
        with self._change:
            found = next((job for job in self._waiting if job.urgent), None)
            if found is None and not urgent:
                found = next(iter(self._waiting), None)
            if found is not None:
                self._waiting.remove(found)
                self._running.append(found)
            return found

    def _work(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._waiting or self._over)
                if self._over:
                    return
            job = self._next(urgent=False)
            if job is not None:
                self._do(job)

    def _do(self, job: Job) -> None:
        try:
            job.step()
            result = job.run(job)
        except BaseException as error:  # of whatever kind: the thread lives on, who waits is told
            result = error
        self._done(job)
        _tell(job, result)

    def _done(self, job: Job) -> None:
        with self._change:
            self._running.remove(job)


def _tell(job: Job, result: Any) -> None:
    """Gives who waits the result, or the exception; whoever has stopped waiting has cancelled the future."""
    with contextlib.suppress(InvalidStateError):
        if isinstance(result, BaseException):
            job.future.set_exception(result)
        else:
            job.future.set_result(result)
