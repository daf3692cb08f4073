"""Ctrl-C for commands, which own their process: none is lost, and none comes where it does harm."""

from __future__ import annotations

import _thread
import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

_LATER = 0.1  # seconds: long enough to be out of where the exception was lost


def deliver_lost() -> None:
    """From now on a KeyboardInterrupt that Python had to ignore is raised again a moment later.

    Python raises it wherever the main thread is once C code has returned. After compiling that is often in a callback
    of the garbage collector (jax has one), of a weak reference, or in a ``__del__``, whose exceptions go nowhere but to
    `sys.unraisablehook`. To come there is the proof that no other code has seen it: so it is never raised a second time
    in code that cleans up after it. Where SIGINT is ignored, as in the background of a shell, nothing is raised.

    Only the main thread may call it.
    """
    report, main = sys.unraisablehook, threading.get_ident()

    def hook(lost: sys.UnraisableHookArgs) -> None:
        if not issubclass(lost.exc_type, KeyboardInterrupt):
            return report(lost)
        again = threading.Timer(_LATER, _interrupt, [main])
        again.daemon = True
        again.start()

    sys.unraisablehook = hook


def _interrupt(main: int) -> None:
    if sys.platform == "win32":
        _thread.interrupt_main()
    else:  # a signal also ends what the main thread waits for
        signal.pthread_kill(main, signal.SIGINT)


@contextlib.contextmanager
def held() -> Iterator[None]:
    """While it is open a first SIGINT waits, and is a KeyboardInterrupt at the end; a second one does not wait.

    Nothing is changed in other threads than the main one, nor where SIGINT does not raise KeyboardInterrupt anyway.
    """
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler or threading.current_thread() is not threading.main_thread():
        yield
        return
    came = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal came
        if came:
            signal.default_int_handler(number, frame)
        came = True

    signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came:
        raise KeyboardInterrupt
