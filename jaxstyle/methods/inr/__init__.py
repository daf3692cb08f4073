"""INR-st: a coordinate network fitted to one pair of pictures (Kim et al. 2022, arXiv:2210.07762).

A network is given a place, (x, y), and a mixture of two latent vectors, and says the colour. It is optimised for one
photo and one painting so that all mixtures of the latents are pictures between the two (Algorithm 1). Then it is a
picture without resolution, whose degree of style may differ at every point.

`init` makes parameters, `objective` is what fitting minimises, `render` and `render_image` make pictures, `save` and
`load` keep them. The objective is in `loss`, the network in `network` and `grids`, the rendering in `rendering`, the
files in `files`, and all of them are found here. What a fit consists of is in `schedule`, and `step` does it.

What an enlarged render shows beyond the pixels fitted at is in `detail`, and what a fit minimises for it in `enlarge`.

Differs from the paper:

* ``alpha`` is the degree of style, 0 = content and 1 = style, as everywhere in jaxstyle. The paper's alpha is the share
  of content; in `loss` it is called ``a`` and is ``1 - alpha``.
* Pixels are at their centres, ``-1 + (2 i + 1) / n``; the authors' code samples from edge to edge,
  ``linspace(-1, 1, n)``, so that a thing's place depends on the size of the picture. Coordinates are (x, y), theirs
  (y, x).
* The reweighting f has a pole at 1; its argument is clipped to [1e-6, 1 - 1e-6].
* Pictures keep their shape; the authors squeeze both to a square of 256 pixels.
* VGG-16 is the default, whose weights are shipped; the layers named here are in VGG-19 too, which the paper uses.
"""

from jaxstyle.methods.inr.files import load, save
from jaxstyle.methods.inr.loss import (
    Loss,
    Reweighting,
    Sampling,
    StyleStatistic,
    TapSet,
    Targets,
    load_encoder,
    objective,
    reweight,
    sample_alpha,
    targets,
)
from jaxstyle.methods.inr.network import InrParams, Network, Spec, evaluate, evaluate_sparse, init
from jaxstyle.methods.inr.rendering import render, render_image

__all__ = [
    "InrParams",
    "Loss",
    "Network",
    "Reweighting",
    "Sampling",
    "Spec",
    "StyleStatistic",
    "TapSet",
    "Targets",
    "evaluate",
    "evaluate_sparse",
    "init",
    "load",
    "load_encoder",
    "objective",
    "render",
    "render_image",
    "reweight",
    "sample_alpha",
    "save",
    "targets",
]
