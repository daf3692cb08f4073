"""Which package may import which: the direction from pixels to commands, read from the sources."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# A package imports only packages of an earlier line, and its own files.
LIBRARY = (
    ("arrays", "runtime"),
    ("image", "styles", "weights"),
    ("controls", "nets"),
    ("metrics",),
    ("methods",),
    ("painting",),
    ("folders",),
    ("sheet", "video"),
    ("studio",),
    ("__init__",),
    ("cli",),
    ("__main__",),
)
TRAINING = (
    ("__init__", "augment", "config", "devices", "entry", "sources", "updates"),
    ("checkpoints", "crops", "draw", "logs"),
    ("loader", "pairs", "run"),
    ("on_crops",),
    ("adain", "generalizable_inr_config", "inr_pairs", "style_kernel_config"),
    ("generalizable_inr", "inr_report", "style_kernel"),
    ("inr_fit", "evaluate"),
    ("evaluate_generalizable_inr", "evaluate_inr", "evaluate_video"),
)
ONLY_IN = {"PIL": "image/", "torch": "nets/convert_vgg.py", "torchvision": "nets/convert_vgg.py"}
"""Packages of others that a part of the library alone may import."""
BLIND = ("methods/", {"jaxstyle.image.resize"})
"""Methods are functions of arrays: of picture files and controls they know but how arrays are resized."""


def imports(source: str, package: str, siblings: set[str]) -> set[tuple[str, str]]:
    """(package, its part) of everything that a file of ``package`` imports; other packages have the part ''."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "relative imports are not used"
            base = str(node.module)
            # `from jaxstyle import vgg` takes a module, `from jaxstyle import __version__` the package itself
            names = [f"{base}.{a.name}" if base == package and a.name in siblings else base for a in node.names]
        else:
            continue
        for name in names:
            top, _, rest = name.partition(".")
            found.add((top, (rest.partition(".")[0] or "__init__") if top in ("jaxstyle", "train") else ""))
    return found


def violations(package: str, levels: tuple, sources: dict[str, str]) -> list[str]:
    level = {name: number for number, line in enumerate(levels) for name in line}
    found = []
    for name, source in sources.items():
        own = name.partition("/")[0].removesuffix(".py")
        for top, part in sorted(imports(source, package, set(level))):
            if top == package and part != own and level[part] >= level[own]:
                found.append(f"{package}/{name} imports {part}, which is not of a lower level")
            if package == "jaxstyle" and top == "train":
                found.append(f"jaxstyle/{name} imports train")
            if package == "jaxstyle" and not name.startswith(ONLY_IN.get(top, "")):
                found.append(f"jaxstyle/{name} imports {top}")
        if package == "jaxstyle" and name.startswith(BLIND[0]):
            seen = {n for n in imported(source) if n.startswith(("jaxstyle.image", "jaxstyle.controls"))}
            found += [f"jaxstyle/{name} imports {n}" for n in sorted(seen - BLIND[1])]
    return found


def imported(source: str) -> set[str]:
    """Every name that a file imports, with its module."""
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import | ast.ImportFrom)]
    return {f"{getattr(node, 'module', '')}.{a.name}".lstrip(".") for node in nodes for a in node.names}


def read(package: str) -> dict[str, str]:
    files = (ROOT / package).rglob("*.py")
    return {file.relative_to(ROOT / package).as_posix(): file.read_text(encoding="utf-8") for file in files}


@pytest.mark.parametrize(("package", "levels"), [("jaxstyle", LIBRARY), ("train", TRAINING)])
def test_every_package_has_its_level(package, levels):
    assert {name.partition("/")[0].removesuffix(".py") for name in read(package)} == {
        n for line in levels for n in line
    }
    assert len(levels) <= 12


@pytest.mark.parametrize(("package", "levels"), [("jaxstyle", LIBRARY), ("train", TRAINING)])
def test_packages_import_only_lower_levels(package, levels):
    assert violations(package, levels, read(package)) == []


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("arrays.py", "from jaxstyle import image"),
        ("nets/vgg.py", "from jaxstyle.methods.adain import Decoder"),
        ("image/picture.py", "import jaxstyle.controls.colors"),
        ("methods/adain/loss.py", "def f():\n    from jaxstyle.painting.picture import stylize"),
        ("methods/adain/loss.py", "from jaxstyle.image import read"),
        ("methods/inr/loss.py", "from jaxstyle.controls.controls import Controls"),
        ("painting/picture.py", "from jaxstyle import __version__"),
        ("folders/folder.py", "from jaxstyle.sheet import make"),
        ("sheet/page.py", "from jaxstyle.studio.painter import encoded"),
        ("studio/serve.py", "from jaxstyle.cli import arguments"),
        ("cli/main.py", "import train.adain"),
        ("painting/picture.py", "from PIL import Image"),
        ("weights/__init__.py", "import torch"),
    ],
)
def test_a_wrong_import_is_found(name, line):
    assert len(violations("jaxstyle", LIBRARY, {name: line})) == 1
