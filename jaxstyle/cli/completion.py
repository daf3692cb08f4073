"""The verb ``jaxstyle completion``: a script by which a shell completes the command's verbs, flags, choices and files.

The scripts are made by shtab of the command's parser, so they know what it knows.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

HELP = "make a shell complete verbs, flags and files"
DESCRIPTION = "Prints a script that makes a shell complete jaxstyle's verbs, flags and files."
EPILOG = """\
examples, each for good in new shells:
  jaxstyle completion bash > ~/.local/share/bash-completion/completions/jaxstyle
  jaxstyle completion zsh > ~/.zfunc/_jaxstyle      (a folder of $fpath, before compinit)
  jaxstyle completion fish > ~/.config/fish/completions/jaxstyle.fish
  jaxstyle completion tcsh > ~/.jaxstyle.csh        (and in ~/.cshrc: source ~/.jaxstyle.csh)"""

SHELLS = ("bash", "zsh", "fish", "tcsh")

WORDS = {"SPEC"}
"""Metavars of arguments that are text. Whatever else has neither a type nor choices is the name of a file."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's arguments."""
    parser.add_argument("shell", choices=SHELLS, help="the shell that the script is for")
    parser.set_defaults(json=False)


def run(args: argparse.Namespace) -> tuple[dict[str, Any], int]:
    """Prints the script; returns nothing, and 0."""
    print(script(args.top, args.shell))
    return {}, 0


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """The script for a shell.

    Args:
      parser: of the command with all its verbs; it is changed, and good for nothing else afterwards.
      shell: one of `SHELLS`.

    Raises:
      ValueError: another shell, or the package shtab is not installed.
    """
    if shell not in SHELLS:
        raise ValueError(f"shell: expected one of {', '.join(SHELLS)}, got {shell!r}")
    try:
        import shtab
    except ImportError as error:
        raise ValueError("completion: needs the package shtab (pip install shtab)") from error
    from jaxstyle import image  # only now: a parser, which asks for `SHELLS`, needs no Pillow

    for action in _arguments(parser):
        if action.dest == "format":
            action.choices = sorted(name.lower() for name in set(image.WRITE_FORMATS.values()))
        elif action.metavar == "FOLDER":
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
        elif action.metavar not in WORDS:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    return shtab.complete(parser, shell)


def _arguments(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """The arguments of a parser and of its verbs that take any text."""
    for action in parser._actions:
        if isinstance(action.choices, dict):
            for verb in action.choices.values():
                yield from _arguments(verb)
        elif action.nargs != 0 and action.type is None and action.choices is None:
            yield action
