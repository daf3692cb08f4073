"""The documentation site: what is in it, where its links lead, and its snippets, run as they stand."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

import jaxstyle
import jaxstyle.methods

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(DOCS.glob("*.md"))

pytestmark = pytest.mark.skipif(not (DOCS / "conf.py").exists(), reason="not a checkout")


def extension(name):
    """A module of docs/sphinx, which is no package and is not installed."""
    pytest.importorskip("sphinx", reason="needs the extra docs")
    spec = importlib.util.spec_from_file_location(f"docs_{name}", DOCS / "sphinx" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", [page for page in PAGES if ">>>" in page.read_text(encoding="utf-8")], ids=str)
def test_snippets(page):
    found, said = extension("snippets").run(page)
    assert found and not said, said


def test_a_snippet_that_says_something_else_is_told_of(tmp_path):
    snippets, page = extension("snippets"), tmp_path / "page.md"
    page.write_text("```pycon\n>>> one = 1\n```\n\n```pycon\n>>> one + 1\n3\n```\n")
    found, said = snippets.run(page)
    assert found == 2 and "Expected:\n    3\nGot:\n    2" in said
    page.write_text("```python\n>>> 1\n1\n```\n")
    assert snippets.run(page) == (0, "page.md: snippets with >>> stand in blocks of pycon")


def test_python_blocks_are_python():
    for page in (DOCS.parent / "README.md", *PAGES):
        for block in re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S):
            compile(block, page.name, "exec")


def test_every_public_name_has_an_entry():
    reference = extension("reference")
    pages = dict(reference.pages())
    entries = set(re.findall(r"^\.\. (?:auto\w+|py:data):: (\S+)$", "\n".join(pages.values()), re.M))
    assert {f"jaxstyle.{name}" for name in jaxstyle.__all__} <= entries
    for name, module in reference.modules().items():
        own = {f"{name}.{member}" for member in reference.members(module)}
        assert own and own <= entries, name
    assert {"jaxstyle.stats.moments", "jaxstyle.adain.STRIDE", "jaxstyle.methods.load"} <= entries
    assert all(name in pages["index"] for name in reference.modules())


def test_a_constant_is_told_of_where_it_is_defined():
    reference = extension("reference")
    assert reference.documented("OBJECTIVE", jaxstyle.adain).startswith("What decoders are trained for")
    assert reference.documented("STRIDE", jaxstyle.adain) == "``8``"
    assert reference.documented("METHOD", jaxstyle.adain) == "A `jaxstyle.methods.interface.Method`."
    assert "METHODS" in reference.members(jaxstyle.methods)
    assert ":no-index:" not in reference.entry("jaxstyle.ImageError", jaxstyle, seen := set())
    assert ":no-index:" in reference.entry("jaxstyle.image.ImageError", jaxstyle.image, seen)


def test_links_are_turned_to_where_the_site_has_the_file():
    pages = extension("pages")
    text = "[a](docs/inr.md#fitting) ![b](docs/gallery.jpg) [c](LICENSE) [d](https://jax.dev) [e](docs/results)\n"
    code = "```\n[x](LICENSE)\n```\n"
    turned = pages.turned(text + code, pages.ROOT / "README.md", DOCS / "index.md")
    assert turned == (
        "[a](inr.md#fitting) ![b](gallery.jpg) [c](../LICENSE) [d](https://jax.dev) e (`docs/results`)\n" + code
    )
    card = DOCS.parent / "jaxstyle" / "weights" / "vgg16.md"
    page = DOCS / "weights.md"
    assert pages.turned("[card](../jaxstyle/weights/vgg16.md)", page, page) == "[card](_made/weights/vgg16.md)"
    assert pages.outside()[card] == DOCS / "_made" / "weights" / "vgg16.md"


def test_every_page_is_once_in_the_contents():
    pages = extension("pages")
    names = ["index", "start", "inr", "inr_zoom", "generalizable_inr", "adain", "adain_vgg16", "something_new"]
    lines = pages.contents(names).splitlines()
    assert sorted(line for line in lines if line in names) == sorted(names[1:])
    methods = lines[lines.index(":caption: Methods") :]
    assert [line for line in methods if line in names] == [
        *("adain", "adain_vgg16", "inr", "inr_zoom", "generalizable_inr", "something_new")
    ]


@pytest.mark.parametrize(
    "html",
    [
        '<script src="https://cdn.example/mathjax.js"></script>',
        '<link rel="stylesheet" href="//fonts.example/a.css">',
        '<img srcset="a.png 1x, https://img.example/b.png 2x">',
        "<style>@import url('https://fonts.example/a.css');</style>",
        '<p style="background: url(http://img.example/a.png)">',
    ],
)
def test_what_a_page_loads_from_elsewhere_is_found(html):
    assert len(extension("offline").in_page(f"<html>{html}</html>")) == 1


def test_links_to_follow_and_files_beside_are_no_loading(tmp_path):
    offline = extension("offline")
    page = '<a href="https://jax.dev">JAX</a><script src="_static/a.js"></script><img src="data:image/png;base64,//8=">'
    assert offline.in_page(page) == []
    (tmp_path / "index.html").write_text(page)
    (tmp_path / "a.css").write_text("@font-face { src: url(https://fonts.example/a.woff2) }")
    assert offline.check(tmp_path) == ["a.css: url(https://fonts.example/a.woff2)"]


def test_formulas_are_mathml():
    mathml = extension("mathml")
    assert "<mfrac>" in (said := mathml.translated(r"\frac{x}{2}", block=True)) and 'display="block"' in said
    with pytest.raises(Exception, match=r"formula '\\\\nothing"):
        mathml.translated(r"\nothing{x}")


def test_formulas_of_all_pages_can_be_translated():
    mathml, found = extension("mathml"), 0
    for page in PAGES:
        for block in re.findall(r"^```math\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S):
            assert mathml.translated(block, block=True).startswith("<math")
            found += 1
    assert found > 5


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path):
    """And has every public name in its inventory, under which other sites may link to it."""
    pytest.importorskip("furo", reason="needs the extra docs")
    pytest.importorskip("myst_parser", reason="needs the extra docs")
    from sphinx.util.inventory import InventoryFile

    flags = ["-W", "--keep-going", "-q", "-d", tmp_path / "doctrees", "-b", "html"]
    command = [sys.executable, "-m", "sphinx", *flags, DOCS, tmp_path / "html"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    with (tmp_path / "html" / "objects.inv").open("rb") as file:
        kinds = InventoryFile.load(file, "", lambda base, path: path)
    names = {name for kind, found in kinds.items() if kind.startswith("py:") for name in found}
    assert {f"jaxstyle.{name}" for name in jaxstyle.__all__} <= names
    page = (tmp_path / "html" / "adain.html").read_text(encoding="utf-8")
    assert page.count("<math") > 5 and not re.search("<script[^>]*mathjax", page, re.I)
    assert 'href="_made/api/jaxstyle.stats.html#jaxstyle.stats.moments"' in page
