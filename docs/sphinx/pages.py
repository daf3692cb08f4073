"""Which pages the site has, in which order, and links that lead somewhere on the web host and in the site.

All of `docs` is taken, and so are the pages that lie elsewhere in the checkout: `OUTSIDE`. Links are written as the web
host wants them, relative to the file; here they are turned to where the site has the file.
"""

import fnmatch
import os
import re
from collections.abc import Iterable
from pathlib import Path

from sphinx.application import Sphinx

DOCS = Path(__file__).parents[1]
ROOT = DOCS.parent
MADE = DOCS / "_made"
"""Pages that are made anew by every call, and not kept by git."""

OUTSIDE = ("CONTRIBUTING.md", "CHANGELOG.md", "examples/SOURCES.md", "jaxstyle/weights/*.md")
SECTIONS = {
    "Use": ["start", "controls", "styles*", "folders", "large", "video", "studio", "compare*", "cli"],
    "Methods": ["adain", "adain_vgg16", "style_kernel", "inr", "inr_*", "generalizable_inr*", "refine", "fit_style"],
    "Program": ["python", "_made/api/index"],
    "Train and measure": ["training", "weights", "performance"],
    "Cards and results": ["_made/weights/*", "results/*"],
    "The project": ["design", "_made/CONTRIBUTING", "_made/CHANGELOG", "_made/examples/*"],
}
"""Of the table of contents: captions, and patterns of pages. What no pattern fits comes last, under "More"."""

SHORT = {
    r"cli": "The command",
    r"large": "Large pictures",
    r"_made/weights/(\w+)": r"Card of \1",
    r"results/(\w+)/(\w+)": r"\1: \2",
}
"""Names in the table of contents of pages whose own titles say too little there: patterns of pages, and the names."""

_LINK = re.compile(r"(?P<before>!?\[(?P<text>[^\]]*)\])\((?P<path>[^)\s#:]+)(?P<anchor>#[^)\s]*)?\)")


def outside() -> dict[Path, Path]:
    """Pages outside `docs`, and where the site has them."""
    found = sorted(file for pattern in OUTSIDE for file in ROOT.glob(pattern))
    return {file: MADE / file.relative_to(ROOT).as_posix().replace("jaxstyle/weights", "weights") for file in found}


def turned(text: str, origin: Path, place: Path) -> str:
    """The text of a page with its links turned.

    Links to pages of the site lead to these; other files of the checkout are linked as they are, and Sphinx puts a copy
    of them into the site. A folder cannot be opened there: its name is said instead.

    Args:
      text: Markdown.
      origin: the file that it is from, to which links are relative.
      place: the file from which the site reads it.
    """
    homes = {ROOT / "README.md": DOCS / "index.md", **outside()}

    def turn(match: re.Match[str]) -> str:
        target = Path(os.path.normpath(origin.parent / match["path"]))
        if target.is_dir():
            return f"{match['text']} (`{target.relative_to(ROOT).as_posix()}`)"
        path = os.path.relpath(homes.get(target, target), place.parent)
        return f"{match['before']}({Path(path).as_posix()}{match['anchor'] or ''})"

    parts = re.split(r"(^```.*?^```[^\S\n]*$)", text, flags=re.M | re.S)  # code stays as it is
    return "".join(part if part.startswith("```") else _LINK.sub(turn, part) for part in parts)


def contents(pages: Iterable[str]) -> str:
    """The tables of contents of the first page, in which every page is once."""
    left = sorted(set(pages) - {"index"})
    lines = []
    for caption, patterns in (*SECTIONS.items(), ("More", ["*"])):
        chosen = []
        for pattern in patterns:
            chosen += [page for page in left if fnmatch.fnmatch(page, pattern) and page not in chosen]
        left = [page for page in left if page not in chosen]
        if chosen:
            lines += ["```{toctree}", f":caption: {caption}", ":hidden:", "", *map(listed, chosen), "```", ""]
    return "\n".join(lines)


def listed(page: str) -> str:
    """A page as a line of a table of contents."""
    for pattern, name in SHORT.items():
        if match := re.fullmatch(pattern, page):
            return f"{match.expand(name)} <{page}>"
    return page


def _write(app: Sphinx) -> None:
    for origin, place in outside().items():
        place.parent.mkdir(parents=True, exist_ok=True)
        text = turned(origin.read_text(encoding="utf-8"), origin, place)
        if not place.exists() or place.read_text(encoding="utf-8") != text:  # what is old is not built again
            place.write_text(text, encoding="utf-8")


def _read(app: Sphinx, name: str, source: list[str]) -> None:
    place = DOCS / f"{name}.md"
    if name == "index":
        readme = ROOT / "README.md"
        pages = (page for page in app.env.found_docs if not page.startswith("_made/api/") or page == "_made/api/index")
        source[0] = f"{turned(readme.read_text(encoding='utf-8'), readme, place)}\n{contents(pages)}"
    elif place.exists() and MADE not in place.parents:
        source[0] = turned(source[0], place, place)


def _always(app: Sphinx, env: object, added: set[str], changed: set[str], removed: set[str]) -> list[str]:
    """The first page is read every time: it holds the README, and the names of all others."""
    return ["index"]


def setup(app: Sphinx) -> dict[str, bool]:
    """Takes the pages that lie elsewhere, and turns links while pages are read."""
    app.connect("config-inited", lambda app, config: _write(app))
    app.connect("env-get-outdated", _always)
    app.connect("source-read", _read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
