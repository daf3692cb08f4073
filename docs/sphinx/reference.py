"""The pages about what Python programs may use: one for `jaxstyle` itself, and one for each of its public modules.

They are made of `jaxstyle.__all__`, so that a new name is found there. What is said is the docstrings'.
"""

import importlib
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer

import jaxstyle

PAGES = Path(__file__).parents[1] / "_made" / "api"
ALSO = ("methods", "methods.interface", "methods.gatys", "metrics.metrics", "metrics.temporal", "arrays", "sheet.make")
"""Modules that pages and docstrings name, beside those of ``jaxstyle.__all__``."""

GROUPS = {
    "Pictures": ("stylize", "Controls", "ImageError", "Picture", "WeightsError"),
    "Files, folders, data sets, videos": ("stylize_", "Report", "BatchReport", "Dataset", "Style", "Video"),
    "Pictures without resolution": ("Inr", "fit", "Fit", "render", "Render", "sweep", "condition", "Condition"),
}
"""Headings of the first page, and what the names under them are or begin with; the last that fits counts."""


def modules() -> dict[str, ModuleType]:
    """Public modules by the names under which they are documented."""
    own = {name: getattr(jaxstyle, name) for name in jaxstyle.__all__}
    found = {f"jaxstyle.{name}": value for name, value in own.items() if inspect.ismodule(value)}
    return found | {f"jaxstyle.{name}": importlib.import_module(f"jaxstyle.{name}") for name in ALSO}


def members(module: ModuleType) -> list[str]:
    """What a module has for others: ``__all__``, or the functions, classes and described constants that it defines."""
    if hasattr(module, "__all__"):
        return list(module.__all__)
    described = {name for owner, name in attribute_docs(module) if not owner}
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (name in described or (callable(value) and getattr(value, "__module__", None) == module.__name__))
    ]


def attribute_docs(module: ModuleType) -> dict[tuple[str, str], list[str]]:
    """Strings below assignments in a module's source, by (class or nothing, name)."""
    return ModuleAnalyzer.for_module(module.__name__).find_attr_docs()


def documented(name: str, module: ModuleType) -> str:
    """What stands below a constant in the module that defines it; else its value, or the type of that."""
    inside = (home for key, home in list(sys.modules.items()) if key.startswith(module.__name__) and home is not None)
    for home in (module, *inside):
        if vars(home).get(name) is getattr(module, name) and getattr(home, "__file__", None):
            found = attribute_docs(home).get(("", name))
            if found:
                return inspect.cleandoc("\n".join(found))
    value = getattr(module, name)
    return f"A `{type(value).__module__}.{type(value).__name__}`." if " at 0x" in repr(value) else f"``{value!r}``"


def entry(path: str, module: ModuleType, seen: set[int]) -> str:
    """The directive that documents a thing.

    Args:
      path: the name by which others use it.
      module: where it is found.
      seen: what has an entry already, by identity; one with two names is listed under both, but indexed once.
    """
    name = path.rpartition(".")[2]
    value = getattr(module, name)
    again = "   :no-index:\n" if id(value) in seen else ""
    if inspect.isclass(value):
        seen.add(id(value))
        kind = "autoexception" if issubclass(value, BaseException) else "autoclass"
        return f".. {kind}:: {path}\n   :members:\n   :exclude-members: __new__, __init__\n{again}"
    if inspect.isroutine(value) or hasattr(value, "__wrapped__"):
        return f".. autofunction:: {path}\n"
    return f".. py:data:: {path}\n\n{textwrap.indent(documented(name, module), '   ')}\n"


def module_page(name: str, module: ModuleType, seen: set[int]) -> str:
    """The page of one module, in reStructuredText."""
    title = f"``{name}``"
    lines = [title, "=" * len(title), "", f".. automodule:: {name}", "   :no-members:", ""]
    lines += [entry(f"{name}.{member}", module, seen) for member in members(module)]
    return "\n".join(lines)


def group(name: str) -> str:
    """The heading under which a name of `jaxstyle` itself comes."""
    fitting = [(len(start), title) for title, starts in GROUPS.items() for start in starts if name.startswith(start)]
    return max(fitting)[1] if fitting else "More"


def first_page(seen: set[int]) -> str:
    """The page of `jaxstyle` itself, in reStructuredText."""
    lines = ["Reference", "=========", "", ".. automodule:: jaxstyle", "   :no-members:", ""]
    names = [name for name in jaxstyle.__all__ if f"jaxstyle.{name}" not in modules()]
    for title in (*GROUPS, "More"):
        if chosen := [name for name in names if group(name) == title]:
            lines += [title, "-" * len(title), ""]
            lines += [entry(f"jaxstyle.{name}", jaxstyle, seen) for name in chosen]
    lines += ["Modules", "-------", "", ".. toctree::", "   :maxdepth: 1", ""]
    return "\n".join([*lines, *(f"   {name}" for name in modules()), ""])


def pages() -> Iterator[tuple[str, str]]:
    """(name, text) of all pages."""
    seen: set[int] = set()
    yield "index", first_page(seen)
    for name, module in modules().items():
        yield name, module_page(name, module, seen)


def _write(app: Sphinx) -> None:
    for name, module in modules().items():
        sys.modules.setdefault(name, module)  # jaxstyle.adain is imported by this name, as users write it
    PAGES.mkdir(parents=True, exist_ok=True)
    for name, text in pages():
        file = PAGES / f"{name}.rst"
        if not file.exists() or file.read_text(encoding="utf-8") != text:  # what is old is not built again
            file.write_text(text, encoding="utf-8")


def _skip(app: Sphinx, what: str, name: str, value: Any, skip: bool, options: Any) -> bool | None:
    """Fields are told of by the docstring of their class; what Python writes about them and `replace` says nothing."""
    written = str(getattr(value, "__doc__", "")).startswith(("Alias for field number", "Return a new object replacing"))
    default = inspect.isclass(value) and not value.__module__.startswith("jaxstyle")
    return True if written or default else None


def _signature(
    app: Sphinx, what: str, name: str, value: Any, options: Any, said: str | None, returned: str | None
) -> tuple[str | None, str | None]:
    """Defaults that are types as their names, and others that Python cannot write as dots."""
    if said is not None:
        said = re.sub(r"<class '([\w.]+)'>", r"\1", said)
        said = re.sub(r"<[\w.]+ object[^>]*>|<function [^>]*>", "...", said)
    return said, returned


def _link(app: Sphinx, tree: nodes.document, page: str) -> None:
    """Names in code, such as `jaxstyle.stats.moments`, lead to their entries from Markdown too."""
    domain = app.env.domains.python_domain
    for node in list(tree.findall(nodes.literal)):
        text = node.astext().removesuffix("()")
        found = domain.objects.get(text) if text.startswith("jaxstyle.") else None
        if found is not None and not isinstance(node.parent, nodes.reference) and found.docname != page:
            address = f"{app.builder.get_relative_uri(page, found.docname)}#{found.node_id}"
            node.replace_self(nodes.reference("", "", node.deepcopy(), internal=True, refuri=address))


def setup(app: Sphinx) -> dict[str, bool]:
    """Writes the pages before any is read."""
    app.connect("config-inited", lambda app, config: _write(app))
    app.connect("autodoc-skip-member", _skip)
    app.connect("autodoc-process-signature", _signature)
    app.connect("doctree-resolved", _link)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
