"""Writes docs/cli.md, the page about the command, from the command's own help: ``python docs/make_cli.py``."""

import argparse
from collections.abc import Iterator
from pathlib import Path

from jaxstyle.cli import main

PAGE = Path(__file__).with_name("cli.md")


def page() -> str:
    """The whole page."""
    top = main.parser()
    (verbs,) = (action for action in top._actions if isinstance(action.choices, dict))
    lines = ["# jaxstyle", "", "<!-- Written by `python docs/make_cli.py` from the command's help. -->", ""]
    lines += [f"{top.description}", "", "## Verbs", ""]
    lines += [f"* [`{said.dest}`](#jaxstyle-{said.dest}): {said.help}" for said in verbs._get_subactions()]
    lines += ["", *_epilog(top)]
    for name, verb in verbs.choices.items():
        lines += ["", f"## jaxstyle {name}", "", *_verb(verb)]
    return "\n".join(lines) + "\n"


def _verb(verb: argparse.ArgumentParser) -> Iterator[str]:
    yield from (" ".join(f"{verb.description}".split()), "")
    asked = [action for action in verb._actions if action.required]
    asked.sort(key=lambda action: bool(action.option_strings))
    yield from ("```", " ".join([verb.prog, *map(_form, asked), "[options]"]), "```", "")
    for group in verb._action_groups:
        shown = [action for action in group._group_actions if action.dest != "help"]
        if shown and group.title not in ("positional arguments", "options"):
            title = f"**{group.title[:1].upper()}{group.title[1:]}.** {group.description or ''}"
            yield from ("", title.rstrip(), "")
        for action in shown:
            names = ", ".join(f"`{name}`" for name in action.option_strings[:-1])
            yield f"* {names}{', ' if names else ''}`{_form(action)}`: {action.help % vars(action)}"
    yield from ("", *_epilog(verb))


def _form(action: argparse.Action) -> str:
    """``--style STYLE ...``"""
    value = action.metavar or (f"{{{','.join(map(str, action.choices))}}}" if action.choices else action.dest.upper())
    words = [*action.option_strings[-1:], *([f"{value}"] if action.nargs != 0 else [])]
    return " ".join([*words, *(["..."] if action.nargs in ("+", "*") else [])])


def _epilog(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Paragraphs as they are; what is indented, as code."""
    code = False
    for line in f"{parser.epilog}".splitlines():
        if line.startswith("  ") != code:
            yield from ("```",) if code else ("", "```")
            code = not code
        yield line.removeprefix("  ") if code else line
    if code:
        yield "```"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
