"""Work in a process of its own, whose memory and time are its alone."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any


class IsolatedError(RuntimeError):
    """The work failed, or its process ended early; the message is one line."""


def results(run: Callable[..., Iterator[Any]], *args: Any) -> Iterator[Any]:
    """What a generator yields, made in a fresh process, which ends with it and with this iterator.

    Args:
      run: a function of a module, so that the process can import it.
      args: what it is called with; can be pickled, as what it yields.

    Returns:
      Its results, one by one.

    Raises:
      IsolatedError: it raised ValueError or ArithmeticError, whose words are the message, its memory ended, or its
        process ended early. What else it raises is printed by that process.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(sender, run, args), daemon=True)
    process.start()
    sender.close()
    try:
        while True:
            kind, value = receiver.recv()
            if kind == "result":
                yield value
            elif kind == "failed":
                raise IsolatedError(value)
            else:
                return
    except EOFError:
        process.join()
        why = "is the memory too small?" if process.exitcode == -9 else f"exit code {process.exitcode}"
        raise IsolatedError(f"its process ended early: {why}") from None
    finally:
        receiver.close()
        process.terminate()
        process.join()


def _answer(sender: Connection, run: Callable[..., Iterator[Any]], args: tuple[Any, ...]) -> None:
    """Runs in the other process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process ends this one
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # both may use one GPU
    try:
        for result in run(*args):
            sender.send(("result", result))
    except (ValueError, ArithmeticError) as error:
        sender.send(("failed", " ".join(str(error).split())))
    except (MemoryError, RuntimeError) as error:
        from jaxstyle.runtime import memory  # only now: it imports jax

        if not memory.exhausted(error):
            raise
        sender.send(("failed", "out of memory"))
    else:
        sender.send(("done", None))
