"""Command-line flags made from a frozen dataclass, so that defaults, types and help are written once."""

import argparse
import dataclasses
import sys
import types
import typing
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeVar

C = TypeVar("C")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line without the usage, which is long; exit code 2."""
        print(f"{self.prog}: error: {message} (see --help)", file=sys.stderr)
        sys.exit(2)


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
    parser = _Parser(prog=prog, description=description, allow_abbrev=False)
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


def _add_flag(parser: argparse.ArgumentParser, field: "dataclasses.Field[Any]", hint: Any) -> None:
    flag = "--" + field.name.replace("_", "-")
    options: dict[str, Any] = {"dest": field.name, "required": field.default is dataclasses.MISSING}
    words = {"None": "none", "True": "on", "False": "off"}
    default = field.metadata.get("default", words.get(str(field.default), field.default))
    note = "(required)" if options["required"] else f"(default: {default})"
    options["help"] = f"{field.metadata.get('help', '')} {note}".strip().replace("%", "%%")
    optional = typing.get_origin(hint) in (typing.Union, types.UnionType)
    if optional:
        (hint,) = (arm for arm in typing.get_args(hint) if arm is not type(None))
    if hint is bool:
        parser.add_argument(flag, action=argparse.BooleanOptionalAction, **options)
    elif typing.get_origin(hint) is typing.Literal:
        choices = typing.get_args(hint)
        metavar = "{" + ",".join(map(str, choices)) + "}"
        parser.add_argument(flag, type=_choice(choices, optional), metavar=metavar, **options)
    elif hint in (str, int, float):
        parser.add_argument(flag, type=_scalar(hint, optional), metavar=hint.__name__.upper(), **options)
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
