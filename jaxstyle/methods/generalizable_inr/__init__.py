"""Generalizable implicit neural representations for style transfer: any pair, any resolution, no fitting.

A hypernetwork looks at a photo and a painting and makes a function of place and degree of style of them:
`condition`. `jaxstyle.render`, `jaxstyle.render_image` and `jaxstyle.render_file` take it, as they take what
`jaxstyle.fit` makes.
"""

from jaxstyle.methods import interface
from jaxstyle.methods.generalizable_inr.code import Code
from jaxstyle.methods.generalizable_inr.conditioning import batch, condition
from jaxstyle.methods.generalizable_inr.field import Field, Spec, View, numbers
from jaxstyle.methods.generalizable_inr.files import KIND, PICTURE, load, load_picture, save, save_picture
from jaxstyle.methods.generalizable_inr.fitted import Fitted
from jaxstyle.methods.generalizable_inr.network import Config, Model, Style, from_adain, init, with_feedback
from jaxstyle.methods.generalizable_inr.whole import Whole, WholeField
from jaxstyle.methods.generalizable_inr.windows import (
    OBJECTIVE,
    encode_styles,
    encode_window,
    merge,
    needs,
    paint,
    style_of,
    survey,
)

__all__ = [
    "KIND",
    "METHOD",
    "OBJECTIVE",
    "PICTURE",
    "Code",
    "Config",
    "Field",
    "Fitted",
    "Model",
    "Spec",
    "Style",
    "View",
    "Whole",
    "WholeField",
    "batch",
    "condition",
    "encode_styles",
    "encode_window",
    "from_adain",
    "init",
    "load",
    "load_picture",
    "merge",
    "needs",
    "numbers",
    "paint",
    "save",
    "save_picture",
    "style_of",
    "survey",
    "with_feedback",
]

METHOD = interface.Method(
    kind=KIND,
    model=Model,
    load=load,
    save=save,
    needs=needs,
    encode_style=encode_styles,
    encode=encode_window,
    survey=survey,
    merge=merge,
    paint=paint,
    style_of=style_of,
    objective=OBJECTIVE,
)
