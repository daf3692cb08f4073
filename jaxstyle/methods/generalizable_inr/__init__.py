"""Generalizable implicit neural representations for style transfer: any pair, any resolution, no fitting.

A hypernetwork looks at a photo and a painting once and makes a function of place and degree of style of them:
`condition`. `jaxstyle.render`, `jaxstyle.render_image` and `jaxstyle.render_file` take it, as they take what
`jaxstyle.fit` makes.
"""

from jaxstyle.methods.generalizable_inr.code import Code
from jaxstyle.methods.generalizable_inr.field import Field, Spec, View
from jaxstyle.methods.generalizable_inr.files import KIND, load, save
from jaxstyle.methods.generalizable_inr.network import Config, Model, Style, batch, condition, from_adain, init

__all__ = [
    "KIND",
    "Code",
    "Config",
    "Field",
    "Model",
    "Spec",
    "Style",
    "View",
    "batch",
    "condition",
    "from_adain",
    "init",
    "load",
    "save",
]
