"""What verbs say: notices and failures on standard error, what was done on standard output."""

from __future__ import annotations

import argparse
import dataclasses
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxstyle import BatchReport

PROG = "jaxstyle"
"""The command's name, with which its lines on standard error begin."""

_ARGUMENT = re.compile(r"^(\w+)(?=: )|(?<=\()(\w+) = |\b(\w+)=True\b|(?<![\w./-])([a-z]+_\w+)(?![\w./-]| =)")
"""``name: `` at the beginning, ``(name = ``, ``name=True``, and names with an underscore."""


def in_flags(message: str, args: argparse.Namespace) -> str:
    """A message of the library, with the verb's flags in the place of the library's arguments.

    Args:
      message: such as ``"style_size: expected ..."`` or ``"... (max_pixels = 9)"``.
      args: of the verb. A file that was given and has the name of an argument is left as it is.

    Returns:
      ``"--style-size: expected ..."``, ``"... (--max-pixels 9)"``.
    """
    names = {
        action.dest: max(action.option_strings, key=len) if action.option_strings else action.metavar
        for action in args.parser._actions
    }
    for given in vars(args).values():
        for word in given if isinstance(given, list) else [given]:
            if isinstance(word, str):
                names.pop(word, None)

    def flag(match: re.Match[str]) -> str:
        name = names.get(match[match.lastindex or 0])
        return match[0] if name is None else f"{name} " if match[0].endswith(" = ") else f"{name}"

    return _ARGUMENT.sub(flag, message)


def note(*lines: str) -> None:
    """Prints sentences for the user on standard error."""
    for line in lines:
        print(f"{PROG}: {line}", file=sys.stderr)


def say(args: argparse.Namespace, text: str) -> None:
    """Prints what was done, unless a report or a picture goes to standard output."""
    if not args.json:
        print(text, file=sys.stderr if args.output == "-" else sys.stdout)


def check_standard_output(args: argparse.Namespace) -> None:
    """Raises ValueError where both the picture and the report would go to standard output."""
    if args.json and args.output == "-":
        raise ValueError("--json: standard output is taken by the picture; give --output a file")


def tell(args: argparse.Namespace, report: BatchReport, more: Sequence[str] = ()) -> tuple[dict[str, Any], int]:
    """Prints what was done with many pictures.

    Args:
      args: of the verb.
      report: what it did.
      more: words about it, such as ``"2 other files copied"``.

    Returns:
      What ``--json`` prints, and the exit code.
    """
    note(*report.remarks)
    for failure in report.failed:
        named = failure.error.startswith(failure.source)
        note(" ".join(in_flags(failure.error if named else f"{failure.source}: {failure.error}", args).split()))
    if report.stopped is not None:
        note(" ".join(f"stopped: {report.stopped}".split()))
    if not args.json:
        words = [f"{report.done} done", f"{len(report.failed)} failed", f"{report.kept} were there"]
        words += [f"{report.ignored} other files ignored"] if report.ignored else []
        words += [f"{report.notices} with notices in the manifest"] if report.notices else []
        words += more
        speed = f"{report.seconds:.1f} s"
        if report.done + len(report.failed) > 1:
            speed += f" ({report.pictures_per_second:.3g} pictures/s)"
        print(f"{report.folder}: of {report.pictures} pictures {', '.join(words)}, in {speed}")
    return dataclasses.asdict(report), 1 if report.failed or report.stopped else 0
