"""Which file may import which: the direction from pixels to commands, read from the sources."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# A module imports only modules of an earlier line. So methods do not import each other.
LIBRARY = (
    ("arguments", "arrays", "cache", "colors", "image_source", "interrupts", "manifest", "memory", "progress"),
    ("image_decode", "coords", "flags", "halving", "part", "safe_pickle", "scratch"),
    ("image_encode", "image_text", "bigtiff"),
    ("image", "deepzoom"),
    ("sheet_page",),
    ("stats", "layers", "bigimage"),
    ("vgg", "bigimage_write"),
    ("inr_grids", "losses", "weights"),
    ("adain", "controls", "convert_vgg", "inr_network", "perceptual"),
    ("buckets", "completion", "map_windows", "metrics", "pairs", "tile_plan"),
    ("inr_render", "compare", "gatys"),
    ("inr", "inr_scene"),
    ("inr_schedule", "inr_file"),
    ("inr_fit", "inr_sweep"),
    ("tiles", "render_cli"),
    ("large",),
    ("resume", "stylize"),
    ("sheet", "workers"),
    ("batch", "dataset_plan", "transform"),
    ("dataset",),
    ("on_ray",),
    ("fitting",),
    ("__init__",),
    ("cli",),
)
TRAINING = (
    ("__init__",),
    ("checkpoints", "devices", "flags", "loop", "results", "sources"),
    ("data", "measure_inr", "tables"),
    ("adain", "pairs", "tables_inr"),
    ("evaluate", "inr_pairs"),
    ("evaluate_inr", "inr_report"),
    ("inr_fit",),
)
ONLY_IN = {
    "PIL": {"image", "image_decode", "image_encode", "image_text"},
    "torch": {"convert_vgg"},
    "torchvision": {"convert_vgg"},
}


def imports(source: str, package: str, siblings: set[str]) -> list[tuple[str, str]]:
    """(package, module) of everything that a module of ``package`` imports; other packages have module ''."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = f"{package}.{node.module or ''}".rstrip(".") if node.level else str(node.module)
            # `from jaxstyle import vgg` takes a module, `from jaxstyle import __version__` the package itself
            names = [f"{base}.{a.name}" if base == package and a.name in siblings else base for a in node.names]
        else:
            continue
        for name in names:
            top, _, rest = name.partition(".")
            ours = top in ("jaxstyle", "train")
            found.append((top, (rest.partition(".")[0] or "__init__") if ours else ""))
    return found


def violations(package: str, levels: tuple, sources: dict[str, str]) -> list[str]:
    level = {name: number for number, line in enumerate(levels) for name in line}
    found = []
    for name, source in sources.items():
        for top, module in imports(source, package, set(sources)):
            if top == package and module != name and level[module] >= level[name]:
                found.append(f"{package}/{name}.py imports {module}, which is not of a lower level")
            if package == "jaxstyle" and top == "train":
                found.append(f"jaxstyle/{name}.py imports train")
            if package == "jaxstyle" and name not in ONLY_IN.get(top, {name}):
                found.append(f"jaxstyle/{name}.py imports {top}")
    return found


def read(package: str) -> dict[str, str]:
    return {file.stem: file.read_text(encoding="utf-8") for file in (ROOT / package).glob("*.py")}


@pytest.mark.parametrize(("package", "levels"), [("jaxstyle", LIBRARY), ("train", TRAINING)])
def test_every_module_has_its_level(package, levels):
    assert set(read(package)) == {name for line in levels for name in line}


@pytest.mark.parametrize(("package", "levels"), [("jaxstyle", LIBRARY), ("train", TRAINING)])
def test_modules_import_only_lower_levels(package, levels):
    assert violations(package, levels, read(package)) == []


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("arrays", "from jaxstyle import image"),
        ("arrays", "from . import image"),
        ("vgg", "from jaxstyle.adain import Decoder"),
        ("vgg", "import jaxstyle.weights"),
        ("adain", "def f():\n    from .stylize import stylize"),
        ("stylize", "from jaxstyle import __version__"),
        ("adain", "from jaxstyle.convert_vgg import convert"),
        ("cli", "import train.adain"),
        ("arrays", "from PIL import Image"),
        ("weights", "import torch"),
    ],
)
def test_a_wrong_import_is_found(name, line):
    sources = {module: "" for row in LIBRARY for module in row}
    assert violations("jaxstyle", LIBRARY, sources) == []
    assert len(violations("jaxstyle", LIBRARY, sources | {name: line})) == 1
