"""Configurations: frozen dataclasses that command-line flags are made from, so that all is written once.

A command's ``Config`` has a field for every flag, with its default, its type and its help, and refuses values that no
run can have in its ``__post_init__``.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import sys
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from jaxstyle.runtime.command import Parser

C = TypeVar("C")


class ConfigError(ValueError):
    """Flags that no run can have; the message is one line and begins with the field."""


def flag(default: Any, text: str, words: str | None = None) -> Any:
    """A field with a default and a help text, which may have ``words`` for the default."""
    metadata = {"help": text} | ({} if words is None else {"default": words})
    return dataclasses.field(default=default, metadata=metadata)


def required(text: str) -> Any:
    """A field that has to be given, with a help text."""
    return dataclasses.field(metadata={"help": text})


def check_least(config: Any, least: Mapping[str, int], expected: str = "a number of at least") -> None:
    """Checks fields that are numbers.

    Args:
      config: whose fields.
      least: by name, the lowest value that a field may have.
      expected: words of the message before that value.

    Raises:
      ConfigError: a field is below it, infinite or NaN.
    """
    for name, value in least.items():
        if not value <= getattr(config, name) < math.inf:
            raise ConfigError(f"{name}: {getattr(config, name)}; expected {expected} {value}")


def check_seed(seed: int) -> None:
    """Raises ConfigError unless a number fits into 32 bits."""
    if seed >= 2**32:
        raise ConfigError(f"seed: {seed}; expected less than {2**32}")


def check_positive(config: Any, *names: str) -> None:
    """Raises ConfigError unless fields are positive numbers, or None."""
    for name in names:
        value = getattr(config, name)
        if value is not None and not 0 < value < math.inf:
            raise ConfigError(f"{name}: {value}; expected a positive number")


def whole_numbers(text: str, name: str) -> tuple[int, ...]:
    """``"10,50"`` -> ``(10, 50)``, ascending.

    Raises:
      ConfigError: not positive whole numbers separated by commas.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and int(part) > 0 for part in parts):
        raise ConfigError(f"{name}: {text!r}; expected positive whole numbers such as 10,50")
    return tuple(sorted({int(part) for part in parts}))


def parse_flags(
    config: type[C], argv: Sequence[str] | None = None, *, prog: str | None = None, description: str = ""
) -> C:
    """Parses ``--field value`` flags into an instance of a dataclass.

    Fields may be str, int, float, bool (``--field`` / ``--no-field``), a Literal of these, or any of them
    with ``| None`` (written ``none``, where that is none of the Literal's). Help comes from
    ``field(metadata={"help": ...})``, and ``"default"`` there are words for the default. A field without a
    default is required. Flags may be written with dashes or underscores. ``ValueError`` from the dataclass'
    own ``__post_init__`` is reported as a usage error.

    Args:
      config: the dataclass.
      argv: the arguments; None means those of the process.
      prog: name of the command in messages.
      description: the text above the flags in ``--help``.

    Raises:
      SystemExit: code 2 after one line on stderr for wrong usage, code 0 for ``--help``.
    """
    parser = Parser(prog=prog, description=description, allow_abbrev=False)
    hints = typing.get_type_hints(config)
    for field in dataclasses.fields(config):  # type: ignore[arg-type]
        _add_flag(parser, field, hints[field.name])
    arguments = sys.argv[1:] if argv is None else argv
    values = vars(parser.parse_args([_dashed(argument) for argument in arguments]))
    try:
        return config(**values)
    except ValueError as error:
        parser.error(str(error))


def _dashed(argument: str) -> str:
    """``--batch_size=4`` -> ``--batch-size=4``; values stay as they are."""
    if not argument.startswith("--"):
        return argument
    name, equals, value = argument.partition("=")
    return name.replace("_", "-") + equals + value


def _add_flag(parser: argparse.ArgumentParser, field: dataclasses.Field[Any], hint: Any) -> None:
    name = "--" + field.name.replace("_", "-")
    options: dict[str, Any] = {"dest": field.name, "required": field.default is dataclasses.MISSING}
    words = {"None": "none", "True": "on", "False": "off"}
    default = field.metadata.get("default", words.get(str(field.default), field.default))
    note = "(required)" if options["required"] else f"(default: {default})"
    options["help"] = f"{field.metadata.get('help', '')} {note}".strip().replace("%", "%%")
    optional = typing.get_origin(hint) in (typing.Union, types.UnionType)
    if optional:
        (hint,) = (arm for arm in typing.get_args(hint) if arm is not type(None))
    if hint is bool:
        parser.add_argument(name, action=argparse.BooleanOptionalAction, **options)
    elif typing.get_origin(hint) is typing.Literal:
        choices = typing.get_args(hint)
        metavar = "{" + ",".join(map(str, choices)) + "}"
        parser.add_argument(name, type=_choice(choices, optional), metavar=metavar, **options)
    elif hint in (str, int, float):
        parser.add_argument(name, type=_scalar(hint, optional), metavar=hint.__name__.upper(), **options)
    else:
        raise TypeError(f"{field.name}: a flag cannot have the type {hint}")
    if not options["required"]:
        parser.set_defaults(**{field.name: field.default})  # given to BooleanOptionalAction it would alter the help


def _scalar(kind: Callable[[str], Any], optional: bool) -> Callable[[str], Any]:
    def convert(text: str) -> Any:
        return None if optional and text.lower() == "none" else kind(text)

    convert.__name__ = {int: "integer", float: "number"}.get(kind, "text")  # type: ignore[call-overload]
    return convert


def _choice(choices: Sequence[Any], optional: bool) -> Callable[[str], Any]:
    def convert(text: str) -> Any:
        for choice in choices:
            if str(choice) == text:
                return choice
        if optional and text.lower() == "none":
            return None
        raise argparse.ArgumentTypeError(f"invalid choice: {text!r} (choose from {', '.join(map(str, choices))})")

    return convert
