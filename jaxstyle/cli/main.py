"""The command ``jaxstyle``: the table of verbs, and what is the same for all of them.

Exit codes: 0 done, 1 a run or some of its pictures failed, 2 something wrong with an argument or a file (one line on
stderr), 130 interrupted.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import signal
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn, Protocol

from jaxstyle import __version__
from jaxstyle.cli import (
    compare,
    completion,
    condition,
    convert_vgg,
    fit,
    fit_style,
    focus,
    info,
    metrics,
    render,
    sheet,
    studio,
    styles,
    stylize,
    stylize_dataset,
    video,
)
from jaxstyle.cli.arguments import join_region
from jaxstyle.cli.messages import PROG, in_flags
from jaxstyle.runtime import command, interrupts

DESCRIPTION = "Repaints photos in the style of paintings: neural style transfer in JAX, offline, weights included."
EPILOG = """\
examples:
  jaxstyle stylize photo.jpg --style painting.jpg -o out.png
  jaxstyle stylize photo.jpg --style @starry-night -o out.png
  jaxstyle sheet photo.jpg --styles paintings/ -o sheet.png
  jaxstyle stylize --help

exit codes: 0 done; 1 failed, or some pictures failed; 2 something is wrong with an argument or a file; 130 interrupted.

Compiled code and the last styles are kept in the user's cache folder: JAXSTYLE_CACHE_DIR=FOLDER names another,
JAXSTYLE_CACHE_DIR=off keeps none."""


class Verb(Protocol):
    """What the module of a verb has.

    Attributes:
      HELP: a line in the list of verbs.
      DESCRIPTION: sentences above its flags.
      EPILOG: below them, with examples.
    """

    HELP: str
    DESCRIPTION: str
    EPILOG: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Adds the verb's arguments, among them ``json``."""

    def run(self, args: argparse.Namespace) -> tuple[Any, int]:
        """Does what the flags say; returns what ``--json`` prints, and the exit code."""


VERBS: dict[str, Verb] = {
    "stylize": stylize,
    "stylize-dataset": stylize_dataset,
    "video": video,
    "sheet": sheet,
    "compare": compare,
    "styles": styles,
    "studio": studio,
    "focus": focus,
    "condition": condition,
    "fit": fit,
    "fit-style": fit_style,
    "render": render,
    "metrics": metrics,
    "info": info,
    "convert-vgg": convert_vgg,
    "completion": completion,
}

WITHOUT_JAX = ("completion",)
"""The verbs that do not need JAX."""


# ---- the command line --------------------------------------------------------------------------------------


def parser() -> argparse.ArgumentParser:
    """The command line of all verbs. What it parses has ``top``, this parser, and ``parser``, that of the verb."""
    raw = argparse.RawDescriptionHelpFormatter
    top = command.Parser(prog=PROG, description=DESCRIPTION, epilog=EPILOG, formatter_class=raw)
    top.add_argument("--version", action="version", version=f"{PROG} {__version__}")
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, module in VERBS.items():
        verb = verbs.add_parser(
            name, help=module.HELP, description=module.DESCRIPTION, epilog=module.EPILOG, formatter_class=raw
        )
        module.add_arguments(verb)
        verb.hints = {"required: CONTENT": ", before --style, which takes all that follows"}
        verb.set_defaults(top=top, parser=verb)
    return top


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """A command line; flags may have underscores for dashes, as other tools' do.

    Raises:
      SystemExit: with code 2, after one line that says what is wrong; after the help where nothing was asked for.
    """
    top = parser()
    if not argv:
        top.print_help(sys.stderr)
        sys.exit(2)
    words = join_region([_dashed(word) for word in argv])
    for word in words[: words.index("--") if "--" in words else None]:
        if _is_file(word):
            sys.exit(command.fail(PROG, 2, f"{word}: begins with a dash, as flags do; write ./{word} for the file"))
    if not words[0].startswith("-") and words[0] not in VERBS and (near := _near(words[0], VERBS)):
        top.error(f"{words[0]}: no such verb; did you mean {near}?")
    args, unknown = top.parse_known_args(words)
    if unknown:
        near = _near(unknown[0].partition("=")[0], args.parser._option_string_actions)
        args.parser.error(f"unrecognized arguments: {' '.join(unknown)}{f'; did you mean {near}?' if near else ''}")
    return args


def _near(word: str, known: Iterable[str]) -> str:
    """The one of some words that another is probably meant as; none: empty."""
    return next(iter(difflib.get_close_matches(word, list(known), 1, 0.75)), "")


def _dashed(word: str) -> str:
    name, equals, value = word.partition("=")
    return f"{name.replace('_', '-')}{equals}{value}" if word.startswith("--") else word


def _is_file(word: str) -> bool:
    """Whether a word that begins with a single dash is meant as a file: there is one, or it ends like one."""
    if not word.startswith("-") or word[1:2] in ("", "-"):
        return False
    suffix = os.path.splitext(word)[1]
    return os.path.lexists(word) or (word[:2] not in ("-o", "-h") and any(letter.isalpha() for letter in suffix))


# ---- running it --------------------------------------------------------------------------------------------


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one verb and returns the exit code; what a verb found out is printed, as JSON with ``--json``."""
    args = parse(sys.argv[1:] if argv is None else argv)
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # a command takes no more of a GPU than it needs
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # XLA's alarms; its errors are exceptions as well
    return command.guarded(lambda: _run(args), PROG)


def _run(args: argparse.Namespace) -> int:
    if args.verb not in WITHOUT_JAX:
        with interrupts.held(), command.kept_objects():
            import jax  # noqa: F401 - its start, in C++, turns a KeyboardInterrupt into other errors and crashes
    try:
        report, code = VERBS[args.verb].run(args)
    except ValueError as error:
        raise ValueError(in_flags(str(error), args)) from error.__cause__
    if args.json:
        print(json.dumps(report))
    return code


def entry() -> NoReturn:
    """The installed command: `main` in a process of its own."""
    interrupts.deliver_lost()
    try:
        code = main()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is done, and an orderly end of the process is quick
    except KeyboardInterrupt:  # before or after what `main` guards
        code = command.fail(PROG, 130, "interrupted")
    if code == 130:  # device threads may still be computing: an orderly shutdown under them can crash
        command.flush()
        os._exit(code)
    sys.exit(code)
