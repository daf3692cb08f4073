"""A check of what was built: no page and no style sheet loads anything from another host."""

import re
from html.parser import HTMLParser
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.errors import SphinxError

REMOTE = re.compile(r"\s*(https?:)?//", re.I)
LOADED = {
    "href": {"link", "image", "use"},
    "src": {"script", "img", "iframe", "source", "video", "audio", "embed", "track", "input"},
    "srcset": {"img", "source"},
    "data": {"object"},
    "poster": {"video"},
}
"""Attributes by which a browser loads something without being asked, and the elements in which they do."""


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            addresses = (value or "").split(",") if name == "srcset" else [value or ""]
            if tag in LOADED.get(name, ()) and any(map(REMOTE.match, addresses)):
                self.found.append(f"<{tag} {name}={value}>")
            if name == "style":
                self.found += in_style(value or "")

    def handle_data(self, data: str) -> None:
        if self.cdata_elem == "style":
            self.found += in_style(data)


def in_page(html: str) -> list[str]:
    """What an HTML page loads from other hosts; links to follow are none of it."""
    page = _Page()
    page.feed(html)
    page.close()
    return page.found


def in_style(css: str) -> list[str]:
    """What a style sheet loads from other hosts."""
    found = re.findall(r"""(?:url\(|@import)\s*["']?((?:https?:)?//[^"')\s]+)""", css, re.I)
    return [f"url({address})" for address in found]


def check(folder: Path) -> list[str]:
    """One line for everything that a built site loads from other hosts: file and element."""
    lines = []
    for file in sorted(folder.rglob("*")):
        find = {".html": in_page, ".css": in_style}.get(file.suffix)
        if find is not None:
            lines += [f"{file.relative_to(folder)}: {what}" for what in find(file.read_text(encoding="utf-8"))]
    return lines


def _finished(app: Sphinx, error: Exception | None) -> None:
    if error is None and app.builder.format == "html" and (lines := check(Path(app.outdir))):
        raise SphinxError("loaded from other hosts:\n" + "\n".join(lines))


def setup(app: Sphinx) -> dict[str, bool]:
    """Looks at a site when it is built."""
    app.connect("build-finished", _finished)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
