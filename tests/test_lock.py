"""Which versions are installed: declared in pyproject.toml, exact in tests/constraints.txt, tested in the workflow."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "tests" / "constraints.txt"
WORKFLOW = ROOT / ".github" / "workflows" / "ci.yml"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
LOCKED_EXTRAS = ("dev", "train", "large", "heif", "video", "flow", "studio", "docs")


def locked(python: str) -> dict[str, Version]:
    """What an environment of a Python on Linux gets, by name."""
    environment = {"python_version": python, "python_full_version": f"{python}.9", "sys_platform": "linux"}
    environment |= {"os_name": "posix", "platform_machine": "x86_64", "platform_python_implementation": "CPython"}
    found: dict[str, Version] = {}
    for line in LOCK.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        wanted = Requirement(line)
        (pin,) = wanted.specifier
        assert pin.operator == "==" and "*" not in pin.version, line
        if wanted.marker is None or wanted.marker.evaluate(environment):
            assert wanted.name not in found, f"{wanted.name} twice for Python {python}"
            found[canonicalize_name(wanted.name)] = Version(pin.version)
    return found


def declared() -> list[Requirement]:
    extras = PROJECT["optional-dependencies"]
    return [Requirement(r) for r in (*PROJECT["dependencies"], *(r for name in LOCKED_EXTRAS for r in extras[name]))]


@pytest.mark.parametrize("python", PYTHONS)
def test_everything_that_is_declared_is_locked_in_a_version_that_fits(python):
    versions = locked(python)
    for wanted in declared():
        found = versions.get(canonicalize_name(wanted.name))
        assert found is not None, f"{wanted.name} is not in tests/constraints.txt: make lock"
        assert wanted.specifier.contains(found), f"{wanted} is locked as {found}: make lock"
    torch = re.search(r"^TORCH := torch==(.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    assert torch is not None and versions["torch"] == Version(torch[1])


def test_every_dependency_has_a_lowest_version():
    for wanted in declared():
        assert any(part.operator == ">=" for part in wanted.specifier), f"{wanted}: from which version on?"


def test_the_pythons_are_the_same_everywhere():
    assert PROJECT["requires-python"] == f">={PYTHONS[0]}"
    prefix = "Programming Language :: Python :: "
    assert [c.removeprefix(prefix) for c in PROJECT["classifiers"] if c.startswith(prefix)] == list(PYTHONS)
    if WORKFLOW.exists():  # not in an sdist
        text = WORKFLOW.read_text(encoding="utf-8")
        tested = re.search(r"python: \[(.*?)\]", text)
        assert tested is not None and re.findall(r'"(.*?)"', tested[1]) == list(PYTHONS)
        assert {"lowest-direct", "highest"} <= set(re.findall(r"resolution: ([\w-]+)", text))
