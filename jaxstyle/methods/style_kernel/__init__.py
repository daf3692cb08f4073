"""Dynamic Style Kernels: convolutions with kernels of every position's own (Xu, Long & Nie, CVPR 2023).

Content positions attend to a style's positions (SAE), a gate leaves those that are like them (CGM), and of what comes
of it small separable kernels are made, other ones at each position, that turn the content's features into what the
decoder sees (SKG). `Model` is a pytree that holds all of it.

Differs from the paper: kernels are relative to the style's moments, the gate's threshold is in units of a row's mean,
every part is optional (`Config`), and besides `paper` there is `lite`, which begins as an AdaIN model.
"""

from jaxstyle.methods import interface
from jaxstyle.methods.style_kernel.files import KIND, load, save
from jaxstyle.methods.style_kernel.focus import Focus, focus
from jaxstyle.methods.style_kernel.network import (
    STYLE_TAPS,
    Config,
    Model,
    decode,
    from_adain,
    init,
    lite,
    paper,
)
from jaxstyle.methods.style_kernel.transform import Style, Transformed, transform
from jaxstyle.methods.style_kernel.windows import (
    ADAPTABLE,
    OBJECTIVE,
    Survey,
    encode_styles,
    encode_window,
    merge,
    needs,
    paint,
    survey,
)
from jaxstyle.nets.vgg import encode

__all__ = [
    "METHOD",
    "OBJECTIVE",
    "STYLE_TAPS",
    "Config",
    "Focus",
    "Model",
    "Style",
    "Survey",
    "Transformed",
    "decode",
    "encode",
    "encode_styles",
    "encode_window",
    "focus",
    "from_adain",
    "init",
    "lite",
    "load",
    "merge",
    "needs",
    "paint",
    "paper",
    "save",
    "survey",
    "transform",
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
    objective=OBJECTIVE,
    adaptable=ADAPTABLE,
)
