"""What the pages tell people to do can be done: files, scripts, verbs and targets that they name are there, and
everything that is imported is declared."""

import ast
import itertools
import re
import shlex
import sys
import tomllib
from pathlib import Path

import pytest

from jaxstyle.cli import main

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]

pytestmark = pytest.mark.skipif(not PAGES[1].exists(), reason="not a checkout")


def lines():
    """(page, line, whether it stands in a block of code) of all pages, continued lines put together."""
    for page in PAGES:
        inside = False
        for line in page.read_text(encoding="utf-8").replace("\\\n", " ").splitlines():
            if line.startswith("```"):
                inside = not inside
            else:
                yield page, line, inside


def test_links_lead_somewhere():
    links = [(page, link) for page, line, _ in lines() for link in re.findall(r"\]\(([^)]+)\)", line)]
    assert len(links) > 5
    for page, link in links:
        path = link.partition("#")[0]
        assert "://" in link or (page.parent / path).exists(), f"{page.name}: {link}"


def test_scripts_and_targets_are_there():
    made = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    found = 0
    for page, line, inside in lines():
        for module in re.findall(r"python3? -m (train|benchmarks|jaxstyle)((?:\.\w+)+)", line):
            found += 1
            path = ROOT / "".join(module).replace(".", "/")
            assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), f"{page.name}: {line}"
        for script in re.findall(r"python3? ((?:\w+/)+\w+\.py)", line):
            found += 1
            assert (ROOT / script).exists(), f"{page.name}: {line}"
        if inside and line.startswith("make "):
            found += 1
            assert line.split()[1] in made, f"{page.name}: {line}"
    assert found > 5


def test_commands_parse(capsys):
    """Every command in a block of code, as it stands there."""
    found = 0
    for page, line, inside in lines():
        command = line.partition(" | ")[2] if " | jaxstyle " in line else line
        if inside and command.startswith("jaxstyle ") and "[options]" not in command and "--help" not in command:
            found += 1
            try:
                main.parse(shlex.split(command.partition(" > ")[0], comments=True)[1:])
            except SystemExit:
                pytest.fail(f"{page.name}: {line}: {capsys.readouterr().err}")
    assert found > 10


def imported(package):
    """(file, name) of what the modules of a package import from elsewhere."""
    for file in (ROOT / package).glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [str(node.module)]
            yield from ((file, name.partition(".")[0]) for name in names)


def test_what_is_imported_is_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = itertools.chain(project["dependencies"], *(extras[name] for name in extras if name != "dev"))
    declared = {re.match(r"[\w-]+", line)[0].lower().replace("-", "_") for line in wanted}
    called = {"pil": "pillow", "orbax": "orbax_checkpoint"}
    ours = {"jaxstyle", "train"}
    for file, name in itertools.chain(imported("jaxstyle"), imported("train")):
        known = name in sys.stdlib_module_names or name in ours or called.get(name.lower(), name.lower()) in declared
        assert known, f"{file.name} imports {name}, which pyproject.toml does not declare"
