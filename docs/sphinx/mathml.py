"""Formulas as MathML, which browsers draw by themselves, by docutils' own translator: no script, no font."""

from docutils import nodes
from docutils.utils.math import latex2mathml
from sphinx.application import Sphinx
from sphinx.errors import SphinxError
from sphinx.writers.html5 import HTML5Translator


def translated(tex: str, block: bool = False) -> str:
    """A formula in LaTeX as a MathML element.

    Raises:
      SphinxError: it holds what the translator does not know.
    """
    try:
        return latex2mathml.tex2mathml(tex.strip(), as_block=block)
    except Exception as error:  # of several kinds, among them bare ones
        raise SphinxError(f"formula {tex.strip()!r}: {error}") from error


def _inline(self: HTML5Translator, node: nodes.math) -> None:
    self.body.append(translated(node.astext()))
    raise nodes.SkipNode


def _block(self: HTML5Translator, node: nodes.math_block) -> None:
    self.body.append(f'<div class="math">{translated(node.astext(), block=True)}</div>\n')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Makes this the way in which formulas are written."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    app.config.html_math_renderer = "mathml"
    return {"parallel_read_safe": True, "parallel_write_safe": True}
