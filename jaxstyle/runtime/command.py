"""What every command does the same way, verbs and trainers alike: its parser, its exit codes, one line for what fails.

Exit codes: 0 done; 1 a run failed; 2 something is wrong with an argument or a file; 130 interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import gc
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import NoReturn

DISK = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG, errno.EIO)
"""Errors of the system that are no mistake of who gave the command."""


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are one line without the usage, with exit code 2.

    Attributes:
      hints: what is added to complaints in which a text stands.
    """

    hints: Mapping[str, str] = {}

    def error(self, message: str) -> NoReturn:
        """Says what is wrong and ends the process."""
        message += "".join(hint for text, hint in self.hints.items() if text in message)
        print(f"{self.prog}: {message} (see {self.prog} --help)", file=sys.stderr)
        sys.exit(2)


def fail(prog: str, code: int, message: str) -> int:
    """Prints one line on standard error and returns the exit code."""
    print(f"{prog}: {' '.join(message.split())}", file=sys.stderr)
    return code


def flush() -> None:
    """Sends what was printed; a process that was started without standard output or error has none of that."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()


def guarded(
    run: Callable[[], int],
    prog: str,
    *,
    smaller: str = "--size",
    interrupted: str = "interrupted",
    failures: tuple[type[Exception], ...] = (),
) -> int:
    """Runs a command; what it raises becomes one line and an exit code.

    Args:
      run: does the work and returns the exit code.
      prog: name of the command in that line.
      smaller: the flags of which smaller values need less memory.
      interrupted: what is said after Ctrl-C where the exception says nothing itself.
      failures: errors of a run that failed for no fault of its arguments: exit code 1.

    Returns:
      The exit code.

    Raises:
      RuntimeError: one that is neither about memory nor about a platform that is not there: a mistake of ours, which
        needs its traceback.
    """
    try:
        code = run()
        flush()
        return code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except failures as error:
        return fail(prog, 1, str(error))
    except ValueError as error:  # every error that the library raises about an argument or a file
        cause = error.__cause__
        return fail(prog, 1 if isinstance(cause, OSError) and cause.errno in DISK else 2, str(error))
    except KeyboardInterrupt as error:
        return fail(prog, 130, str(error) or interrupted)
    except MemoryError:
        return fail(prog, 1, f"out of memory; a smaller {smaller} needs less")
    except (RuntimeError, AssertionError) as error:
        from jaxstyle.runtime import memory, platforms  # only now: they import jax

        if memory.exhausted(error):
            return fail(prog, 1, f"the device is out of memory; a smaller {smaller} needs less")
        problem = platforms.devices()[1]
        if problem is None:
            raise
        return fail(prog, 2, problem)
    except OSError as error:
        return fail(prog, 1, f"{error.filename}: {error.strerror}" if error.filename else str(error))


@contextlib.contextmanager
def kept_objects() -> Iterator[None]:
    """For what a process imports to use it to its end: the garbage collector neither looks at it meanwhile nor later.

    Of JAX's half a million objects it finds none to free, and looking at them, also when the process ends, takes a
    quarter of a second. Only for a process of its own: what is garbage now stays.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
