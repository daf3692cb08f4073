"""Snippets of the pages, run as they stand: blocks of ``pycon``, all of a page in one interpreter."""

import doctest
import re
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.errors import SphinxError

DOCS = Path(__file__).parents[1]


def run(page: Path) -> tuple[int, str]:
    """How many snippets a page has, and what is said of those that give something else than the page says."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^```pycon\n(.*?)^```", text, re.M | re.S)
    if sum(block.count(">>>") for block in blocks) != text.count(">>>"):
        return 0, f"{page.name}: snippets with >>> stand in blocks of pycon"
    test = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, page.name, str(page), 0)
    said: list[str] = []
    return doctest.DocTestRunner(verbose=False).run(test, out=said.append).attempted, "".join(said)


def _finished(app: Sphinx, error: Exception | None) -> None:
    said = "" if error else "".join(run(page)[1] for page in sorted(DOCS.glob("*.md")))
    if said:
        raise SphinxError(said)


def setup(app: Sphinx) -> dict[str, bool]:
    """Runs all snippets when a site is built."""
    app.connect("build-finished", _finished)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
