"""The page about the command, and the help that it is made of."""

import runpy
import shlex
from pathlib import Path

import pytest

from jaxstyle.cli import main

DOCS = Path(__file__).parents[1] / "docs"

VERBS = next(action for action in main.parser()._actions if isinstance(action.choices, dict))


@pytest.mark.skipif(not (DOCS / "make_cli.py").exists(), reason="not a checkout")
def test_the_page_is_what_the_help_says():
    page = runpy.run_path(str(DOCS / "make_cli.py"))["page"]()
    assert (DOCS / "cli.md").read_text(encoding="utf-8") == page, "out of date: run python docs/make_cli.py"
    for name, verb in VERBS.choices.items():
        assert f"\n## jaxstyle {name}\n" in page
        assert all(option in page for action in verb._actions for option in action.option_strings[1:])


def examples(text):
    lines = [line.partition("jaxstyle ") for line in text.splitlines() if line.lstrip().startswith("jaxstyle ")]
    return [shlex.split(line.partition(" > ")[0]) for _, _, line in lines]


@pytest.mark.parametrize("name", VERBS.choices)
def test_every_verb_has_examples_that_parse(name):
    verb = VERBS.choices[name]
    found = examples(verb.epilog)
    assert found and all(words[0] == name for words in found)
    for words in found:
        assert main.parse(words).verb == name


def test_the_help_of_all_verbs_has_examples_that_parse():
    found = examples(main.parser().epilog)
    assert len(found) >= 2
    for words in found:
        if "--help" not in words:
            main.parse(words)


def test_everything_is_explained():
    """Verbs and arguments have their words, which begin small and have no full stop, as they stand in a list."""
    assert {said.dest for said in VERBS._get_subactions() if said.help} == set(VERBS.choices)
    for name, verb in VERBS.choices.items():
        assert verb.description.endswith("."), name
        for action in verb._actions:
            assert action.help and not action.help.endswith("."), (name, action.dest)
