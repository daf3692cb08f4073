"""AdaIN: arbitrary style transfer in one forward pass (Huang & Belongie 2017, arXiv:1703.06868).

``T(c, s, alpha) = g((1 - alpha) f(c) + alpha AdaIN(f(c), f(s)))`` (Eq. 14): f is normalised VGG to
``relu4_1``, g the decoder. `Model` is a pytree that holds both; `encode_style` turns a style image into a
small reusable pytree; `stylize` does the rest.

Differs from the paper: VGG-16 is the default encoder (its weights are shipped; VGG-19 works alike), Adam's
hyper-parameters are the trainer's business, and an identity term can be added to Eq. 11, so that alpha = 0
gives the photo back.
"""

from typing import TYPE_CHECKING, Any

from jaxstyle.methods import interface
from jaxstyle.methods.adain.files import full_degree, load, load_encoder, save, to_arrays
from jaxstyle.methods.adain.fusion import Place, fuse, mix
from jaxstyle.methods.adain.inference import encode_style, stack, stylize
from jaxstyle.methods.adain.loss import ContentTerm, Options, objective, running_statistics
from jaxstyle.methods.adain.network import (
    SMALLEST,
    STRIDE,
    STYLE_TAPS,
    AimedAt,
    DecoderNorm,
    Fusion,
    Model,
    Style,
    aim,
    decode,
    decoder_shapes,
    describe,
    init_decoder,
    style_taps,
)
from jaxstyle.methods.adain.windows import (
    ADAPTABLE,
    OBJECTIVE,
    Survey,
    encode_padded_styles,
    encode_window,
    merge,
    needs,
    paint,
    style_of,
    survey,
)
from jaxstyle.nets.vgg import encode

if TYPE_CHECKING:
    from jaxstyle.methods.adain.decoder import Decoder

__all__ = [
    "METHOD",
    "OBJECTIVE",
    "SMALLEST",
    "STRIDE",
    "STYLE_TAPS",
    "AimedAt",
    "ContentTerm",
    "Decoder",
    "DecoderNorm",
    "Fusion",
    "Model",
    "Options",
    "Place",
    "Style",
    "Survey",
    "aim",
    "decode",
    "decoder_shapes",
    "describe",
    "encode",
    "encode_padded_styles",
    "encode_style",
    "encode_window",
    "full_degree",
    "fuse",
    "init_decoder",
    "load",
    "load_encoder",
    "merge",
    "mix",
    "needs",
    "objective",
    "paint",
    "running_statistics",
    "save",
    "stack",
    "style_taps",
    "stylize",
    "survey",
    "to_arrays",
]

METHOD = interface.Method(
    kind="adain",
    model=Model,
    load=load,
    save=save,
    needs=needs,
    encode_style=encode_padded_styles,
    encode=encode_window,
    survey=survey,
    merge=merge,
    paint=paint,
    style_of=style_of,
    objective=OBJECTIVE,
    adaptable=ADAPTABLE,
)


def __getattr__(name: str) -> Any:
    """The decoder's module, when it is asked for: Flax takes a quarter of a second to import."""
    if name != "Decoder":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from jaxstyle.methods.adain.decoder import Decoder

    globals()[name] = Decoder
    return Decoder
