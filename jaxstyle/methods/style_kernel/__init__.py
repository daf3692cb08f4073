"""Dynamic Style Kernels: convolutions with kernels of every position's own (Xu, Long & Nie, CVPR 2023).

Content positions attend to a style's positions (SAE), a gate leaves those that are like them (CGM), and of what comes
of it small separable kernels are made, other ones at each position, that turn the content's features into what the
decoder sees (SKG). `Model` is a pytree that holds all of it.

Differs from the paper: kernels are relative to the style's moments, the gate's threshold is in units of a row's mean,
every part is optional (`Config`), and besides `paper` there is `lite`, which begins as an AdaIN model.
"""

from jaxstyle.methods.style_kernel.network import (
    STYLE_TAPS,
    Config,
    Model,
    decode,
    encode,
    from_adain,
    init,
    lite,
    paper,
)
from jaxstyle.methods.style_kernel.transform import Style, Transformed, transform

__all__ = [
    "STYLE_TAPS",
    "Config",
    "Model",
    "Style",
    "Transformed",
    "decode",
    "encode",
    "from_adain",
    "init",
    "lite",
    "paper",
    "transform",
]
