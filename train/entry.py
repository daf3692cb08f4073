"""How the commands of this package start: Ctrl-C is one line and exit code 130, whenever it comes."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from typing import NoReturn

from jaxstyle.runtime import command, interrupts


def entry(module: str, prog: str | None = None) -> NoReturn:
    """Imports a module and runs its ``main``, in a process of its own.

    A module that calls this does so above its imports, which take seconds: an interrupt waits until they are over,
    because JAX's start, in C++, turns a KeyboardInterrupt into other errors and crashes.

    Args:
      module: such as ``train.adain``.
      prog: what the command is called in the line about the interrupt, if not like the module.

    Raises:
      SystemExit: always, with the exit code.
    """
    interrupts.deliver_lost()
    try:
        with interrupts.held():
            main = importlib.import_module(module).main
        code = main()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is done, and an orderly end of the process is quick
    except KeyboardInterrupt:  # before or after what `main` guards
        code = command.fail(prog or module, 130, "interrupted")
    if code == 130 and not _is_distributed():  # device threads may still compute: an orderly end can crash under them
        command.flush()
        os._exit(code)
    sys.exit(code)


def _is_distributed() -> bool:
    """Whether this is one of several processes, which leave together."""
    jax = sys.modules.get("jax")
    return jax is not None and jax.distributed.is_initialized()
