"""How Sphinx makes the site of these pages: ``make docs``. Nothing is downloaded, and no page loads anything."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE / "sphinx")]

import jaxstyle  # noqa: E402

project = "jaxstyle"
author = "The jaxstyle authors"
copyright = "The jaxstyle authors, Apache-2.0"
version = release = jaxstyle.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "pages",  # docs/sphinx/pages.py, and so on
    "reference",
    "mathml",
    "offline",
    "snippets",
]
exclude_patterns = ["_build", "sphinx"]

html_theme = "furo"
html_title = f"jaxstyle {release}"
html_copy_source = False
html_show_sourcelink = False
html_static_path = ["sphinx/static"]
html_css_files = ["site.css"]

myst_enable_extensions = ["dollarmath"]
myst_fence_as_directive = ["math"]
myst_heading_anchors = 4

default_role = "py:obj"  # `jaxstyle.stylize` in a docstring is a link where there is such a thing, and code elsewhere
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
autodoc_class_signature = "mixed"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
maximum_signature_line_length = 88
suppress_warnings = ["ref.python"]  # two methods have a Model each: a short name in a signature leads to one of them
